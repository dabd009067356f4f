r"""Near-field propagation between two planes with the same pixel, by the angular spectrum.

\[ \Psi = \mathcal{F}^{-1}\left[ e^{-i \pi f^2 / F}\, \mathcal{F} \psi \right], \qquad
   F = \frac{p^2}{\lambda z} \]

with spatial frequencies f in cycles per pixel and the Fresnel number F of one pixel of size p; \(\lambda\) is the
wavelength and z the distance. For a cone beam p and z are the effective ones: the detector pixel and the distance, each
over the magnification. The phase is the paraxial limit of the exact angular spectrum, \(\frac{2 \pi z}{\lambda}
(\sqrt{1 - (\lambda f / p)^2} - 1)\); evanescent waves do not occur in it, so that the map is unitary.

The window is periodic: what leaves it on one side comes in on the other. The beam must fit into it together with its
fringes, which reach 0.5 / F px at most.

Goodman, Introduction to Fourier Optics, chapters 3 and 4.
"""

import math
from typing import final

import torch
from jaxtyping import Complex
from torch import Tensor

from ptychopinn.config import ModelConfig
from ptychopinn.errors import ConfigError, PtychoPINNError
from ptychopinn.physics.fourier import frequencies, uncentre_zero_frequency


@final
class Fresnel:
    """Near field of one Fresnel number; see the module.

    Args:
        fresnel_number: F, of one pixel, dimensionless.

    Raises:
        ConfigError: F is not positive.

    >>> wave = torch.randn(3, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> near = Fresnel(0.1)
    >>> torch.allclose(near.adjoint(near(wave)), wave, atol=1e-5)
    True
    """

    name = "near_field"
    is_fourier = False

    def __init__(self, fresnel_number: float) -> None:
        if not 0 < fresnel_number < math.inf:
            raise ConfigError(f"fresnel_number must be positive and finite, got {fresnel_number!r}; correct it")
        self.fresnel_number = fresnel_number

    @classmethod
    def of(cls, config: ModelConfig) -> "Fresnel":
        """The propagator of the settings `model` of a recipe.

        Raises:
            ConfigError: they have no Fresnel number.
        """
        if config.fresnel_number is None:
            raise ConfigError(
                "model.fresnel_number must be given for model.propagation=near_field where the scan does not state its "
                "geometry, got none; set it to pixel^2 / (wavelength * distance), each at the sample"
            )
        return cls(config.fresnel_number)

    def __call__(self, exit_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Detector wave; the sum of its squared modulus equals that of the exit wave.

        Raises:
            PtychoPINNError: the Fresnel number is too small for so few pixels.
        """
        return torch.fft.ifft2(torch.fft.fft2(exit_wave) * self._transfer(exit_wave))

    def adjoint(self, detector_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Adjoint, and inverse, of the propagation."""
        return torch.fft.ifft2(torch.fft.fft2(detector_wave) * self._transfer(detector_wave).conj())

    def _transfer(self, wave: Tensor) -> Complex[Tensor, "H W"]:
        """Factor on the spectrum, zero frequency at element (0, 0): the product of one factor for each axis."""
        sides = (wave.shape[-2], wave.shape[-1])
        if min(sides) * self.fresnel_number < 1:
            raise PtychoPINNError(
                f"the Fresnel number of a pixel must be at least 1 / {min(sides)} for patterns of {sides[0]}x{sides[1]}"
                f" px, got {self.fresnel_number:.4g}: the phase of the propagator changes by more than pi from one "
                "frequency to the next; use larger patterns, or bin the detector pixels"
            )
        rows, columns = (self._along(frequencies(side, device=wave.device, dtype=wave.real.dtype)) for side in sides)
        return uncentre_zero_frequency(rows.unsqueeze(-1) * columns.unsqueeze(-2))

    def _along(self, frequency: Tensor) -> Tensor:
        angle = -math.pi / self.fresnel_number * frequency**2
        return torch.polar(torch.ones_like(angle), angle)
