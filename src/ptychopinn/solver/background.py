r"""A background that is the same in all pixels and patterns, fitted together with object and probe.

After each iteration it takes the step of Newton's method, with the expected second derivative, and stays at 0 or above:

\[ \lambda_n = \sum_m |\Psi_{nm}|^2 + b, \qquad
   b \leftarrow \max\left( 0,\; b - \frac{\sum_{n, f} \ell'(\lambda_n)}{\frac12 \sum_{n, f} 1 / \lambda_n} \right) . \]

One number stands against all measured pixels, so that it cannot take up noise: without a background it ends near 0.
"""

from typing import final

from ptychopinn.solver.state import State

_SMALLEST = 1e-20
"""Curvature of a scan that holds no photon."""


@final
class FlatBackground:
    """The constraint that moves the background after each iteration."""

    def apply(self, state: State) -> None:
        """Take a step, from the second iteration on: a flat start object explains the dim pixels by no light at all."""
        if state.stage.iteration == 0 or state.background is None:
            return
        change = state.gathered.background / state.gathered.background_curvature.clamp_min(_SMALLEST)
        state.background = (state.background - change).clamp_min(0)
