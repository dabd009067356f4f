"""Means over measured pixels or over labels, and the phase of an image with a gradient at zero."""

import torch
from torch import Tensor

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


def phase_of(image: Tensor) -> Tensor:
    """Argument of a complex image, rad; with a finite gradient where the image is zero."""
    return torch.atan2(image.imag, image.real + EPSILON_OBJECT * (image.abs() < EPSILON_OBJECT))
