"""What a detector makes of a wave: an incoherent sum of photons, counted."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


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


def count_photons(expected: Float[Tensor, "..."], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Poisson counts of an expected intensity, photons; float of the same shape."""
    return torch.poisson(expected, generator=generator)
