"""Means over measured pixels or over labels, and the phase of an image with a gradient at zero."""

import torch
from torch import Tensor

from ptychopinn.physics.likelihood import SMALLEST_AMPLITUDE

EPSILON_OBJECT = 1e-6
"""Modulus of an object below which its phase is held, against the pole of the gradient at zero."""


def masked_mean(values: Tensor, measured: Tensor | None) -> Tensor:
    """Mean of values (..., H, W) where `measured` (broadcastable) is True; everywhere without a mask."""
    if measured is None:
        return values.mean()
    weight = measured.expand(values.shape)
    return torch.where(weight, values, torch.zeros_like(values)).sum() / weight.sum().clamp_min(1)


def realspace_mae(patches: Tensor, labels: Tensor) -> Tensor:
    """Mean modulus of the difference of complex patches and labels."""
    return (patches - labels).abs().mean()


def weighted_mae(patches: Tensor, labels: Tensor, power: Tensor) -> Tensor:
    r"""Mean modulus of the difference of complex patches and labels, weighted by the probe's intensity.

    \[ \ell = \frac{\sum |P|^2\, |O - Y|}{\sum |P|^2} \]

    Args:
        patches: O, (B, G, H, W).
        labels: Y, (B, G, H, W).
        power: \(|P|^2\), (B, G, H, W), not negative.
    """
    return (power * (patches - labels).abs()).sum() / power.sum()


def shape_of_amplitudes(expected: Tensor, counts: Tensor, measured: Tensor | None = None) -> Tensor:
    r"""Mean squared difference of amplitudes, each pattern divided by its root mean square; the dose cancels.

    \[ \ell = \left\langle \left( \frac{a}{\sqrt{\langle a^2 \rangle}}
       - \frac{\sqrt k}{\sqrt{\langle k \rangle}} \right)^2 \right\rangle, \qquad a = \sqrt{\lambda + \epsilon^2} \]

    The means are over the measured pixels of a pattern, that of the result over all patterns; \(\epsilon\) is
    `SMALLEST_AMPLITUDE`. A pattern without counts is compared with zero.

    Args:
        expected: \(\lambda\), photons, (B, G, H, W).
        counts: k, photons, (B, G, H, W).
        measured: (B, G, H, W) or (H, W), False at bad pixels; None where every pixel was measured.
    """
    unit = [_per_mean(values, measured).sqrt() for values in (expected + SMALLEST_AMPLITUDE**2, counts)]
    return masked_mean((unit[0] - unit[1]).square(), measured)


def _per_mean(photons: Tensor, measured: Tensor | None) -> Tensor:
    """Photons (..., H, W) over the mean of their pattern."""
    weight = torch.ones_like(photons) if measured is None else measured.expand(photons.shape).to(photons.dtype)
    mean = (weight * photons).sum((-2, -1), keepdim=True) / weight.sum((-2, -1), keepdim=True).clamp_min(1)
    return photons / mean.clamp_min(SMALLEST_AMPLITUDE**2)


def phase_of(image: Tensor) -> Tensor:
    """Argument of a complex image, rad; with a finite gradient where the image is zero."""
    return torch.atan2(image.imag, image.real + EPSILON_OBJECT * (image.abs() < EPSILON_OBJECT))
