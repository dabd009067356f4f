"""What a detector makes of a wave: an incoherent sum of photons, counted."""

import torch
from torch import Tensor


def intensity(detector_wave: Tensor) -> Tensor:
    """Expected photons (..., H, W): squared modulus of the wave (..., M, H, W), summed over the modes."""
    return (detector_wave.real.square() + detector_wave.imag.square()).sum(-3)


def amplitude(detector_wave: Tensor) -> Tensor:
    """Square root of the intensity, (..., H, W); its gradient at zero is zero and not NaN."""
    return torch.linalg.vector_norm(detector_wave.abs(), dim=-3)


def count_photons(expected: Tensor, generator: torch.Generator) -> Tensor:
    """Poisson counts of an expected intensity, photons; float of the same shape."""
    return torch.poisson(expected, generator=generator)
