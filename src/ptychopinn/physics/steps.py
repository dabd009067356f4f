r"""The arithmetic of a step, shared by the iterative solver and by the unrolled generators.

A step divides a gradient by a curvature, which is the placed intensity W of the probe with a floor:

\[ s = \frac{g}{\max(D, \epsilon)}, \qquad D = W + \alpha \max W . \]

Momentum follows in one of two forms: the heavy ball of the solver, \(v \leftarrow \beta v - s,\; x \leftarrow x + v\),
or Nesterov's sequence in an unrolled generator, \(t' = \tfrac12 (1 + \sqrt{1 + 4 t^2})\), which goes on by
\((t - 1) / t'\) of the last change.
"""

import math

from torch import Tensor

SMALLEST = 1e-12
"""Photons: smallest curvature that a gradient is divided by, in pixels without illumination."""


def damping_floor(power: Tensor, damping: float) -> Tensor:
    r"""\(\alpha \max W\), (..., 1, 1), of placed intensities W (..., Y, X), photons."""
    return damping * power.amax(dim=(-2, -1), keepdim=True)


def preconditioned(gradient: Tensor, curvature: Tensor) -> Tensor:
    """A gradient in units of its curvature: the step that would reach the minimum of a parabola."""
    return gradient * curvature.clamp_min(SMALLEST).reciprocal()


def heavy_ball(velocity: Tensor, step: Tensor, momentum: float, length: float = 1.0) -> Tensor:
    r"""The next velocity \(\beta v - l s\) after a step s of length l."""
    return (momentum * velocity).sub_(step, alpha=length)


def nesterov(pace: float) -> tuple[float, float]:
    r"""The part of the last change to repeat, \((t - 1) / t'\), and the next pace t', from the pace t; it begins at 1.

    >>> nesterov(1.0)
    (0.0, 1.618033988749895)
    """
    following = (1 + math.sqrt(1 + 4 * pace**2)) / 2
    return (pace - 1) / following, following
