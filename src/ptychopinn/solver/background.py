r"""A background that is the same in all patterns, fitted together with object and probe.

After each iteration it takes the step of Newton's method, with the expected second derivative, and stays at 0 or above:

\[ \lambda_n = \sum_m |\Psi_{nm}|^2 + b, \qquad
   b \leftarrow \max\left( 0,\; b - \frac{\sum_{n, f} \ell'(\lambda_n)}{\frac12 \sum_{n, f} 1 / \lambda_n} \right) . \]

One number stands against all measured pixels, so that it cannot take up noise: without a background it ends near 0.
Where it was not asked for, it is set to 0 in the second half of the iterations if it holds less than `LEAST_SHARE` of
the photons: at 1e7 photons per pattern a trace of it took up errors of the object and cost 0.5 dB.

A pattern has such a number in each pixel of the detector, and the sums run over the patterns alone. It can take up
errors of object and probe where the beam is bright, so that photons that were withheld from short fits decide whether
it is fitted, and it begins after some iterations with one number.
"""

import logging
from typing import final

from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.metrics.withheld import Preference
from ptychopinn.solver.state import State
from ptychopinn.solver.trials import Trials

logger = logging.getLogger("ptychopinn.reconstruction")

LEAST_SHARE = 1e-4
"""Part of the photons from which a background that was not asked for is kept."""
PATTERN_FROM = 10
"""Iterations with one number before each pixel has its own; a run of so few has one number alone."""
_SMALLEST = 1e-20
"""Curvature of a scan that holds no photon."""


@final
class FlatBackground:
    """The constraint that moves the background after each iteration.

    Args:
        second_half: the iteration that it begins with.
        least_photons: per pixel, below which the background is set to 0 from then on.
    """

    def __init__(self, second_half: int = 0, least_photons: float = 0.0) -> None:
        self._second_half = second_half
        self._least_photons = least_photons

    def apply(self, state: State) -> None:
        """Take a step, from the second iteration on: a flat start object explains the dim pixels by no light at all."""
        if state.stage.iteration == 0 or state.background is None:
            return
        change = state.gathered.background / state.gathered.background_curvature.clamp_min(_SMALLEST)
        moved = (state.background - change).clamp_min(0)
        is_traced = state.stage.iteration >= self._second_half
        state.background = moved * (moved >= self._least_photons) if is_traced else moved


@final
class BackgroundPattern:
    """The constraint that moves the background of each pixel after each iteration."""

    def apply(self, state: State) -> None:
        """Take a step, of one number for all pixels in the first iterations."""
        if state.stage.iteration == 0 or state.background is None:
            return
        slope, curvature = state.gathered.background, state.gathered.background_curvature
        if state.stage.iteration < PATTERN_FROM:
            slope, curvature = slope.sum(), curvature.sum()
        state.background = (state.background - slope / curvature.clamp_min(_SMALLEST)).clamp_min(0)


def start_of_background(config: RefineConfig, known: Tensor | None, probe: Tensor) -> Tensor:
    """The fitted background before the first iteration, (1, 1), or (H, W) where it is a pattern."""
    is_pattern = config.background == "pattern"
    start = probe.real.new_zeros(probe.shape[-2:] if is_pattern else (1, 1))
    if known is None:
        return start
    return start + (known.to(start) if is_pattern else known.to(start).mean())


def pattern_gain(trials: Trials) -> Preference | None:
    """Of images with a background of one number and with one for each pixel; None where one of them diverges."""
    settled = trials.changed(background="flat").settled()
    if settled is None:
        return None
    trials, flat = settled
    pattern = trials.image(trials.start, trials.config.changed(background="pattern"))
    return None if pattern is None else trials.preference(trials.deviance(flat), trials.deviance(pattern))


def log_too_short(iterations: int) -> None:
    """Log that a pattern is not fitted in so few iterations."""
    logger.warning(
        "background: one number for all pixels (flat), since a number for each pixel needs more than %d iterations and "
        "reconstruction.refine.iterations is %d",
        PATTERN_FROM,
        iterations,
    )


def log_without_counts() -> None:
    """Log that a pattern is fitted without a comparison."""
    logger.info("background: a number for each pixel, without a comparison, since the counts are not whole numbers")


def log_gain(found: Preference | None) -> None:
    """Log how a pattern compares with one number, on withheld photons."""
    if found is None:
        logger.info("background: one number for all pixels, since a trial diverged")
        return
    logger.info(
        "background: %s; a number for each pixel explains withheld photons better by %.3g standard errors",
        "a number for each pixel" if found.is_second_better else "one number for all pixels",
        -found.errors,
    )
