"""Is this a scan? Normalises what can be normalised and refuses the rest, one clear sentence each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.corner import zero_frequency_at_corner
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError


def checked_scan(scan: Scan) -> Scan:
    """The scan with normalised arrays.

    Patterns keep their type (in native byte order), positions become float64 (N, 2), the probe complex64 (M,
    H, W) from (H, W), (H, W, 1) or (M, H, W), the object guess and labels complex64, bad pixels bool.
    Everything is contiguous. Bad pixels that hold NaN or negative numbers are set to zero.

    Raises:
        ScanError: wrong shapes; NaN, infinite or negative values; patterns without a single count; a probe of
            another size; patterns whose zero frequency sits at the corner.
    """
    where = scan.source
    if scan.domain not in ("amplitude", "counts"):
        raise ScanError(f"{where}: domain is {scan.domain!r}; the rule is 'amplitude' or 'counts'")
    patterns = _checked_patterns(scan.patterns, where)
    positions = _checked_positions(scan.positions_px, len(patterns), "positions", where)
    probe = _checked_probe(scan.probe, patterns.shape[-1], where)
    bad = _checked_bad_pixels(scan.bad_pixels, patterns.shape, where)
    patterns, summary = _checked_values(patterns, bad, scan.domain == "counts", where)
    if zero_frequency_at_corner(summary.mean_intensity, summary.total, probe):
        raise ScanError(
            f"{where}: the zero frequency of the patterns sits at the corner of the array and not at "
            "(H//2, W//2); read the scan with --fftshift (data.fftshift=true), or without it if it was "
            "given for centred patterns"
        )
    return replace(
        scan,
        patterns=patterns,
        positions_px=positions,
        probe=probe,
        bad_pixels=bad,
        nominal_positions_px=_checked_nominal(scan.nominal_positions_px, len(patterns), where),
        object_guess=_checked_object(scan.object_guess, where),
        truth_patches=_checked_labels(scan.truth_patches, patterns.shape, where),
        scan_index=_checked_scan_index(scan.scan_index, len(patterns), where),
    )


@dataclass(frozen=True)
class _Summary:
    """What one pass over the patterns tells."""

    smallest: NDArray[np.float64]
    """(N,): of each frame; NaN where the frame holds one."""
    largest: NDArray[np.float64]
    """(N,)."""
    mean_intensity: NDArray[np.float64]
    """(H, W)."""
    total: float
    """Sum of the intensity of all patterns."""


def _checked_patterns(values: Any, where: str) -> NDArray[Any]:
    patterns = np.asarray(values)
    if patterns.dtype.kind == "c":
        raise ScanError(
            f"{where}: the patterns are complex; the rule is amplitude or counts, save their absolute value instead"
        )
    if patterns.dtype.kind not in "uif":
        raise ScanError(
            f"{where}: the patterns have type {patterns.dtype}; the rule is integers or floats, "
            "convert them with numpy.asarray(patterns, dtype=numpy.float32)"
        )
    if patterns.ndim != 3 or 0 in patterns.shape:
        raise ScanError(
            f"{where}: the patterns have shape {patterns.shape}; the rule is (N, H, W) with at least one "
            "pattern, reshape them"
        )
    if patterns.shape[1] != patterns.shape[2]:
        raise ScanError(
            f"{where}: the patterns are {patterns.shape[1]} x {patterns.shape[2]} pixels; the rule is square "
            "patterns, crop or pad them"
        )
    return np.ascontiguousarray(patterns, dtype=patterns.dtype.newbyteorder("="))


def _checked_positions(values: Any, n: int, name: str, where: str) -> NDArray[np.float64]:
    positions = _converted(values, np.float64, name, where)
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ScanError(f"{where}: the {name} have shape {positions.shape}; the rule is (N, 2), each one (y, x)")
    if len(positions) != n:
        raise ScanError(
            f"{where}: there are {n} patterns but {len(positions)} {name}; the rule is one for each pattern, "
            "drop what has no partner"
        )
    _refuse_non_finite(positions, name, where)
    return positions


def _checked_nominal(values: Any, n: int, where: str) -> NDArray[np.float64] | None:
    return None if values is None else _checked_positions(values, n, "nominal positions", where)


def _checked_probe(values: Any, size: int, where: str) -> NDArray[np.complex64]:
    probe = _converted(values, np.complex64, "probe", where)
    if probe.ndim == 3 and probe.shape[2] == 1 and probe.shape != (1, 1, 1):
        probe = np.ascontiguousarray(probe[..., 0])
    if probe.ndim == 2:
        probe = probe[None]
    if probe.ndim != 3 or 0 in probe.shape:
        raise ScanError(
            f"{where}: the probe has shape {np.shape(values)}; the rule is (H, W), (H, W, 1) or (M, H, W) for M modes"
        )
    if probe.shape[1:] != (size, size):
        raise ScanError(
            f"{where}: the probe is {probe.shape[1]} x {probe.shape[2]} pixels but the patterns are {size} "
            f"x {size}; the rule is the same size, crop or pad one of them"
        )
    _refuse_non_finite(probe, "probe", where)
    if not probe.any():
        raise ScanError(f"{where}: the probe is zero everywhere; give the illumination, or a guess of it")
    return probe


def _checked_object(values: Any, where: str) -> NDArray[np.complex64] | None:
    if values is None:
        return None
    guess = _converted(values, np.complex64, "object guess", where)
    if guess.ndim != 2 or 0 in guess.shape:
        raise ScanError(f"{where}: the object guess has shape {guess.shape}; the rule is (Y, X), one layer")
    _refuse_non_finite(guess, "object guess", where)
    return guess


def _checked_labels(values: Any, shape: tuple[int, ...], where: str) -> NDArray[np.complex64] | None:
    if values is None:
        return None
    labels = _converted(values, np.complex64, "ground-truth patches", where)
    if labels.shape != shape:
        raise ScanError(
            f"{where}: the ground-truth patches have shape {labels.shape}; the rule is that of the patterns, {shape}"
        )
    _refuse_non_finite(labels, "ground-truth patches", where)
    return labels


def _checked_bad_pixels(values: Any, shape: tuple[int, ...], where: str) -> NDArray[np.bool_] | None:
    if values is None:
        return None
    bad = _converted(values, np.bool_, "bad_pixels", where)
    if bad.shape not in (shape, shape[1:]):
        raise ScanError(
            f"{where}: bad_pixels has shape {bad.shape}; the rule is {shape[1:]} for all patterns together "
            f"or {shape} for each"
        )
    if bad.all():
        raise ScanError(
            f"{where}: bad_pixels marks every pixel; the rule is True where nothing was measured, invert it"
        )
    return bad


def _checked_scan_index(values: Any, n: int, where: str) -> NDArray[np.int64] | None:
    if values is None:
        return None
    given = np.asarray(values)
    index = _converted(given, np.int64, "scan_index", where)
    if index.shape != (n,) or not np.array_equal(index, given):
        raise ScanError(
            f"{where}: scan_index has shape {given.shape} and type {given.dtype}; "
            f"the rule is one whole number for each of the {n} patterns"
        )
    return index


def _converted(values: Any, dtype: DTypeLike, name: str, where: str) -> NDArray[Any]:
    """A contiguous array of the type, from any array of numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "buifc" or (array.dtype.kind == "c" and np.dtype(dtype).kind != "c"):
        raise ScanError(
            f"{where}: the {name} have type {array.dtype}; the rule is {np.dtype(dtype)}, convert them before saving"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def _refuse_non_finite(array: NDArray[Any], name: str, where: str) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(step) for step in np.argwhere(wrong)[0])
        raise ScanError(
            f"{where}: the {name} hold {int(wrong.sum())} NaN or infinite values, the first at index "
            f"{first}; the rule is finite numbers, correct or drop them"
        )


def _checked_values(
    patterns: NDArray[Any], bad: NDArray[np.bool_] | None, counts: bool, where: str
) -> tuple[NDArray[Any], _Summary]:
    """Refuse values that no detector records, in one pass over the file."""
    summary = _summarise(patterns, bad, counts)
    broken = np.flatnonzero(~np.isfinite(summary.smallest) | ~np.isfinite(summary.largest))
    if len(broken):
        raise ScanError(
            f"{where}: NaN or infinite values in {_frames(broken, len(patterns))}; the rule is finite "
            "numbers, mark dead pixels in bad_pixels or drop those patterns"
        )
    negative = np.flatnonzero(summary.smallest < 0)
    if len(negative):
        raise ScanError(
            f"{where}: negative values (down to {summary.smallest.min():g}) in "
            f"{_frames(negative, len(patterns))}; the rule is zero or more, mark masked pixels in "
            "bad_pixels or clip the background"
        )
    dark = np.flatnonzero(summary.largest <= 0)
    if len(dark) == len(patterns):
        raise ScanError(
            f"{where}: all {len(patterns)} patterns are zero everywhere; check that the right data set was exported"
        )
    if len(dark):
        raise ScanError(
            f"{where}: no counts at all in {_frames(dark, len(patterns))}; the rule is that every pattern "
            "saw the beam, drop them together with their positions"
        )
    return _without_bad_values(patterns, bad), summary


def _summarise(patterns: NDArray[Any], bad: NDArray[np.bool_] | None, counts: bool) -> _Summary:
    n, height, width = patterns.shape
    smallest, largest, total = np.empty(n), np.empty(n), np.zeros((height, width))
    for run, frames in frame_chunks(patterns, bad):
        smallest[run], largest[run] = frames.min(axis=(1, 2)), frames.max(axis=(1, 2))
        with np.errstate(over="ignore", invalid="ignore"):
            intensity = frames if counts else np.square(frames, dtype=np.float64)
            total += intensity.sum(axis=0, dtype=np.float64)
    return _Summary(smallest, largest, total / n, float(total.sum()))


def _without_bad_values(patterns: NDArray[Any], bad: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Zero where a bad pixel holds what would spread: NaN, infinity, a negative number."""
    if bad is None or patterns.dtype.kind == "u":
        return patterns
    where: Any = bad if bad.ndim == 3 else (slice(None), bad)
    values = patterns[where]
    wrong = ~(np.isfinite(values) & (values >= 0))
    if not wrong.any():
        return patterns
    clean = patterns.copy()
    clean[where] = np.where(wrong, 0, values)
    return clean


def _frames(index: NDArray[np.intp], n: int) -> str:
    shown = ", ".join(str(i) for i in index[:8]) + (", ..." if len(index) > 8 else "")
    return f"{len(index)} of {n} patterns (index {shown})"
