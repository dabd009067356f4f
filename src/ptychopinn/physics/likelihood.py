r"""The offsets of the likelihood, one for each use with its reason, and what the physics itself needs of it.

The losses of training and solver (`ptychopinn.losses`) take theirs from here. A logarithm, a root or a quotient of
expected photons needs a smallest value. Expected photons hold the background of the experiment already; no offset
stands for that.
"""

from collections.abc import Callable

from torch import Tensor

Compare = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Expected and counted photons to the loss of each pixel and its derivative by the expected ones."""

TRAINING_PHOTONS = 1e-3
"""Photons added inside the logarithm of the loss that trains a network.

A network that is wrong by much expects no photon where some were counted; the loss is then finite, and large. Far below
one photon, so that it does not move the minimum where a pixel expects 0.1 photons or more. Doubled, the loss of such a
pixel falls by 0.7 for each photon counted there.
"""
SOLVER_PHOTONS = 0.02
"""Photons added to the expected ones in the loss and in the curvature of positions of the iterative solver.

A dark pixel with a photon then does not outweigh all others: its slope is 50 at most before `STEEPEST` limits it.
Doubled, dim pixels count for less.
"""
STEEPEST = 9.0
"""Counted over expected photons beyond which the solver's Poisson loss is a straight line of the amplitude.

The slope of the likelihood has no bound where photons were counted and none expected, and no step would be short
enough. Doubled, such a pixel may be 1.5 times as steep.
"""
SMALLEST_AMPLITUDE = 1e-3
"""Expected amplitude, sqrt(photons), below which training and unrolled steps do not divide by it.

The phase of so weak a wave is rounding error of float32 beside waves of 1e4 photons, and the derivative of its root has
no bound. Doubled, waves of fewer than 4e-6 photons keep a smaller part of a step.
"""
MODEL_ERROR = 0.2
"""Deviation of the expected photons from the true ones as the strain of the scan takes it, in units of a pixel's mean.

Where the dose is high, dim pixels, which the object fits last, would give the impression of a shrunken object until
then. Where it is low, counting noise is more than this. Doubled, the distortion rests on brighter pixels alone.
"""
ANSCOMBE_PHOTONS = 3 / 8
"""Added to counts before their root is taken, after which counting noise is 1/2 at any dose (Anscombe 1948).

The value is a theorem; any other makes the noise depend on the dose where that is low.
"""


def robust_slope(expected: Tensor, counts: Tensor, variance: Tensor) -> Tensor:
    """Derivative of the loss by the expected photons, small where these are few beside a further variance, photons."""
    return (expected - counts) / (expected + variance) / 2


def stable_root(counts: Tensor) -> Tensor:
    """Anscombe's root sqrt(k + 3/8), whose counting noise is about 1/2 at any count."""
    return (counts + ANSCOMBE_PHOTONS).sqrt()
