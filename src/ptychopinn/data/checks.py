"""Checks of the arrays of a scan.

Every function returns the array in its normal form, or raises a `ScanError` that starts with `where`, the source of the
scan. An optional array that is None stays None.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ptychopinn.data.chunks import as_contiguous, frame_chunks
from ptychopinn.data.large_arrays import new_array
from ptychopinn.data.masks import has_own_masks, masks_of
from ptychopinn.data.probe_planes import complex_probe
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")


@dataclass(frozen=True)
class Summary:
    """Statistics of one pass over the patterns."""

    smallest: NDArray[np.float64]
    """(N,): of each frame; NaN where the frame holds one."""
    largest: NDArray[np.float64]
    """(N,)."""
    mean_intensity: NDArray[np.float64]
    """(H, W)."""
    total: float
    """Sum of the intensity of all patterns."""


def checked_patterns(values: Any, where: str) -> NDArray[Any]:
    """(N, H, H) in the recorded type and native byte order; integers or floats."""
    patterns = np.asarray(values)
    if patterns.dtype.kind == "c":
        raise ScanError(
            f"{where}: the patterns are complex; must be amplitude or counts, save their absolute value instead"
        )
    if patterns.dtype.kind not in "uif":
        raise ScanError(
            f"{where}: the patterns have type {patterns.dtype}; must be integers or floats, "
            "convert them with numpy.asarray(patterns, dtype=numpy.float32)"
        )
    if patterns.ndim != 3 or 0 in patterns.shape:
        raise ScanError(
            f"{where}: the patterns have shape {patterns.shape}; must be (N, H, W) with at least one "
            "pattern, reshape them"
        )
    if patterns.shape[1] != patterns.shape[2]:
        raise ScanError(
            f"{where}: the patterns are {patterns.shape[1]} x {patterns.shape[2]} pixels; must be square: "
            f"give --crop {min(patterns.shape[1:])} (data.crop) or --pad {max(patterns.shape[1:])} (data.pad)"
        )
    return as_contiguous(patterns, patterns.dtype.newbyteorder("="))


def checked_positions(values: Any, n: int, name: str, where: str) -> NDArray[np.float64]:
    """(n, 2) float64, finite; `name` is what messages call them."""
    positions = _converted(values, np.float64, name, where)
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ScanError(f"{where}: the {name} have shape {positions.shape}; must be (N, 2), each one (y, x)")
    if len(positions) != n:
        raise ScanError(
            f"{where}: there are {n} patterns but {len(positions)} {name}; there must be one for each pattern, "
            "give --drop-frames unpaired (data.drop_frames=unpaired) to drop what has no partner at the end"
        )
    _refuse_unknown_positions(positions, name, where)
    return positions


LARGEST_SPARSE_CANVAS_PX = 1 << 24
"""Pixels of an image from which its patterns must cover it, at least in part: 134 MB for each array of the solver, of
which there are about eight. Twice as much is a second of time in every iteration."""
LARGEST_CANVAS_PX = 1 << 31
"""Pixels of any image: 17 GB for each array."""
MOST_EMPTY = 16
"""Image pixels for each pixel of all patches together, from which a large image counts as empty."""


def check_extent(positions_px: NDArray[np.float64], shape: tuple[int, ...], where: str) -> None:
    """Refuse positions that need an image which is nearly empty and large, or which no memory holds.

    Args:
        positions_px: (N, 2).
        shape: of the patterns, (N, H, W).
        where: source of the scan, for messages.

    Raises:
        ScanError: names the size of the image, and of one of usual size.
    """
    extent = np.ptp(positions_px, axis=0) + shape[1:]
    pixels, seen = float(np.prod(extent)), float(np.prod(shape))
    if pixels <= LARGEST_SPARSE_CANVAS_PX or (pixels <= LARGEST_CANVAS_PX and pixels <= MOST_EMPTY * seen):
        return
    raise ScanError(
        f"{where}: the positions must lie close enough to overlap, got an extent of {extent[0]:.3g} x {extent[1]:.3g} "
        f"px for {shape[0]} patterns of {shape[1]} x {shape[2]} px (an image of {pixels * 8 / 1e9:.3g} GB); check the "
        "units of the positions (--position-unit, --position-scale), or drop stray ones (--drop-frames outlying)"
    )


def _refuse_unknown_positions(positions: NDArray[np.float64], name: str, where: str) -> None:
    """Name the axis and the patterns of positions that are no finite numbers."""
    wrong = ~np.isfinite(positions)
    if wrong.any():
        patterns, axes = np.nonzero(wrong)
        first = zip(patterns[:8], axes[:8], strict=True)
        shown = ", ".join(f"{'yx'[axis]} of pattern {pattern}" for pattern, axis in first)
        raise ScanError(
            f"{where}: the {name} hold {len(patterns)} NaN or infinite value{'s' if len(patterns) > 1 else ''} "
            f"({shown}{', ...' if len(patterns) > 8 else ''}), the first at index "
            f"{(int(patterns[0]), int(axes[0]))}; must be finite numbers: correct them, or leave these patterns out by "
            "--drop-frames unpaired (data.drop_frames)"
        )


def checked_nominal(values: Any, n: int, where: str) -> NDArray[np.float64] | None:
    """Like `checked_positions`, optional."""
    return None if values is None else checked_positions(values, n, "nominal positions", where)


def checked_probe(values: Any, size: int, where: str) -> NDArray[np.complex64]:
    """(M, H, H) complex64 for patterns of `size` pixels, from (H, H), (H, H, 1) or (M, H, H); finite, not all zero."""
    probe = _converted(complex_probe(values, where), np.complex64, "probe", where)
    if probe.ndim == 3 and probe.shape[2] == 1 and probe.shape != (1, 1, 1):
        probe = np.ascontiguousarray(probe[..., 0])
    if probe.ndim == 2:
        probe = probe[None]
    if probe.ndim != 3 or 0 in probe.shape:
        raise ScanError(
            f"{where}: the probe has shape {np.shape(values)}; must be (H, W), (H, W, 1) or (M, H, W) for M modes"
        )
    if probe.shape[1:] != (size, size):
        raise ScanError(
            f"{where}: the probe is {probe.shape[1]} x {probe.shape[2]} pixels but the patterns are {size} "
            f"x {size}; must be the same size, crop or pad one of them"
        )
    _refuse_non_finite(probe, "probe", where)
    if not probe.any():
        raise ScanError(f"{where}: the probe is zero everywhere; give the illumination, or a guess of it")
    return probe


def checked_object(values: Any, where: str) -> NDArray[np.complex64] | None:
    """(Y, X) complex64, finite."""
    if values is None:
        return None
    guess = _converted(values, np.complex64, "object guess", where)
    if guess.ndim != 2 or 0 in guess.shape:
        raise ScanError(f"{where}: the object guess has shape {guess.shape}; must be (Y, X), one layer")
    _refuse_non_finite(guess, "object guess", where)
    return guess


def checked_labels(values: Any, shape: tuple[int, ...], where: str) -> NDArray[np.complex64] | None:
    """(N, H, H) complex64, finite; `shape` is that of the patterns."""
    if values is None:
        return None
    labels = _converted(values, np.complex64, "ground-truth patches", where)
    if labels.shape != shape:
        raise ScanError(
            f"{where}: the ground-truth patches have shape {labels.shape}; must be that of the patterns, {shape}"
        )
    _refuse_non_finite(labels, "ground-truth patches", where)
    return labels


def checked_bad_pixels(values: Any, shape: tuple[int, ...], where: str) -> NDArray[np.bool_] | None:
    """(H, H) or (N, H, H) bool, not all True; `shape` is that of the patterns."""
    if values is None:
        return None
    bad = _converted(values, np.bool_, "bad_pixels", where)
    if bad.shape not in (shape, shape[1:]):
        raise ScanError(
            f"{where}: bad_pixels has shape {bad.shape}; must be {shape[1:]} for all patterns together "
            f"or {shape} for each"
        )
    if bad.all():
        raise ScanError(
            f"{where}: bad_pixels marks every pixel; must be True where nothing was measured, give --invert-mask "
            "(data.invert_mask=true) if the mask of the file is True where something was"
        )
    return bad


def checked_scan_index(values: Any, n: int, where: str) -> NDArray[np.int64] | None:
    """(n,) int64, from whole numbers; None where every one is another, as `arange(n)`: these are frame numbers."""
    if values is None:
        return None
    given = np.asarray(values)
    index = _converted(given, np.int64, "scan_index", where)
    if index.shape != (n,) or not np.array_equal(index, given):
        raise ScanError(
            f"{where}: scan_index has shape {given.shape} and type {given.dtype}; "
            f"must be one whole number for each of the {n} patterns"
        )
    if n > 1 and len(np.unique(index)) == n:
        logger.info("%s: scan_index differs in every pattern: frame numbers of one object", where)
        return None
    return index


def _converted(values: Any, dtype: DTypeLike, name: str, where: str) -> NDArray[Any]:
    """A contiguous array of the type, from any array of numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "buifc" or (array.dtype.kind == "c" and np.dtype(dtype).kind != "c"):
        raise ScanError(
            f"{where}: the {name} have type {array.dtype}; must be {np.dtype(dtype)}, convert them before saving"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return as_contiguous(array, dtype)


def _refuse_non_finite(array: NDArray[Any], name: str, where: str) -> None:
    wrong, first = 0, ()
    for run, part in frame_chunks(array):
        found = np.argwhere(~np.isfinite(part))
        if len(found) and not wrong:
            first = (int(found[0][0]) + run.start, *(int(step) for step in found[0][1:]))
        wrong += len(found)
    if wrong:
        raise ScanError(
            f"{where}: the {name} hold {wrong} NaN or infinite values, the first at index "
            f"{first}; must be finite numbers, correct or drop them"
        )


def checked_values(
    patterns: NDArray[Any], bad: NDArray[np.bool_] | None, counts: bool, where: str
) -> tuple[NDArray[Any], Summary]:
    """The patterns, zero where a bad pixel holds NaN or a negative number, and their summary.

    Patterns with such values at other pixels, or without any count, are refused. One pass over the file.
    """
    summary = _summarise(patterns, bad, counts)
    _refuse_inverted(patterns, bad, summary, counts, where)
    broken = np.flatnonzero(~np.isfinite(summary.smallest) | ~np.isfinite(summary.largest))
    if len(broken):
        raise ScanError(
            f"{where}: NaN or infinite values in {_frames(broken, len(patterns))}; must be finite "
            "numbers, mark dead pixels in bad_pixels or drop those patterns"
        )
    negative = np.flatnonzero(summary.smallest < 0)
    if len(negative):
        raise ScanError(
            f"{where}: negative values (down to {summary.smallest.min():g}) in "
            f"{_frames(negative, len(patterns))}; must be zero or more, mark masked pixels in "
            "bad_pixels or clip the background"
        )
    dark = np.flatnonzero(summary.largest <= 0)
    if len(dark) == len(patterns):
        raise ScanError(
            f"{where}: all {len(patterns)} patterns are zero everywhere; check that the right data set was exported"
        )
    if len(dark):
        raise ScanError(
            f"{where}: no counts at all in {_frames(dark, len(patterns))}{_unmasked(bad)}; every pattern must "
            "see the beam; give --drop-frames dark (data.drop_frames=dark) to drop them together with their positions"
        )
    return _without_bad_values(patterns, bad), summary


MOST_BAD = 0.5
"""Fraction of bad pixels above which a mask is looked at more closely. Detectors lose a few percent to gaps, a beamstop
a few more."""
MANY_BAD = 0.1
"""The same for a mask of one piece: a disk that holds the pattern, the wrong way round, covers more."""


LEAST_SEEN = 0.05
"""Fraction of the recorded counts in good pixels below which such a mask is taken to be inverted."""


def _refuse_inverted(
    patterns: NDArray[Any], bad: NDArray[np.bool_] | None, summary: Summary, counts: bool, where: str
) -> None:
    """Refuse a mask that hides many pixels, and with them nearly all that was recorded."""
    if bad is None or bad.mean() <= MANY_BAD or (bad.mean() <= MOST_BAD and not _is_compact(bad)):
        return
    hidden = 0.0
    for run, frames in frame_chunks(patterns):
        values = np.where(masks_of(bad, run), frames, 0)
        values = np.where(_is_fill(values), 0, values).astype(np.float64)
        hidden += float((values if counts else np.square(values)).sum())
    measured = float(np.nan_to_num(summary.mean_intensity).sum()) * len(patterns)
    if measured > LEAST_SEEN * (hidden + measured) or hidden == 0:
        return
    raise ScanError(
        f"{where}: the mask (bad_pixels) must be True where nothing was measured, got {bad.mean():.1%} of the pixels "
        f"marked bad, with {hidden / (hidden + measured):.1%} of what was recorded; it may be the wrong way round: "
        "give --invert-mask (data.invert_mask=true)"
    )


def _unmasked(bad: NDArray[np.bool_] | None) -> str:
    return "" if bad is None or not bad.any() else " at the pixels that the mask (bad_pixels) leaves"


def _is_compact(bad: NDArray[np.bool_]) -> bool:
    """Whether most pixels of a mask lie inside of it: false for gaps, lines and single pixels."""
    inside = 0
    for _, masks in frame_chunks(bad if has_own_masks(bad) else bad[None]):
        around = [np.roll(masks, step, axis) for axis in (-2, -1) for step in (-1, 1)]
        inside += int(np.logical_and.reduce([masks, *around]).sum())
    return inside > bad.sum() / 2


def _is_fill(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Values that detectors write where there is no measurement: the largest of an integer type, NaN, negative ones."""
    if values.dtype.kind == "u":
        return np.asarray(values == np.iinfo(values.dtype).max)
    with np.errstate(invalid="ignore"):
        return ~np.isfinite(values) | (values < 0)


def _summarise(patterns: NDArray[Any], bad: NDArray[np.bool_] | None, counts: bool) -> Summary:
    n, height, width = patterns.shape
    smallest, largest, total = np.empty(n), np.empty(n), np.zeros((height, width))
    for run, frames in frame_chunks(patterns, bad):
        smallest[run], largest[run] = frames.min(axis=(1, 2)), frames.max(axis=(1, 2))
        with np.errstate(over="ignore", invalid="ignore"):
            intensity = frames if counts else np.square(frames, dtype=np.float64)
            total += intensity.sum(axis=0, dtype=np.float64)
    return Summary(smallest, largest, total / n, float(total.sum()))


def _without_bad_values(patterns: NDArray[Any], bad: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Zero where a bad pixel holds what would spread: NaN, infinity, a negative number."""
    if bad is None or patterns.dtype.kind == "u":
        return patterns
    if not any(_spreads(frames[_within(masks_of(bad, run))]).any() for run, frames in frame_chunks(patterns)):
        return patterns
    clean = new_array(patterns.shape, patterns.dtype)
    for run, frames in frame_chunks(patterns):
        clean[run] = np.where(masks_of(bad, run) & _spreads(frames), 0, frames)
    return clean


def _within(mask: NDArray[np.bool_]) -> Any:
    """Index of the masked pixels of frames (n, H, W)."""
    return mask if has_own_masks(mask) else (slice(None), mask)


def _spreads(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where there is NaN, infinity or a negative number."""
    return np.asarray(~(np.isfinite(values) & (values >= 0)))


def _frames(index: NDArray[np.intp], n: int) -> str:
    shown = ", ".join(str(i) for i in index[:8]) + (", ..." if len(index) > 8 else "")
    return f"{len(index)} of {n} patterns (index {shown})"
