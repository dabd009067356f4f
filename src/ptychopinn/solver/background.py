r"""A background that is the same in all pixels and patterns, fitted together with object and probe.

After each iteration it takes the step of Newton's method, with the expected second derivative, and stays at 0 or above:

\[ \lambda_n = \sum_m |\Psi_{nm}|^2 + b, \qquad
   b \leftarrow \max\left( 0,\; b - \frac{\sum_{n, f} \ell'(\lambda_n)}{\frac12 \sum_{n, f} 1 / \lambda_n} \right) . \]

One number stands against all measured pixels, so that it cannot take up noise: without a background it ends near 0.
Where it was not asked for, it is set to 0 in the second half of the iterations if it holds less than `LEAST_SHARE` of
the photons: at 1e7 photons per pattern a trace of it took up errors of the object and cost 0.5 dB.
"""

from typing import final

from ptychopinn.solver.state import State

LEAST_SHARE = 1e-4
"""Part of the photons from which a background that was not asked for is kept."""
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
