"""What a detector makes of a wave: an incoherent sum of photons, spread over its pixels, and counted."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ptychopinn.physics.fourier import gaussian_exponent


def intensity(detector_wave: Complex[Tensor, "*batch M H W"]) -> Float[Tensor, "*batch H W"]:
    """Expected photons: squared modulus of the wave, summed over the modes.

    >>> intensity(torch.tensor([3j, 4], dtype=torch.complex64).reshape(2, 1, 1)).item()
    25.0
    """
    squares = torch.view_as_real(detector_wave.resolve_conj()).square()
    photons = squares[..., 0] + squares[..., 1]
    return photons.squeeze(-3) if photons.shape[-3] == 1 else photons.sum(-3)


def amplitude(detector_wave: Complex[Tensor, "*batch M H W"]) -> Float[Tensor, "*batch H W"]:
    """Square root of the intensity, sqrt(photons); its gradient at zero is zero and not NaN."""
    return torch.linalg.vector_norm(detector_wave.abs(), dim=-3)


def blurred(photons: Float[Tensor, "*batch H W"], variance_px2: float | Tensor) -> Float[Tensor, "*batch H W"]:
    r"""Photons of a detector with a Gaussian point spread: the autocorrelation of the exit wave times a Gaussian.

    \[ I \to \mathcal{F}^{-1}\left[ e^{-2 \pi^2 \sigma^2 |x|^2}\, \mathcal{F} I \right] \]

    Periodic, keeps the sum, and is its own adjoint. Its array order does not matter.

    Args:
        photons: I, of any array order.
        variance_px2: sigma^2.

    >>> point = torch.zeros(8, 8); point[4, 4] = 1
    >>> [round(value, 2) for value in blurred(point, 1.0)[4, 3:6].tolist()]
    [0.1, 0.16, 0.1]
    """
    return _filtered(photons, torch.exp(variance_px2 * gaussian_exponent(photons, half=True)))


def blurred_slope(photons: Float[Tensor, "*batch H W"], variance_px2: float | Tensor) -> Float[Tensor, "*batch H W"]:
    """Derivative of `blurred` by the variance, photons/px^2: half of the Laplacian of the blurred photons."""
    exponent = gaussian_exponent(photons, half=True)
    return _filtered(photons, exponent * torch.exp(variance_px2 * exponent))


def _filtered(image: Tensor, transfer: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=(image.shape[-2], image.shape[-1]))


def count_photons(expected: Float[Tensor, "..."], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Poisson counts of an expected intensity, photons; float of the same shape."""
    return torch.poisson(expected, generator=generator)
