"""Near-field patterns as a magnified image of the sample: how the image moves when the sample moves."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.masks import masks_of

PAIRS = 64
"""Neighbouring patterns that are compared first."""
LARGEST_IMAGE_PX = 256
"""Larger patterns are binned before they are compared."""
FARTHEST = 1 / 6
"""Movement of the image, in windows, up to which pairs are compared for the magnification.

On the measured near-field set of PETRA III the result is 302, 305, 305 for 1/12, 1/6, 1/3: short movements are measured
less exactly, and long ones leave less in common.
"""
MOST_PAIRS = 256
"""Pairs that are compared for the magnification; on the same set 128 to 1024 pairs give 305.1 to 304.3."""
TOGETHER = 8
"""Pairs that are transformed at once. Those of 128 px fit into the cache: 64 pairs take 15 ms, and 24 ms at once."""
FAR_OUT = 20.0
"""Distance from the middle of a scan, in medians of that distance, above which a position was not recorded rightly. A
line has 2, a raster 1.5; one lost value would outweigh all others in the regression."""
FEWEST_PAIRS = 8
"""Pairs below which the first estimate is kept: a straight line with two slopes needs several points on each axis."""
OUTLIER = 0.3
"""Part of the expected movement by which a pair may differ; a wrong peak is a random one, anywhere in the window."""
FAINT = 1 / 50
"""Part of the largest mean count below which a pixel is left out: a ratio to the mean would be noise there."""


@dataclass(frozen=True)
class Shadow:
    """Patterns as a magnified image of the sample, which moves over the detector when the sample moves."""

    correlation: float
    """Between both movements, the smaller one of the two axes."""
    magnification: float
    """Movement of the image over that of the sample."""
    lit_m: float
    """Diameter of what the beam illuminates on the sample: four times the rms width of the mean pattern, over the
    magnification."""


def shadow_of(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, parts: Hdf5Parts) -> Shadow | None:
    """How the patterns move when the sample does; none without positions in metres and a detector pixel."""
    positions, pixel = parts.positions_m, parts.geometry.detector_pixel_m
    if positions is None or pixel is None or len(positions) != len(patterns) or len(patterns) < 4:
        return None
    known = _recorded(positions)
    if len(known) < 4:
        return None
    some = known[np.unique(np.linspace(0, len(known) - 1, PAIRS).astype(np.int64))]
    nearest = known[_nearest(positions[known], positions[some])]
    bins = -(-patterns.shape[-1] // LARGEST_IMAGE_PX)
    frames = _measured(patterns, bad_pixels, np.concatenate([some, nearest]), bins, np.float32)
    mean = frames.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all() or not mean.sum() > 0:
        return None
    frames -= mean.astype(np.float32)
    image = _shifts_px(frames[: len(some)], frames[len(some) :]) * pixel * bins
    beam = positions[some] - positions[nearest]
    return _regression(image, beam, 4 * _rms_width_px(mean) * float(np.mean(pixel)) * bins)


def refined(shadow: Shadow, patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, parts: Hdf5Parts) -> Shadow:
    """The shadow with a better value of the magnification.

    Each pattern is divided by the mean pattern, which removes what does not move. Pairs are taken whose images lie up
    to `FARTHEST` windows apart, and the peaks of their cross-correlations are found to a part of a pixel. Pairs that
    differ from the value so far by more than `OUTLIER` are left out.

    Args:
        shadow: found by `shadow_of`; returned as it is if fewer than `FEWEST_PAIRS` pairs remain.
        patterns: (N, H, W), counts.
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        parts: of the file, with positions in metres and the detector pixel.
    """
    positions, detector = parts.positions_m, parts.geometry.detector_pixel_m
    if positions is None or detector is None:
        return shadow
    known = _recorded(positions)
    some = known[np.unique(np.linspace(0, len(known) - 1, 2 * PAIRS).astype(np.int64))]
    bins = -(-patterns.shape[-1] // LARGEST_IMAGE_PX)
    frames, pixel = _contrast(_measured(patterns, bad_pixels, some, bins, np.float64)), np.asarray(detector) * bins
    one, other = _pairs(positions[some], FARTHEST * frames.shape[-1] * float(pixel.min()) / shadow.magnification)
    if len(one) < FEWEST_PAIRS:
        return shadow
    runs = np.array_split(np.arange(len(one)), -(-len(one) // PAIRS))
    image = np.concatenate([_shifts_px(frames[one[run]], frames[other[run]], subpixel=True) for run in runs]) * pixel
    found = _magnification(image, positions[some][one] - positions[some][other], shadow.magnification, pixel)
    return replace(shadow, magnification=found, lit_m=shadow.lit_m * shadow.magnification / found)


def _magnification(
    image: NDArray[np.float64], beam: NDArray[np.float64], first: float, pixel: NDArray[np.float64]
) -> float:
    """Movement of the image over that of the beam, (P, 2) each, without outliers; mean over both axes."""
    sign, found = np.sign((image * beam).sum(axis=0)), first
    for _ in range(3):
        expected = found * sign * beam
        tolerance = np.maximum(OUTLIER * np.abs(expected).max(axis=1), 2 * pixel.max())
        kept = (np.abs(image - expected) <= tolerance[:, None]).all(axis=1)
        better = _regression(image[kept], beam[kept], 1.0) if kept.sum() >= FEWEST_PAIRS else None
        found = found if better is None else better.magnification
    return found


def _contrast(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames over their mean, minus 1; 0 where the mean is below `FAINT` of its maximum."""
    mean = frames.mean(axis=0)
    bright = mean > mean.max() * FAINT
    return np.where(bright, frames / np.where(bright, mean, 1) - 1, 0)


def _pairs(positions: NDArray[np.float64], farthest_m: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Up to `MOST_PAIRS` pairs that lie no farther apart, the most distant of them."""
    one, other = np.triu_indices(len(positions), 1)
    apart = np.sqrt(np.square(positions[one] - positions[other]).sum(axis=1))
    near = np.flatnonzero((apart > 0) & (apart <= farthest_m))
    chosen = near[np.argsort(apart[near])][-MOST_PAIRS:]
    return one[chosen], other[chosen]


def _measured(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    bins: int,
    dtype: type[np.floating[Any]],
) -> NDArray[Any]:
    """Some of the patterns, zero at bad pixels where the mask fits, sums of `bins` x `bins` pixels."""
    usable = bad_pixels is not None and bad_pixels.shape in (patterns.shape, patterns.shape[1:])
    height, width = (length // bins for length in patterns.shape[1:])
    frames = np.empty((len(rows), height, width), dtype)
    for frame, row in zip(frames, rows, strict=True):
        counts = patterns[row].astype(dtype)
        if usable and bad_pixels is not None:
            counts[masks_of(bad_pixels, row)] = 0
        if bins > 1:
            blocks = counts[: height * bins, : width * bins].reshape(height, bins, width, bins)
            counts = blocks.sum(axis=(1, 3))
        frame[:] = counts
    return frames


def _recorded(positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions without lost encoder values: finite ones, no farther out than `FAR_OUT` times most of them."""
    finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
    out = np.abs(positions[finite] - np.median(positions[finite], axis=0)).max(axis=1, initial=0)
    return finite[out <= FAR_OUT * np.median(out)] if len(finite) else finite


def _nearest(positions: NDArray[np.float64], some: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each of `some`, the nearest position that is not the same."""
    apart = np.square(some[:, None] - positions[None]).sum(axis=-1)
    return np.where(apart > 0, apart, np.inf).argmin(axis=1)


def _shifts_px(a: NDArray[Any], b: NDArray[Any], subpixel: bool = False) -> NDArray[np.float64]:
    """(P, 2), (y, x): by how much each of `a` has to be moved back to lie on its partner in `b`.

    With `subpixel` the peak of the cross-correlation is that of the parabola through it and its neighbours.
    """
    runs = [slice(start, start + TOGETHER) for start in range(0, len(a), TOGETHER)]
    return np.concatenate([_shifts_of_run(a[run], b[run], subpixel) for run in runs])


def _shifts_of_run(a: NDArray[Any], b: NDArray[Any], subpixel: bool) -> NDArray[np.float64]:
    """`_shifts_px` of a few pairs."""
    height, width = a.shape[-2:]
    product = np.fft.rfft2(a) * np.conj(np.fft.rfft2(b))
    correlation = np.fft.irfft2(product, s=(height, width))
    flat = correlation.reshape(len(a), -1).argmax(axis=1)
    peak = np.stack(np.unravel_index(flat, (height, width)), axis=1)
    half = np.array([height // 2, width // 2])
    whole = ((peak + half) % [height, width] - half).astype(np.float64)
    return whole + _parabola(correlation, peak) if subpixel else whole


def _parabola(correlation: NDArray[np.float64], peak: NDArray[np.intp]) -> NDArray[np.float64]:
    """(P, 2): where the maximum lies beside the largest element, in [-1/2, 1/2]."""
    rows = np.arange(len(peak))
    top = correlation[rows, peak[:, 0], peak[:, 1]]
    offsets = np.zeros(peak.shape)
    for axis in (0, 1):
        step = np.eye(2, dtype=np.int64)[axis]
        before, after = (correlation[rows, *((peak + side * step) % correlation.shape[1:]).T] for side in (-1, 1))
        curvature = before - 2 * top + after
        peaked = curvature < 0
        offsets[:, axis] = np.where(peaked, (before - after) / np.where(peaked, 2 * curvature, 1), 0)
    return offsets


def _rms_width_px(mean: NDArray[np.float64]) -> float:
    """Mean over both axes of the rms width of a pattern."""
    widths = []
    for axis in (0, 1):
        profile = mean.sum(axis=1 - axis)
        place = np.arange(len(profile))
        centre = (profile * place).sum() / profile.sum()
        widths.append(np.sqrt((profile * (place - centre) ** 2).sum() / profile.sum()))
    return float(np.mean(widths))


def _regression(image: NDArray[np.float64], beam: NDArray[np.float64], lit_on_detector_m: float) -> Shadow | None:
    """Movement of the image as a multiple of that of the beam, on both axes."""
    common, powers = (image * beam).sum(axis=0), np.square(beam).sum(axis=0)
    moved = np.square(image).sum(axis=0)
    if not (powers > 0).all() or not (moved > 0).all() or not common.all():
        return None
    magnification = float(np.abs(common / powers).mean())
    correlation = float((np.abs(common) / np.sqrt(powers * moved)).min())
    return Shadow(correlation, magnification, lit_on_detector_m / magnification)
