r"""Bring a reconstruction onto a reference, as far as phase retrieval cannot know where it lies.

The model is m(x) = s T_t[rec exp(i r.(x - x0))](x): a ramp r, a translation t and a complex scale s. A coarse
search makes several starts (ramp from the peak of FFT(rec conj(ref)), translation from complex
cross-correlation); a damped Newton iteration then minimises sum |ref - m|^2 over the mask in all parameters
at once. Nothing is unwrapped.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.checks import checked_mask, checked_pair
from ptychopinn.metrics.phase import (
    Pair,
    phase_difference,
    ramp_factor,
    remove_global_phase,
    remove_phase_ramp,
)
from ptychopinn.metrics.pose import Pose, Problem, cost, moved_mask, problem_around, same_basin
from ptychopinn.metrics.pose_fit import fine_fit
from ptychopinn.metrics.pose_search import coarse_poses, starting_ramps
from ptychopinn.metrics.translation import fill_outside, translate

__all__ = ["Alignment", "align", "phase_difference", "remove_global_phase", "remove_phase_ramp"]

CLEAR_MATCH = 0.05
"""A fit that leaves less than this part of the reference's own variation needs no second start."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """An aligned reconstruction and what was done to it.

    object_ = scale T[reconstruction exp(i ramp.(x - x0))], where T moves by `shift_px` and x0 = (Y//2, X//2).
    """

    object_: NDArray[np.complex128]
    """(Y, X), in the frame of the reference; 1 where a `support` was given and holds no data."""
    shift_px: Pair
    """(y, x): translation applied, positive towards larger rows and columns."""
    ramp_rad_per_px: Pair
    """(y, x): slope of the phase ramp applied."""
    scale: complex
    """Complex factor applied; by least squares, so noise of the phase makes its modulus smaller."""
    residual: float
    """rms |reference - object_| over rms |reference|, on the pixels of the fit."""


def align(
    reconstruction: NDArray[Any],
    reference: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    support: NDArray[np.bool_] | None = None,
    shift: bool = True,
    ramp: bool = True,
    scale: bool = True,
    opposite: Alignment | None = None,
) -> Alignment:
    """Remove sub-pixel translation, phase ramp, global phase and scale between two complex objects.

    A flip, a rotation or a conjugate is an error of the reconstruction and stays.

    Args:
        reconstruction: complex (Y, X).
        reference: complex (Y, X), in the same frame.
        mask: boolean (Y, X), True where the agreement counts; the whole frame by default.
        support: boolean (Y, X), True where the reconstruction holds data. Without it all pixels are taken as
            data for the interpolation, and the mask says which are trusted in the fit.
        shift: fit the translation.
        ramp: fit the phase ramp.
        scale: fit the modulus of the scale; the global phase is always fitted.
        opposite: the alignment of `reference` onto `reconstruction`. The fine fit then begins with shift and ramp of
            the other sign, without a search.

    Raises:
        ValueError: shapes differ, values are not finite, or the mask is empty.

    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> truth = 1 + 0.3 * np.exp(-((y - 30) ** 2 + (x - 35) ** 2) / 50) * np.exp(0.5j)
    >>> moved = np.roll(truth, (3, -2), axis=(0, 1)) * 2 * np.exp(0.01j * y)
    >>> tuple(round(value, 3) + 0.0 for value in align(moved, truth).shift_px)
    (-3.0, 2.0)
    """
    moving, target = checked_pair(reconstruction, reference, names=("reconstruction", "reference"))
    moving, target = moving.astype(np.complex128), target.astype(np.complex128)
    counts = checked_mask(mask, moving.shape)
    held = None if support is None else checked_mask(support, moving.shape, "support")
    filled = moving if held is None else fill_outside(moving, held)
    problem = problem_around(filled, target, counts, held, (shift, ramp, scale))
    if opposite is None:
        pose, residual = _solve(problem)
    else:
        pose, residual = fine_fit(problem, _reversed(opposite))
    aligned = pose.scale * translate(filled * ramp_factor(filled.shape, pose.ramp), pose.shift)
    if held is not None:
        aligned = np.where(moved_mask(held, pose.shift), aligned, 1)
    return Alignment(aligned, pose.shift, pose.ramp, pose.scale, residual)


def _reversed(alignment: Alignment) -> Pose:
    """Shift and ramp that take an alignment back; their common phase is fitted."""
    (y, x), (ramp_y, ramp_x) = alignment.shift_px, alignment.ramp_rad_per_px
    return Pose((-y, -x), (-ramp_y, -ramp_x))


def _solve(problem: Problem) -> tuple[Pose, float]:
    """A fine fit from the likeliest start and, unless that matches clearly, from the best of the others."""
    rank = partial(cost, problem)
    starts = starting_ramps(problem)
    coarse = sorted(coarse_poses(problem, next(starts)), key=rank)
    first = coarse[0][0]
    best = fine_fit(problem, first)
    if best[1] < CLEAR_MATCH * problem.contrast():
        return best
    coarse += [found for start in starts for found in coarse_poses(problem, start)]
    others = [found for found in coarse if not same_basin(found[0], first, problem.moving.shape)]
    if others:
        second = fine_fit(problem, min(others, key=rank)[0])
        best = min(best, second, key=rank)
    return best
