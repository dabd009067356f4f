"""Penalties in the steps of the object: which ones the recipe asks for, and what each of them is applied to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch

from ptychopinn.config import RefineConfig
from ptychopinn.losses import Penalty, SingleMaterial, Smoothness, TotalVariation, penalty
from ptychopinn.losses.single_material import material_direction
from ptychopinn.solver.bins import binned, on_pixels
from ptychopinn.solver.state import State
from ptychopinn.typing import Canvas

DIRECTION_START = 5
"""Iterations before the ratio of absorption and phase is estimated: a flat object has none."""


EDGE = 0.03
"""Chosen value of `edge_preserving`."""
_SMALLEST = 1e-12
USUAL_DOSE = 1e3
"""Photons per pixel, where no scan is at hand."""


def smoothness_by_dose(photons_per_px: float) -> float:
    """Weight of the edge-preserving penalty, photons; chosen on drawn scans, see benchmarks/results/penalties.md.

    >>> [round(smoothness_by_dose(dose)) for dose in (14, 140, 14e3)]
    [18, 44, 811]
    """
    return float(12 + max(photons_per_px, 0.0) ** 0.7)


def with_penalties(config: RefineConfig, photons_per_px: float = USUAL_DOSE) -> RefineConfig:
    """The settings with numbers where the penalties are to be chosen by the dose.

    Args:
        config: null in `smoothness` stands for a choice.
        photons_per_px: mean photons on a pixel of the object; the usual dose stands for a number that is not finite, so
            that a start without meaning diverges in the first iteration.
    """
    if config.smoothness is not None:
        return config
    if not math.isfinite(photons_per_px):
        photons_per_px = USUAL_DOSE
    edge = EDGE if config.edge_preserving is None else config.edge_preserving
    return config.changed(smoothness=smoothness_by_dose(photons_per_px), edge_preserving=edge)


class ObjectPenalty(Protocol):
    """A penalty with its weight."""

    @property
    def weight(self) -> float:
        """Photons."""

    @property
    def curvature(self) -> float:
        """Photons: what the penalty adds to the curvature of the object."""

    @property
    def of_differences(self) -> bool:
        """Whether it depends on differences of neighbouring pixels alone, so that slow changes cost little."""

    def gradient(self, state: State) -> Canvas | None:
        """Derivative of the unweighted penalty by the conjugate of the object, (Y, X); None if it does not act yet."""


def penalty_gradient(penalty: ObjectPenalty, state: State) -> Canvas | None:
    """Derivative of an unweighted penalty, without its slow part along the modulus where intensities are fitted.

    A penalty on differences is smaller for an object of smaller modulus. Where the intensity of each pattern is fitted,
    it compensates a slow change of the modulus: an object lost 2 % of its modulus in places, and the intensities rose.
    """
    found = penalty.gradient(state)
    if found is None or state.estimate.intensities is None:
        return found
    object_ = state.estimate.object_
    radial = torch.stack(((object_.conj() * found).real, object_.abs().square()))
    parts = binned(radial, state.slow_px)
    slow = on_pixels(parts[0] / parts[1].clamp_min(_SMALLEST), state.slow_px, object_.shape)
    return found - slow * object_


@final
@dataclass(frozen=True)
class ObjectTerm:
    """A penalty on the object.

    Args:
        weight: photons.
        penalty: of the registry.
    """

    weight: float
    penalty: Penalty

    @property
    def curvature(self) -> float:
        """Photons."""
        return self.penalty.curvature * self.weight

    @property
    def of_differences(self) -> bool:
        """Known of our own penalties; another one may depend on anything."""
        return isinstance(self.penalty, Smoothness | TotalVariation)

    def gradient(self, state: State) -> Canvas:
        """At the present object."""
        return self.penalty.gradient(state.estimate.object_)


@final
class EstimatedMaterial:
    """The single-material penalty; its direction is estimated from the object at the start of each iteration.

    Attributes:
        direction: direction of ln O in the complex plane, of modulus 1; None until it was estimated.
        correlation: correlation of absorption and phase, from -1 to 1.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.direction: complex | None = None
        self.correlation = 0.0
        self._iteration = -1

    @property
    def curvature(self) -> float:
        """Photons."""
        return SingleMaterial().curvature * self.weight

    @property
    def of_differences(self) -> bool:
        """Of differences of ln O."""
        return True

    def gradient(self, state: State) -> Canvas | None:
        """At the present object, from iteration `DIRECTION_START` on."""
        iteration = state.stage.iteration
        if iteration < DIRECTION_START:
            return None
        if iteration != self._iteration:
            self.direction, self.correlation = material_direction(state.estimate.object_, state.power)
            self._iteration = iteration
        return SingleMaterial(self.direction).gradient(state.estimate.object_)


def penalties_of(config: RefineConfig) -> list[ObjectPenalty]:
    """The penalties of a recipe, in the order in which they are added.

    Raises:
        ConfigError: a name that nobody registered.
    """
    config = with_penalties(config)
    chosen: list[ObjectPenalty] = []
    if config.smoothness:
        chosen.append(ObjectTerm(config.smoothness, Smoothness(config.edge_preserving)))
    if config.single_material:
        chosen.append(EstimatedMaterial(config.single_material))
    return chosen + [ObjectTerm(weight, penalty(name)) for name, weight in config.penalties.items() if weight]


def gradient_by_object(state: State, penalties: Sequence[ObjectPenalty]) -> Canvas:
    """(Y, X): of data and penalties by the conjugate of the object, gathered over an iteration."""
    total = state.gathered.object_
    for each in penalties:
        found = penalty_gradient(each, state)
        if found is not None:
            total = torch.add(total, found, alpha=each.weight)
    return total
