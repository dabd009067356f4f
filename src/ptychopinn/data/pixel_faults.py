"""Detector pixels that measured nothing in any pattern, or always the largest value."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ptychopinn.config.data import MaskedKind
from ptychopinn.data.chunks import frame_chunks
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
NEIGHBOUR_PHOTONS = 20.0
"""The same for pixels that touch a gap already found."""
SAMPLED_FRAMES = 64
"""Frames that are summed first: where none of their zeros could be a dead pixel, the others need not be summed."""
FEWEST_BETWEEN = 4
"""Only every fourth frame or fewer are a sample."""
SAMPLED_MARGIN = 4.0
"""What the sums of these are multiplied by, beside their number, so that counting noise does not hide a dead pixel."""


def dead_pixels(total: NDArray[np.float64], bad: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """(H, W): True where no pattern counts anything, between pixels that count thousands.

    A pixel is dead if its sum over all patterns is zero and the nearest pixels that count something, on both sides in
    its row or in its column, hold more than 1000 photons. A smooth decay to zero ends in pixels with a few photons.
    Pixels that touch it belong to the same gap if theirs hold more than 20 (where zero has a probability of 2e-9).

    Args:
        total: (H, W) photons, summed over the patterns, zero at bad pixels.
        bad: (H, W), True where a pixel is known to measure nothing; these are not listed and do not count as dark.

    >>> total = np.full((5, 5), 2000.0); total[2, 1:3] = 0
    >>> int(dead_pixels(total, None).sum())
    2
    """
    values = total if bad is None else np.where(bad, np.nan, total)
    zero = values == 0
    beside = [np.minimum(_last(values, axis), np.flip(_last(np.flip(values, axis), axis), axis)) for axis in (0, 1)]
    expected = np.where(zero, np.maximum(*beside), 0)
    gaps, _ = ndimage.label(expected > NEIGHBOUR_PHOTONS, structure=np.ones((3, 3)))
    sure = np.unique(gaps[expected > EXPECTED_PHOTONS])
    found = np.isin(gaps, sure[sure > 0])
    return found | _enclosed(zero & ~found, found, values)


def _enclosed(rest: NDArray[np.bool_], found: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of the other zero pixels those, as where two gaps cross, that only the gap and bright pixels surround."""
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


def _last(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The last value that counts something, at or before each place on an axis; 0 where there is none."""
    counting = np.nan_to_num(values) > 0
    shape = [1, 1]
    shape[axis] = values.shape[axis]
    place = np.where(counting, np.arange(values.shape[axis]).reshape(shape), -1)
    last = np.maximum.accumulate(place, axis=axis)
    found = np.take_along_axis(np.nan_to_num(values), np.maximum(last, 0), axis=axis)
    return np.where(last >= 0, found, 0)


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
    return dead_pixels(total_photons(scan), always)


def _holds_numbers(scan: "Scan") -> bool:
    """Whether patterns and mask are numbers in shapes that fit; what they are not, the check of the scan names."""
    patterns, bad = scan.patterns, scan.bad_pixels
    if patterns.ndim != 3 or patterns.dtype.kind not in "uif":
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
        kinds: `dead`: see `dead_pixels`. `saturated`: at the largest value of the scan in most patterns.
    """
    bad = scan.bad_pixels
    if not kinds or not _holds_numbers(scan):
        return scan
    always = scan.always_bad
    found = {
        "dead": lambda: _dead_pixels_of(scan, always),
        "saturated": lambda: times_at_ceiling(scan)[0] > len(scan) / 2,
    }
    masks = {kind: found[kind]() for kind in kinds}
    notes = tuple(f"{mask.sum()} {kind} pixels are marked bad." for kind, mask in masks.items() if mask.any())
    if not notes:
        return scan
    mask = np.logical_or.reduce(list(masks.values()))
    return replace(scan, bad_pixels=mask if bad is None else bad | mask, notes=(*scan.notes, *notes))
