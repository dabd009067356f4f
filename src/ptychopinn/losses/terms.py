r"""Terms of the loss: each a mean over measured pixels, or over the object.

Poisson negative log-likelihood of counts k under an expectation \(\lambda\), without the constant
\(\log k!\):

\[ \ell = \frac{1}{|\Omega|} \sum_{\Omega} \left( \lambda - k \log(\lambda + \epsilon) \right) \]
"""

import torch
from torch import Tensor

EPSILON_PHOTONS = 1e-3
EPSILON_OBJECT = 1e-6


def masked_mean(values: Tensor, measured: Tensor | None) -> Tensor:
    """Mean of values (..., H, W) where `measured` (broadcastable) is True; everywhere without a mask."""
    if measured is None:
        return values.mean()
    weight = measured.expand(values.shape)
    return torch.where(weight, values, torch.zeros_like(values)).sum() / weight.sum().clamp_min(1)


def poisson_nll(expected: Tensor, counts: Tensor, measured: Tensor | None = None) -> Tensor:
    """Poisson negative log-likelihood, photons; `expected` and `counts` are (..., H, W)."""
    return masked_mean(expected - counts * torch.log(expected + EPSILON_PHOTONS), measured)


def amplitude_mae(expected: Tensor, amplitude: Tensor, measured: Tensor | None = None) -> Tensor:
    """Mean absolute difference of sqrt(expected) and a measured amplitude, sqrt(photons)."""
    model = torch.sqrt(expected + EPSILON_PHOTONS**2)
    return masked_mean((model - amplitude).abs(), measured)


def realspace_mae(patches: Tensor, labels: Tensor) -> Tensor:
    """Mean modulus of the difference of complex patches and labels."""
    return (patches - labels).abs().mean()


def phase_of(image: Tensor) -> Tensor:
    """Argument of a complex image, rad; with a finite gradient where the image is zero."""
    return torch.atan2(image.imag, image.real + EPSILON_OBJECT * (image.abs() < EPSILON_OBJECT))


def total_variation(image: Tensor) -> Tensor:
    """Sum of the mean absolute differences of neighbours along both axes of images (..., H, W)."""
    return image.diff(dim=-2).abs().mean() + image.diff(dim=-1).abs().mean()


def mean_deviation(image: Tensor) -> Tensor:
    """Mean absolute deviation of images (..., H, W) from their own mean."""
    return (image - image.mean(dim=(-2, -1), keepdim=True)).abs().mean()
