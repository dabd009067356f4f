r"""Steps of object and probe after each batch, with momentum, each in units of its own curvature.

\[ v \leftarrow \beta v - s\, \frac{g}{D}, \qquad x \leftarrow x + v \]

D is, for the object, the placed intensity of the probes and \(\alpha\) of its maximum; for the probe, the largest
summed \(|O|^2\). The arithmetic is that of `ptychopinn.physics.steps`, shared with the unrolled generators.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.gradients import Gradients
from ptychopinn.physics.steps import damping_floor, heavy_ball, preconditioned
from ptychopinn.solver.penalties import ObjectPenalty, penalty_gradient
from ptychopinn.solver.state import State

LARGEST_MOVE = 0.5
"""Part of the way to the minimum of one pattern that a pixel may move before the next pattern corrects it."""

RELAXATION_STEP, RELAXATION_MOMENTUM = 0.3, 0.7
"""Step of the modes by which the probe varies, in units of that of the probe, and their momentum. With 1 and 0.9 their
power swung by a factor of 2 and some runs diverged; with no momentum 40 iterations were too few on drawn scans."""


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
            by_object = penalty_gradient(penalty, state)
            if by_object is not None:
                gradient = torch.add(gradient, by_object, alpha=share * penalty.weight)
        curvature = torch.maximum(found.probe_power, share * state.power).add_(share * floor)
        length = sparse_step(config.object_step, config.momentum, share * state.overlap) * state.stage.step_length
        step = preconditioned(gradient, curvature)
        state.object_velocity = heavy_ball(state.object_velocity, step, config.momentum, length)
        estimate.object_ = estimate.object_ + state.object_velocity


def probe_curvature(estimate: Estimate, object_power: Tensor) -> Tensor:
    r"""The largest summed \(|O|^2\): a scalar, or of each mode of several probes, (K M, 1, 1).

    A probe that few patterns of a batch have, or none, counts as if it had its share of them.
    """
    several = estimate.several
    if several is None:
        return object_power.amax()
    own = object_power.amax((-2, -1))
    shared = several.shares.to(own) * object_power.sum(0).amax()
    return several.for_modes(torch.maximum(own, shared), estimate.probe)[:, None, None]


def sparse_step(step: float, momentum: float, visits: float) -> float:
    r"""A step length that momentum does not make too long where few patterns of a batch overlap.

    A pattern moves its pixels in its own batch, and momentum moves them on until the next pattern there corrects them.
    With q patterns on a pixel in each batch that is after 1/q batches, and the pixel has moved by
    \(s\, (1 - \beta^{1/q}) / (1 - \beta)\) of the way to the minimum of the first pattern; this must be at most
    `LARGEST_MOVE`.

    Args:
        step: s, in units of the inverse curvature.
        momentum: beta.
        visits: q.

    >>> sparse_step(0.3, 0.9, 1.0), round(sparse_step(0.3, 0.9, 0.05), 3)
    (0.3, 0.057)
    """
    moved = step * (1 - momentum ** (1 / max(visits, 1e-6))) / (1 - momentum)
    return step * min(1.0, LARGEST_MOVE / moved)


@final
@dataclass(frozen=True)
class ProbeStep:
    """A step of all probe modes, and of those by which the probe varies, whose weights have a mean square of 1."""

    config: RefineConfig

    def apply(self, state: State, found: Gradients, share: float) -> None:
        """Move the probe, from the iteration on in which it is refined."""
        if not state.stage.probe:
            return
        assert found.probe is not None
        assert found.object_power is not None
        config, estimate = self.config, state.estimate
        length = config.probe_step * state.stage.step_length
        step = preconditioned(found.probe, probe_curvature(estimate, found.object_power))
        state.probe_velocity = heavy_ball(state.probe_velocity, step, config.momentum, length)
        estimate.probe = estimate.probe + state.probe_velocity
        if found.relaxation is not None and estimate.relaxation is not None:
            step = preconditioned(found.relaxation.modes, found.object_power.amax())
            state.relaxation_velocity = heavy_ball(
                state.relaxation_velocity, step, RELAXATION_MOMENTUM, RELAXATION_STEP * length
            )
            modes = estimate.relaxation.modes + state.relaxation_velocity
            estimate.relaxation = replace(estimate.relaxation, modes=modes)
