r"""Corrections of single scan positions, once after each iteration.

A position takes a Gauss-Newton step, from the gradient g and the expected curvature C of the loss and of the prior that
its error has a deviation \(\sigma\) along an axis:

\[ y_n \leftarrow y_n + v_n, \qquad v_n \leftarrow \tfrac12 v_n
   - \tfrac12 \left(C_n + \tfrac{1}{2\sigma^2}\right)^{-1} \left(g_n + \tfrac{y_n - y_n^0}{2\sigma^2}\right) . \]

At first the common shift and the smooth part of all corrections are removed; see `DistortionStep.without_smooth_part`.
Later (`Stage.coupled`) only the common shift is, the object follows the positions, and gradient and curvature are those
of such joint moves; see `ptychopinn.solver.coupling`.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.physics.steps import heavy_ball
from ptychopinn.solver.coupling import Coupling
from ptychopinn.solver.distortion import DistortionStep, displaced, limited, prior_weight
from ptychopinn.solver.penalties import ObjectPenalty, gradient_by_object
from ptychopinn.solver.state import State

STEP = 0.5
"""Part of the way to where a position fits best, in one step."""
MOMENTUM = 0.5
"""Part of the last step that is repeated."""
_SMALLEST = 1e-12


@final
class PositionStep:
    """Corrects positions by steps of limited length.

    Args:
        start_px: (N, 2), the positions at the start.
        config: prior, longest step, limit, and whether the object is refined.
        distortion: holds the reference of the corrections, and removes their smooth part.
        penalties: of the object, which change where it follows the positions.

    Attributes:
        velocity_px: (N, 2), the last step, part of which is repeated.
    """

    def __init__(
        self,
        start_px: Tensor,
        config: RefineConfig,
        distortion: DistortionStep,
        penalties: Sequence[ObjectPenalty] = (),
    ) -> None:
        self._start = start_px
        self._config = config
        self._distortion = distortion
        self._penalties = penalties
        self.velocity_px = torch.zeros_like(start_px)
        self._prior = prior_weight(config)

    def apply(self, state: State) -> None:
        """Correct the positions of the state, late in a run together with its object."""
        if state.stage.coupled:
            self._move_together(state)
        elif state.stage.positions:
            estimate, gathered = state.estimate, state.gathered
            estimate.positions_px = self.corrected(
                estimate.positions_px, gathered.positions, gathered.positions_curvature
            )

    def corrected(self, positions_px: Tensor, gradient: Tensor, curvature: Tensor) -> Tensor:
        """Positions (N, 2) after one step of each, from gradient (N, 2) and curvature (N, 2, 2) of the loss."""
        gradient = gradient + self._prior * (positions_px - self._start)
        curvature = curvature + self._prior * torch.eye(2, dtype=curvature.dtype, device=curvature.device)
        self._take(_solved(curvature, gradient))
        reference = self._distortion.reference_px
        correction = self._distortion.without_smooth_part(positions_px + self.velocity_px - reference)
        return limited(reference + correction, self._start, self._config)

    def deviation_px(self, state: State) -> float | None:
        """Standard deviation of a position by counting noise, see `Coupling.deviation_px`; None before an iteration."""
        curvature = state.gathered.positions_curvature
        if not bool(curvature.any()):
            return None
        if self._config.object:
            return Coupling(state).deviation_px(curvature, self._prior)
        alone = curvature + self._prior * torch.eye(2, dtype=curvature.dtype, device=curvature.device)
        return float((torch.linalg.inv(2 * alone).diagonal(dim1=-2, dim2=-1)).mean().sqrt())

    def _move_together(self, state: State) -> None:
        estimate, gathered, before = state.estimate, state.gathered, state.estimate.positions_px
        coupling = Coupling(state)
        gradient = coupling.joint_gradient(gathered.positions, gradient_by_object(state, self._penalties))
        gradient = gradient + self._prior * (before - self._start)
        self._take(coupling.solution(gradient, gathered.positions_curvature, self._prior))
        moved = limited(before + self.velocity_px, self._start, self._config)
        estimate.positions_px = limited(moved - (moved - before).mean(0), self._start, self._config)
        images = torch.stack((estimate.object_, state.object_velocity))
        estimate.object_, state.object_velocity = displaced(images, coupling.field(estimate.positions_px - before))

    def _take(self, step: Tensor) -> None:
        """Make the velocity from whole steps (N, 2)."""
        step = STEP * step
        length = step.norm(dim=-1, keepdim=True).clamp_min(_SMALLEST)
        step = step * (self._config.positions_step_px / length).clamp_max(1)
        self.velocity_px = heavy_ball(self.velocity_px, step, MOMENTUM)


def _solved(matrix: Tensor, vector: Tensor) -> Tensor:
    """x (N, 2) of A x = b for symmetric positive A (N, 2, 2)."""
    (a, b), (_, d) = matrix.movedim(0, -1)
    determinant = (a * d - b.square()).clamp_min(_SMALLEST)
    y, x = vector.unbind(-1)
    return torch.stack((d * y - b * x, a * x - b * y), -1) / determinant.unsqueeze(-1)
