"""Penalties in the steps of the object: which ones the recipe asks for, and what each of them is applied to."""

from dataclasses import dataclass
from typing import Protocol, final

from ptychopinn.config import RefineConfig
from ptychopinn.losses import Penalty, SingleMaterial, Smoothness, penalty
from ptychopinn.losses.single_material import material_direction
from ptychopinn.solver.state import State
from ptychopinn.typing import Canvas

DIRECTION_START = 5
"""Iterations before the ratio of absorption and phase is estimated: a flat object has none."""


class ObjectPenalty(Protocol):
    """A penalty with its weight."""

    @property
    def weight(self) -> float:
        """Photons."""

    @property
    def curvature(self) -> float:
        """Photons: what the penalty adds to the curvature of the object."""

    def gradient(self, state: State) -> Canvas | None:
        """Derivative of the unweighted penalty by the conjugate of the object, (Y, X); None if it does not act yet."""


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
    chosen: list[ObjectPenalty] = []
    if config.smoothness:
        chosen.append(ObjectTerm(config.smoothness, Smoothness(config.edge_preserving)))
    if config.single_material:
        chosen.append(EstimatedMaterial(config.single_material))
    return chosen + [ObjectTerm(weight, penalty(name)) for name, weight in config.penalties.items() if weight]
