"""Detector pixels that measured nothing in any pattern, far too much in all, or always the largest value."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config.data import MaskedKind
from ptychopinn.data.chunks import changed_masks, frame_chunks
from ptychopinn.data.masks import masks_of

if TYPE_CHECKING:
    from ptychopinn.data.scan import Scan

CEILING_COUNTS = 100.0
"""A largest count below this repeats by chance."""
CEILING_TIMES = 20
"""Pixel values at the largest one from which it is a ceiling of the detector; chance repeats it a few times only."""
EXPECTED_PHOTONS = 1000.0
"""Photons of the pixels beside a gap, in all patterns together, from which zero is impossible: for a Poisson mean of
1000 its probability is exp(-1000). Half or twice as many change nothing but for the dimmest gaps."""
NEIGHBOUR_PHOTONS = 6.0
"""The same for pixels that touch a gap already found: zero has a probability of 0.25 %."""
BLOCK_PX = 3
"""Side of a square of zeros that is a gap where its neighbours are dim too."""
BLOCK_PHOTONS = (6.0, 40.0)
"""Photons, in all patterns together, that each pixel of such a square must be expected to hold, where the probe is
known and where it is not. On 48 drawn scans without a gap, 1e2 to 1e7 photons per pattern, they were 2 and 20 at most;
twice as many miss half of the gaps at 1e4 photons."""
BEAM_PART = 2.0
"""Times the empty beam that a pixel must hold to show scattered light. A zone plate has a sharp edge and a dark centre,
where the sample scatters little: there the light beside a dark pixel is that of the beam."""
HOT_TIMES = 10.0
"""Times the sharpest peak of the beam that a hot pixel exceeds its neighbours by. On 80 drawn scans good pixels
reached 2.7 times; doubled, hot pixels in bright regions are missed."""
SHARPEST = 10.0
"""Central pixel of the far field over the second largest of its neighbours, for a beam of half of the window. Stands in
where the probe is not known, and is the largest that is used: wider beams do not fit the window."""
HOT_PART = 0.9
"""Part of the patterns in which a hot pixel counts more than its neighbours, so that a rare bright peak is none."""
HOT_SIGMA = 5.0
"""Counting noise of the sum of a pixel that it must exceed the limit by."""
FEWEST_HOT_PATTERNS = 8
"""With fewer patterns no pixel is called hot."""
FEWEST_NEIGHBOURS = 4
"""Measured neighbours that a hot pixel needs, of eight."""
CENTRE_PX = 2
"""A beam wider than its window has a direct beam of a single pixel; so near to zero frequency none is called hot."""
LISTED = 8
"""Rows, columns and pixels that are named at most."""
SAMPLED_FRAMES = 64
"""Frames that are summed first: where none of their zeros could be a dead pixel, the others need not be summed."""
FEWEST_BETWEEN = 4
"""Only every fourth frame or fewer are a sample."""
SAMPLED_MARGIN = 4.0
"""What the sums of these are multiplied by, beside their number, so that counting noise does not hide a dead pixel."""


def dead_pixels(
    total: NDArray[np.float64], bad: NDArray[np.bool_] | None, beam: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """(H, W): True where no pattern counts anything, although photons are expected from the pixels around.

    A pixel is expected to hold the photons of the nearest pixels that count something, on both sides in its row or in
    its column, the fewer of the two. It is dead if its sum over all patterns is zero and it is expected to hold more
    than 1000, or lies in a square of 3 x 3 zeros that each are expected to hold more than 6, or 40 without a beam. A
    smooth decay to zero ends in pixels with a few photons, and outside of an aperture no pixel counts anything. Pixels
    that touch a dead one belong to the same gap if they are expected to hold more than 6.

    Args:
        total: (H, W) photons, summed over the patterns, zero at bad pixels.
        bad: (H, W), True where a pixel is known to measure nothing; these are not listed and do not count as dark.
        beam: (H, W) photons of the empty beam, summed over the patterns, where the probe is known: what it explains
            beside a pixel says nothing of that pixel.

    >>> total = np.full((5, 5), 2000.0); total[2, 1:3] = 0
    >>> int(dead_pixels(total, None).sum())
    2
    >>> dim = np.full((9, 9), 50.0); dim[3:6, 2:7] = 0
    >>> int(dead_pixels(dim, None).sum())
    15
    """
    values = total if bad is None else np.where(bad, np.nan, total)
    zero = values == 0
    expected = np.where(zero, _beside(values, beam), 0)
    least = BLOCK_PHOTONS[0 if beam is not None else 1]
    if not (expected > EXPECTED_PHOTONS).any() and not _holds_block(expected > least):
        return np.zeros(total.shape, dtype=bool)

    from scipy import ndimage  # imported where it is needed: hardly any scan has a dead pixel

    gaps, _ = ndimage.label(expected > NEIGHBOUR_PHOTONS, structure=np.ones((3, 3)))
    block = ndimage.binary_erosion(expected > least, structure=np.ones((BLOCK_PX, BLOCK_PX)))
    sure = np.unique(gaps[(expected > EXPECTED_PHOTONS) | block])
    found = np.isin(gaps, sure[sure > 0])
    return found | _enclosed(zero & ~found, found, values)


def _holds_block(mask: NDArray[np.bool_]) -> bool:
    """Whether a square of `BLOCK_PX` pixels is True everywhere."""
    if mask.sum() < BLOCK_PX**2 or min(mask.shape) < BLOCK_PX:
        return False
    along = np.lib.stride_tricks.sliding_window_view(mask, BLOCK_PX, axis=1).all(axis=-1)
    return bool(np.lib.stride_tricks.sliding_window_view(along, BLOCK_PX, axis=0).all(axis=-1).any())


def _beside(values: NDArray[np.float64], beam: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(H, W): photons of the nearest counting pixels on both sides, the fewer, in the row or the column, the more.

    With a beam: the photons that it does not explain, or those of the beam in the pixel itself, if these are more.
    """
    both = [_fewer(values, axis) for axis in (0, 1)]
    found = np.maximum(*both)
    if beam is None:
        return found
    lit = [_fewer(values, axis, np.nan_to_num(values) > BEAM_PART * beam) for axis in (0, 1)]
    return np.maximum(np.maximum(*lit), np.minimum(found, beam))


def _fewer(values: NDArray[np.float64], axis: int, lit: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """The fewer photons of the nearest counting pixels on both sides; 0 where one of them is not lit."""
    ways = []
    for way in (1, -1):
        turned = values if way == 1 else np.flip(values, axis)
        shown = None if lit is None else (lit if way == 1 else np.flip(lit, axis))
        found = _last(turned, axis, shown)
        ways.append(found if way == 1 else np.flip(found, axis))
    return np.minimum(*ways)


def _enclosed(rest: NDArray[np.bool_], found: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of the other zero pixels those, as where two gaps cross, that only the gap and bright pixels surround."""
    from scipy import ndimage

    parts, _ = ndimage.label(rest)
    boxes = ndimage.find_objects(parts)
    beside = np.unique(parts[ndimage.binary_dilation(found)]) if found.any() else np.zeros(0, np.int64)
    dim = np.pad(~found & ~(values > NEIGHBOUR_PHOTONS), 1, constant_values=True)
    enclosed = np.zeros_like(rest)
    for part in beside[beside > 0]:
        wider = tuple(slice(side.start, side.stop + 2) for side in boxes[part - 1])
        inside = np.pad(parts, 1)[wider] == part
        border = ndimage.binary_dilation(inside) & ~inside
        if not (border & dim[wider]).any():
            enclosed |= parts == part
    return enclosed


def _last(values: NDArray[np.float64], axis: int, lit: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """The last value that counts something, at or before each place on an axis; 0 where there is none, or not lit."""
    counting = np.nan_to_num(values) > 0
    shape = [1, 1]
    shape[axis] = values.shape[axis]
    place = np.where(counting, np.arange(values.shape[axis]).reshape(shape), -1)
    last = np.maximum.accumulate(place, axis=axis)
    photons = np.nan_to_num(values) if lit is None else np.where(lit, np.nan_to_num(values), 0)
    found = np.take_along_axis(photons, np.maximum(last, 0), axis=axis)
    return np.where(last >= 0, found, 0)


def hot_pixels(
    total: NDArray[np.float64], bad: NDArray[np.bool_] | None = None, sharpest: float = SHARPEST
) -> NDArray[np.bool_]:
    """(H, W): True where the sum over the patterns is far above that of the neighbours; see `HOT_TIMES`.

    The far field of a beam of limited width cannot rise to a single pixel: its sharpest peak is that of a flat wave
    with the same modulus. A pixel is compared with the second largest of its eight neighbours, so that two hot pixels
    side by side are found.

    Args:
        total: (H, W) photons, summed over the patterns.
        bad: (H, W), True where a pixel is known to measure nothing; these count as no neighbours.
        sharpest: the ratio that the sharpest peak has; see `sharpest_peak`.

    >>> total = np.ones((9, 9)); total[1, 1] = 1000
    >>> np.argwhere(hot_pixels(total)).tolist()
    [[1, 1]]
    """
    values = total if bad is None else np.where(bad, 0, total)
    second = _second_largest_around(values)
    hot = values - HOT_SIGMA * np.sqrt(values) > HOT_TIMES * sharpest * np.maximum(second, 1)
    middle = tuple(slice(max(0, side // 2 - CENTRE_PX), side // 2 + CENTRE_PX + 1) for side in total.shape)
    hot[middle] = False
    if hot.any():
        from scipy import ndimage

        measured = np.ones(total.shape) if bad is None else 1.0 - bad
        hot &= ndimage.convolve(measured, _AROUND.astype(float), mode="constant") >= FEWEST_NEIGHBOURS
    return hot


def _second_largest_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W): the second largest of the eight neighbours of each pixel, which are 0 beyond the edge."""
    padded = np.pad(values, 1)
    largest, second = np.full_like(values, -np.inf), np.full_like(values, -np.inf)
    for y, x in np.argwhere(_AROUND):
        beside = padded[y : y + values.shape[0], x : x + values.shape[1]]
        second = np.maximum(second, np.minimum(largest, beside))
        largest = np.maximum(largest, beside)
    return second


def sharpest_peak(probe: NDArray[np.complexfloating] | None) -> float:
    r"""\(|\mathcal F|P||^2\) at zero frequency over the second largest of its neighbours, at most `SHARPEST`.

    Args:
        probe: (M, H, W) or (H, W); None for `SHARPEST`.
    """
    if probe is None or np.ndim(probe) not in (2, 3) or min(np.shape(probe)[-2:]) < 3:
        return SHARPEST
    power = np.square(np.abs(probe)).reshape(-1, *probe.shape[-2:]).sum(axis=0)
    far = np.square(np.abs(np.fft.fft2(np.sqrt(power))))
    around = np.sort(far[np.ix_((-1, 0, 1), (-1, 0, 1))].ravel())
    ratio = far[0, 0] / around[-3] if np.isfinite(far[0, 0]) and around[-3] > 0 else SHARPEST
    return float(min(ratio, SHARPEST))


def hot_pixels_of(
    scan: "Scan", total: NDArray[np.float64] | None = None, always: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """(H, W): the hot pixels of a scan: those of `hot_pixels` that exceed their neighbours in nearly every pattern.

    In the near field, where a beam does not limit how sharp a pattern is, `SHARPEST` is used.

    Args:
        scan: may be unchecked.
        total: (H, W) photons, summed over the patterns or a sample of them; found from a sample by default.
        always: (H, W), pixels that are bad in all patterns.
    """
    if len(scan.patterns) < FEWEST_HOT_PATTERNS:
        return np.zeros(scan.patterns.shape[1:], dtype=bool)
    if total is None:
        total = total_photons(scan, max(1, len(scan.patterns) // SAMPLED_FRAMES))
    fits = scan.probe is not None and np.shape(scan.probe)[-2:] == total.shape and not scan.geometry.is_near_field
    hot = hot_pixels(total, always, sharpest_peak(scan.probe if fits else None))
    for y, x in np.argwhere(hot):
        rows, columns = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
        around = scan.patterns[:, rows, columns]
        if scan.bad_pixels is not None:
            around = np.where(masks_of(scan.bad_pixels, slice(None))[..., rows, columns], 0, around)
        flat = np.sort(around.reshape(len(around), -1), axis=1)
        hot[y, x] = (scan.patterns[:, y, x] > flat[:, -3]).mean() >= HOT_PART
    return hot


def places_of(mask: NDArray[np.bool_]) -> str:
    """Where the pixels of a mask (H, W) are, in words: whole rows and columns, and the first few others.

    >>> mask = np.zeros((9, 9), bool); mask[2:4] = mask[7, 5] = True
    >>> places_of(mask)
    'rows 2, 3, pixels (row, column) (7, 5)'
    """
    rows, columns = (np.flatnonzero(mask.all(axis=axis)) for axis in (1, 0))
    others = mask.copy()
    others[rows] = False
    others[:, columns] = False
    named: list[tuple[str, list[Any]]] = [
        ("rows", list(rows)),
        ("columns", list(columns)),
        ("pixels (row, column)", list(map(tuple, np.argwhere(others)))),
    ]
    return ", ".join(f"{kind} {_listed(values)}" for kind, values in named if values)


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(
        f"({value[0]}, {value[1]})" if isinstance(value, tuple) else f"{value}" for value in values[:LISTED]
    )
    return f"{shown}, ..." if len(values) > LISTED else shown


_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
"""The eight neighbours of a pixel."""


def total_photons(scan: "Scan", step: int = 1) -> NDArray[np.float64]:
    """(H, W): sum over the patterns, or over one in `step`, zero at bad pixels."""
    total = np.zeros(scan.patterns.shape[1:])
    chosen = slice(None, None, step)
    for _, frames in frame_chunks(scan.patterns[chosen], masks_of(scan.bad_pixels, chosen)):
        values = frames.astype(np.float64)
        total += (values if scan.domain == "counts" else np.square(values)).sum(axis=0)
    return total


def _dead_pixels_of(scan: "Scan", always: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The dead pixels of a scan, from a sample of its frames where these show that there are none."""
    step = len(scan.patterns) // SAMPLED_FRAMES
    if step >= FEWEST_BETWEEN and isinstance(scan.patterns, np.ndarray):
        total = SAMPLED_MARGIN * step * total_photons(scan, step)
        if not dead_pixels(total, always).any():
            return np.zeros(total.shape, dtype=bool)
    total = total_photons(scan)
    return dead_pixels(total, always, empty_beam(scan, float(total.sum())))


def empty_beam(scan: "Scan", photons: float) -> NDArray[np.float64] | None:
    """(H, W): far field of the probe of a scan alone, with so many photons; None where no known probe fits."""
    probe, shape = scan.probe, scan.patterns.shape[1:]
    if probe is None or scan.probe_estimated or scan.geometry.is_near_field:
        return None
    if np.ndim(probe) not in (2, 3) or np.shape(probe)[-2:] != shape:
        return None
    power = np.square(np.abs(np.fft.fft2(probe))).reshape(-1, *shape).sum(axis=0)
    total = power.sum()
    return np.fft.fftshift(power) * (photons / total) if np.isfinite(total) and total > 0 else None


def _holds_numbers(scan: "Scan") -> bool:
    """Whether patterns, mask and probe are numbers in shapes that fit; the check of the scan names what is wrong."""
    patterns, bad = scan.patterns, scan.bad_pixels
    if patterns.ndim != 3 or patterns.dtype.kind not in "uif":
        return False
    if scan.probe is not None and np.asarray(scan.probe).dtype.kind not in "uifc":
        return False
    return bad is None or (bad.dtype.kind in "buif" and bad.shape in (patterns.shape, patterns.shape[1:]))


def times_at_ceiling(scan: "Scan") -> tuple[NDArray[np.int64], float]:
    """(H, W) in how many patterns each pixel holds the largest value of the scan, and that value.

    All zero where the value is no ceiling: below 100 photons, or held fewer than 20 times.
    """
    largest = max(float(frames.max(initial=0)) for _, frames in frame_chunks(scan.patterns, scan.bad_pixels))
    times = np.zeros(scan.patterns.shape[1:], dtype=np.int64)
    for _, frames in frame_chunks(scan.patterns, scan.bad_pixels):
        times += (frames == largest).sum(axis=0)
    counts = largest if scan.domain == "counts" else largest**2
    if counts < CEILING_COUNTS or times.sum() < CEILING_TIMES:
        times[:] = 0
    return times, largest


def with_masked_pixels(scan: "Scan", kinds: Sequence[MaskedKind]) -> "Scan":
    """The scan with faulty pixels marked bad; how many is added to `Scan.notes`.

    Args:
        scan: may be unchecked.
        kinds: `dead`: see `dead_pixels`. `hot`: see `hot_pixels_of`. `saturated`: at the largest value of the scan in
            most patterns.
    """
    bad = scan.bad_pixels
    if not kinds or not _holds_numbers(scan):
        return scan
    always = scan.always_bad
    found = {
        "dead": lambda: _dead_pixels_of(scan, always),
        "hot": lambda: hot_pixels_of(scan, always=always),
        "saturated": lambda: times_at_ceiling(scan)[0] > len(scan) / 2,
    }
    masks = {kind: found[kind]() for kind in kinds}
    notes = tuple(
        f"{mask.sum()} {kind} pixels are marked bad: {places_of(mask)}." for kind, mask in masks.items() if mask.any()
    )
    if not notes:
        return scan
    mask = np.logical_or.reduce(list(masks.values()))
    bad = mask if bad is None else changed_masks(bad, lambda one: one | mask)
    return replace(scan, bad_pixels=bad, notes=(*scan.notes, *notes))
