"""Coarse search for poses: cross-correlation and phase slopes, from several starts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.phase import Pair, estimate_phase_ramp
from ptychopinn.metrics.pose import Pose, Problem, same_basin, scored


def starting_ramps(problem: Problem) -> Iterator[Pair]:
    """The peak of FFT(rec conj(ref)); none; the offset of the spectra, which no translation moves."""
    if problem.ramp:
        yield _corrected_ramp(problem, Pose())
    yield 0.0, 0.0
    if problem.ramp:
        yield _spectral_offset(problem)


def coarse_poses(problem: Problem, ramp: Pair, rounds: int = 3) -> Iterator[tuple[Pose, float]]:
    """Correct translation and ramp in turn; every round is a candidate, with its residual."""
    pose = Pose(ramp=ramp)
    yield scored(problem, pose, problem.valid(pose.shift))
    for _ in range(rounds):
        before = pose
        if problem.shift:
            pose = replace(pose, shift=_corrected_shift(problem, pose))
        if problem.ramp:
            pose = replace(pose, ramp=_corrected_ramp(problem, pose))
        yield scored(problem, pose, problem.valid(pose.shift))
        if same_basin(pose, before, problem.moving.shape):
            break


def _spectral_offset(problem: Problem) -> Pair:
    import scipy.fft

    window = _window(problem.counts)
    spectra = [np.abs(scipy.fft.fft2(array * window)) for array in (problem.target, problem.moving)]
    offset = _registered(spectra[0], spectra[1])
    return 2 * np.pi * offset[0] / window.shape[0], 2 * np.pi * offset[1] / window.shape[1]


def _corrected_shift(problem: Problem, pose: Pose) -> Pair:
    """Add the translation that the windowed, mean-free complex cross-correlation still sees."""
    valid = problem.valid(pose.shift)
    window = _window(valid)
    if not window.any():
        return pose.shift
    moved = problem.model(replace(pose, scale=1.0))
    target, moved = (array - np.average(array, weights=window) for array in (problem.target, moved))
    step = _registered(target * window, moved * window)
    limit = [size / 4 for size in valid.shape]
    total = (pose.shift[0] + step[0], pose.shift[1] + step[1])
    return pose.shift if any(abs(t) > most for t, most in zip(total, limit, strict=True)) else total


def _corrected_ramp(problem: Problem, pose: Pose) -> Pair:
    """Take off the slope that the phase of model conj(ref) still has."""
    product = problem.model(replace(pose, scale=1.0)) * problem.target.conj()
    slope = estimate_phase_ramp(np.where(problem.valid(pose.shift), product, 0))
    return pose.ramp[0] - slope[0], pose.ramp[1] - slope[1]


def _registered(target: NDArray[Any], moving: NDArray[Any]) -> Pair:
    """Shift (y, x), px, to a tenth of a pixel, that moves `moving` onto `target`; zero where one is empty."""
    from skimage.registration import phase_cross_correlation

    if not (np.any(target) and np.any(moving)):
        return 0.0, 0.0
    shift = phase_cross_correlation(target, moving, upsample_factor=10, normalization=None)[0]
    return float(shift[0]), float(shift[1])


def _window(counts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A Hann window over the bounding box of the mask, zero outside the mask."""
    window = np.zeros(counts.shape)
    if not counts.any():
        return window
    rows, columns = np.flatnonzero(counts.any(1)), np.flatnonzero(counts.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    hann = [np.hanning(line[-1] - line[0] + 3)[1:-1] for line in (rows, columns)]
    window[box] = hann[0][:, None] * hann[1][None, :]
    return np.where(counts, window, 0)
