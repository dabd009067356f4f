r"""The point spread of the detector, a Gaussian, fitted together with object and probe.

After each iteration its variance \(s = \sigma^2\) takes the step of Newton's method, with the expected second
derivative, and stays at 0 or above:

\[ \lambda_n = G_\sigma * \sum_m |\Psi_{nm}|^2 + b, \qquad J_n = \frac{\partial \lambda_n}{\partial s}
   = \frac12 \nabla^2 (G_\sigma * |\Psi_n|^2), \qquad
   s \leftarrow \max\Big( 0,\;
   s - \frac{\sum_{n, f} \ell'(\lambda_n)\, J_n}{\frac12 \sum_{n, f} J_n^2 / \lambda_n} \Big) . \]

One number stands against all pixels, so that it cannot take up noise. But an object that is not found yet blurs
patterns too, as do wrong positions and few photons. So a blur that was not asked for is fitted only where its first
step is larger than these make it, both in px^2 and in units of counting noise, and is left out later where little of
it remains.
"""

import logging
import math
from dataclasses import dataclass
from typing import final

from ptychopinn.config import RefineConfig
from ptychopinn.solver.state import State

logger = logging.getLogger("ptychopinn.reconstruction")

START = 3
"""Iterations before a point spread acts, given or fitted: with a flat start object the steps of blurred patterns can
diverge."""
CHECK = (0.25, 10)
"""When it is decided whether a blur is fitted: after this part of the iterations, and at least so many."""
CHECK_WITH_POSITIONS = (0.5, 18)
"""The same where positions are refined: errors of 1 px give first steps of up to 0.11 px^2."""
FEWEST_AFTER = 8
"""Iterations that must follow."""
LEAST_STEP_PX2 = (0.08, 1350.0, 0.5)
"""First step from which a blur is fitted at this dose, photons per pixel of the object, and the power with which it
falls with the dose. On drawn scans without a blur it was at most 0.098 at 1350 and 0.036 at 13,500; with one of 0.7 px
0.124 or more at 1150 and 0.139 or more at 11,500, with one of 0.3 px 0.039 or more at 11,500."""
SMALLEST_STEP_PX2 = 0.025
"""What it falls to at most."""
LEAST_SIGNIFICANCE = 17.0
"""First step in units of its standard deviation by counting noise, over the square root of the number of patterns, from
which a blur is fitted. The smoothness of the object also makes patterns less sharp than the model, but by few
photons: without a blur it was at most 13.5 up to 1e6 photons in a pattern, with one of 0.7 px 22 or more at 1e5, and
with one of 0.3 px 33 or more at 1e6."""
LARGEST_MISFIT = 0.01
"""Deviance per pixel over the photons per pixel of the object beyond which no blur is looked for: something else is
wrong, such as a gap of saturated pixels (0.08). With a point spread of 0.7 or 1.5 px it was at most 0.0018 on drawn
scans of 1e5 to 1e7 photons (seeds 9401, 9402)."""
LEAST_VARIANCE_PX2 = 0.03
"""Variance that it must keep, 0.17 px squared."""
KEPT_AFTER = 6
"""Iterations after the check from which it is left out where it does not."""
FOLLOWED = (3.0, 0.7)
"""Factors on the first and on later steps: the object follows, so that the loss falls on for about three times the
step, but late and with momentum. With 1.5 on later steps the width swung between 0.37 and 0.78 px around 0.7 px."""
LARGEST_STEP_PX2 = 0.25
LARGEST_PX = 10.0
"""Standard deviation beyond which patterns hold no structure."""
_SMALLEST = 1e-20


@dataclass(frozen=True)
class Checks:
    """Iterations in which it is decided whether a blur is needed, and whether it is kept."""

    needed: int
    kept: int
    least_step_px2: float
    """First step that is needed."""
    largest_deviance: float
    """Deviance per measured pixel up to which a blur is looked for."""


def blur_of(config: RefineConfig, given_px: float, dose: float, *, is_far_field: bool) -> "DetectorBlur | None":
    """The constraint that a recipe asks for.

    Args:
        config: its `blur`.
        given_px: standard deviation that the model states.
        dose: photons per pixel of the object.
        is_far_field: else a blur that was not asked for is not looked for.
    """
    if config.blur == "fitted":
        return DetectorBlur(given_px**2)
    if config.blur == "given" or given_px > 0 or not is_far_field or not config.object:
        return None
    part, least = CHECK_WITH_POSITIONS if config.positions else CHECK
    at = max(int(part * config.iterations), least)
    step, usual, power = LEAST_STEP_PX2
    least_step = max(step * (usual / max(dose, 1.0)) ** power, SMALLEST_STEP_PX2)
    if at + FEWEST_AFTER > config.iterations:
        return None
    return DetectorBlur(0.0, Checks(at, at + KEPT_AFTER, least_step, LARGEST_MISFIT * dose))


@final
class DetectorBlur:
    """The constraint that moves the variance of the point spread after each iteration.

    Args:
        start_px2: variance to begin with.
        checks: None where a blur was asked for.
    """

    def __init__(self, start_px2: float = 0.0, checks: Checks | None = None) -> None:
        self.start_px2 = None if checks else start_px2
        self._checks = checks

    def acts(self, state: State, iteration: int) -> bool:
        """Whether an iteration needs the gradients: a step follows, or a check whether it is needed."""
        if state.blur_px2 is not None:
            return self._checks is not None or iteration >= START
        return self._checks is not None and iteration == self._checks.needed

    def apply(self, state: State) -> None:
        """Take a step."""
        if not state.stage.blur:
            return
        curvature = max(float(state.gathered.blur_curvature), _SMALLEST)
        change = -float(state.gathered.blur) / curvature
        before = 0.0 if state.blur_px2 is None else state.blur_px2
        if state.blur_px2 is None and self._checks is not None:
            significance = change * math.sqrt(2 * curvature / len(state.estimate.positions_px))
            is_clear = change > self._checks.least_step_px2 and significance > LEAST_SIGNIFICANCE
            if not is_clear or state.deviance > self._checks.largest_deviance:
                return
        length = FOLLOWED[0] if state.blur_px2 is None else FOLLOWED[1]
        after = min(max(before + length * min(change, LARGEST_STEP_PX2), 0.0), LARGEST_PX**2)
        if state.blur_px2 is None:
            logger.info(
                "the patterns are less sharp than the model: a point spread of the detector is fitted "
                "(reconstruction.refine.blur=given leaves it out)"
            )
        is_kept = self._checks is None or state.stage.iteration < self._checks.kept or after >= LEAST_VARIANCE_PX2
        state.blur_px2 = after if is_kept else None


def width_px(variance_px2: float | None) -> float | None:
    """Standard deviation, px."""
    return None if variance_px2 is None else math.sqrt(variance_px2)
