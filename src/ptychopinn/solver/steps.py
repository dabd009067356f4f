r"""Steps of object and probe after each batch, with momentum, each in units of its own curvature.

\[ v \leftarrow \beta v - s\, \frac{g}{D}, \qquad x \leftarrow x + v \]

D is, for the object, the placed intensity of the probes and \(\alpha\) of its maximum; for the probe, the largest
summed \(|O|^2\). The arithmetic is that of `ptychopinn.physics.steps`, shared with the unrolled generators.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch

from ptychopinn.config import RefineConfig
from ptychopinn.physics.gradients import Gradients
from ptychopinn.physics.steps import damping_floor, heavy_ball, preconditioned
from ptychopinn.solver.penalties import ObjectPenalty
from ptychopinn.solver.state import State


class Update(Protocol):
    """Changes the state after each batch of patterns."""

    def apply(self, state: State, found: Gradients, share: float) -> None:
        """Take one step.

        Args:
            state: changed in place.
            found: the gradients of the batch, at the estimate before any step of this batch.
            share: the part of all patterns that the batch holds.
        """


@final
@dataclass(frozen=True)
class ObjectStep:
    """A step of the object, with the penalties."""

    config: RefineConfig
    penalties: Sequence[ObjectPenalty]

    def apply(self, state: State, found: Gradients, share: float) -> None:
        """Move the object."""
        config, estimate = self.config, state.estimate
        gradient = found.object_
        floor = damping_floor(state.power, config.damping)
        for penalty in self.penalties:
            floor = floor + penalty.curvature
            by_object = penalty.gradient(state)
            if by_object is not None:
                gradient = torch.add(gradient, by_object, alpha=share * penalty.weight)
        curvature = torch.maximum(found.probe_power, share * state.power).add_(share * floor)
        step, length = preconditioned(gradient, curvature), config.object_step * state.stage.step_length
        state.object_velocity = heavy_ball(state.object_velocity, step, config.momentum, length)
        estimate.object_ = estimate.object_ + state.object_velocity


@final
@dataclass(frozen=True)
class ProbeStep:
    """A step of all probe modes."""

    config: RefineConfig

    def apply(self, state: State, found: Gradients, share: float) -> None:
        """Move the probe, from the iteration on in which it is refined."""
        if not state.stage.probe:
            return
        config, estimate = self.config, state.estimate
        step, length = (
            preconditioned(found.probe, found.object_power.amax()),
            config.probe_step * state.stage.step_length,
        )
        state.probe_velocity = heavy_ball(state.probe_velocity, step, config.momentum, length)
        estimate.probe = estimate.probe + state.probe_velocity
