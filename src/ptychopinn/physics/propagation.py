"""From the sample to the detector."""

from typing import Protocol, runtime_checkable

from jaxtyping import Complex
from torch import Tensor, nn

from ptychopinn.physics.fourier import to_detector, to_sample


@runtime_checkable
class Propagator(Protocol):
    """A linear map of waves (..., H, W) to the detector, with its adjoint."""

    def __call__(self, exit_wave: Tensor) -> Tensor:
        """Detector wave (..., H, W)."""
        ...

    def adjoint(self, detector_wave: Tensor) -> Tensor:
        """Back to the sample (..., H, W)."""
        ...


class FarField(nn.Module):
    """Fraunhofer propagation: the centred unitary Fourier transform."""

    def forward(self, exit_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Detector wave; the sum of its squared modulus equals that of the exit wave."""
        return to_detector(exit_wave)

    def adjoint(self, detector_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Adjoint, and inverse, of the propagation."""
        return to_sample(detector_wave)
