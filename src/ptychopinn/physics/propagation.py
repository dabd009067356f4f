"""From the sample to the detector: the protocol of a propagator, and the registry of all of them."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Complex
from torch import Tensor

from ptychopinn.config import ModelConfig
from ptychopinn.physics.fourier import centre_zero_frequency, to_detector, to_sample, uncentre_zero_frequency
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.plugins import Registry

GROUP = "ptychopinn.propagators"
"""Entry points of packages that bring propagators."""


@runtime_checkable
class Propagator(Protocol):
    """A linear map of waves (..., H, W) from the sample to the detector that keeps their energy, with its adjoint."""

    @property
    def name(self) -> str:
        """Value of `model.propagation` that selects it."""
        ...

    @property
    def is_fourier(self) -> bool:
        """Whether the detector wave is the centred Fourier transform itself: then some transforms can be saved."""
        ...

    def __call__(self, exit_wave: Tensor) -> Tensor:
        """Detector wave (..., H, W), in the array order of recorded patterns."""
        ...

    def adjoint(self, detector_wave: Tensor) -> Tensor:
        """Back to the sample (..., H, W)."""
        ...


@final
class FarField:
    """Fraunhofer propagation: the centred unitary Fourier transform."""

    name = "far_field"
    is_fourier = True

    def __call__(self, exit_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Detector wave; the sum of its squared modulus equals that of the exit wave."""
        return to_detector(exit_wave)

    def adjoint(self, detector_wave: Complex[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
        """Adjoint, and inverse, of the propagation."""
        return to_sample(detector_wave)


class Transforms(NamedTuple):
    """A propagator in the array order that costs least.

    An intensity does not depend on where the wave lies in its array, so that analytic gradients need not move waves.
    """

    to_detector: Callable[[Tensor], Tensor]
    """Exit waves (..., H, W) to detector waves."""
    to_sample: Callable[[Tensor], Tensor]
    """Its adjoint."""
    order: Callable[[Tensor], Tensor]
    """Recorded patterns or masks (..., H, W) in the order of those detector waves."""
    recorded: Callable[[Tensor], Tensor]
    """Its inverse."""


def cheapest(propagator: Propagator) -> Transforms:
    """The transforms of a propagator; for the far field zero frequency stays at element (0, 0)."""
    if propagator.is_fourier:
        return Transforms(_fourier, _inverse_fourier, uncentre_zero_frequency, centre_zero_frequency)
    return Transforms(propagator, propagator.adjoint, _as_recorded, _as_recorded)


def _fourier(wave: Tensor) -> Tensor:
    return torch.fft.fft2(wave, norm="ortho")


def _inverse_fourier(wave: Tensor) -> Tensor:
    return torch.fft.ifft2(wave, norm="ortho")


def _as_recorded(pattern: Tensor) -> Tensor:
    return pattern


PropagatorFactory = Callable[[ModelConfig], Propagator]
"""Makes a propagator from the settings `model` of a recipe."""

PROPAGATORS: Registry[PropagatorFactory] = Registry(
    "propagator",
    {FarField.name: lambda _: FarField(), Fresnel.name: Fresnel.of},
    setting="model.propagation",
    group=GROUP,
)


def propagator_of(config: ModelConfig) -> Propagator:
    """The propagator that `model.propagation` names.

    Raises:
        ConfigError: no propagator has that name, or it lacks a setting.
    """
    return PROPAGATORS.resolve(config.propagation)(config)
