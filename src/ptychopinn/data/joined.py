"""Several scans as one: their patterns one after the other, and where their frames lie."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.frame import Frame
from ptychopinn.data.large_arrays import new_array
from ptychopinn.data.scan import Scan, check_sizes
from ptychopinn.errors import ScanError

PIXEL_TOLERANCE = 1e-3
"""Relative difference between object pixels that is taken to be rounding."""
TOGETHER = 256
"""Patterns that are copied at once."""
ORIGIN = "frame_origin_m"
"""Entry of the metadata of a scan: where element (0, 0) of its frame lies, (y, x), m."""


def joined_scan(scans: Sequence[Scan], positions_px: NDArray[np.float64]) -> Scan:
    """One scan with the patterns of all, in their order; a large one lies in a scratch file.

    Args:
        scans: with patterns of one size.
        positions_px: (N, 2), of all patterns, in a common frame.
    """
    first, counts = scans[0], [len(scan) for scan in scans]
    alike = len({(scan.patterns.dtype, scan.domain) for scan in scans}) == 1
    shape = (sum(counts), *first.patterns.shape[1:])
    patterns = new_array(shape, first.patterns.dtype if alike else np.float32)
    starts = [0, *np.cumsum(counts).tolist()]
    for scan, start in zip(scans, starts, strict=False):
        for at in range(0, len(scan), TOGETHER):
            some = slice(at, min(at + TOGETHER, len(scan)))
            part = scan.patterns[some] if alike else scan.select(some).counts()
            patterns[start + some.start : start + some.stop] = part
    return replace(
        first,
        patterns=patterns,
        domain=first.domain if alike else "counts",
        positions_px=positions_px,
        nominal_positions_px=None,
        object_guess=None,
        truth_patches=None,
        bad_pixels=_masks(scans, shape),
        scan_index=None,
        source=", ".join(scan.source for scan in scans),
        notes=(),
    )


def frame_offsets_px(scans: Sequence[Scan], *, one_object: bool) -> NDArray[np.float64]:
    """(S, 2), (y, x), px: where the frame of each scan lies in that of the first one.

    Positions that were given in metres state where their frame lies (`frame_origin_m`); positions in pixels of the
    object are taken to be in one frame.

    Args:
        scans: at least two.
        one_object: whether they are of one object, so that their frames must be known and their windows meet.

    Raises:
        ScanError: patterns or object pixels of different sizes, a frame that is not known, or scans that do not meet.
    """
    check_sizes(scans)
    _check_pixels(scans, one_object)
    if not one_object:
        return np.zeros((len(scans), 2))
    origins = [scan.metadata.get(ORIGIN) for scan in scans]
    known = [origin is not None for origin in origins]
    pixel = scans[0].pixel_size_m
    if any(known) and (not all(known) or pixel is None):
        without = scans[known.index(False)].source if not all(known) else scans[0].source
        raise ScanError(
            f"{without}: positions in metres with a known object pixel must be given for all scans of one object or "
            "for none, or they have no common frame; convert the scans to one format"
        )
    offsets = np.zeros((len(scans), 2))
    if all(known) and pixel is not None:
        offsets = (np.asarray(origins, np.float64) - np.asarray(origins[0], np.float64)) / pixel
    _check_meeting(scans, offsets)
    return offsets


def _check_pixels(scans: Sequence[Scan], one_object: bool) -> None:
    sizes = [scan.pixel_size_m for scan in scans]
    for scan, size in zip(scans, sizes, strict=True):
        if (size is None) != (sizes[0] is None) and one_object:
            raise ScanError(
                f"{scan.source}: the size of the object pixel must be known in all scans of one object or in none; "
                "give the energy, the distance and the detector pixel in every file"
            )
        if size and sizes[0] and not math.isclose(size, sizes[0], rel_tol=PIXEL_TOLERANCE):
            raise ScanError(
                f"{scan.source}: the object pixel is {size * 1e9:.5g} nm and must be that of {scans[0].source}, "
                f"{sizes[0] * 1e9:.5g} nm; scans that are solved together need the same energy, distance, detector "
                "pixel and number of pixels, so crop or reconstruct them apart"
            )


def _check_meeting(scans: Sequence[Scan], offsets_px: NDArray[np.float64]) -> None:
    """Each scan must have windows where another one has some: else nothing joins them."""
    frames = [
        Frame.of_positions(scan.positions_px + offset, scan.pattern_size, margin=0)
        for scan, offset in zip(scans, offsets_px, strict=True)
    ]
    joined, left = [frames[0]], list(range(1, len(frames)))
    while left:
        near = [number for number in left if any(frames[number].overlaps(one) for one in joined)]
        if not near:
            raise ScanError(
                f"{scans[left[0]].source}: no pattern overlaps with {scans[0].source}, directly or by other scans, in "
                "one frame of positions; scans of one object must overlap, so check the origin of their positions, or "
                "solve them by `ptychopinn reconstruct --common probe`"
            )
        joined += [frames[number] for number in near]
        left = [number for number in left if number not in near]


def _masks(scans: Sequence[Scan], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Bad pixels of all patterns: None, one mask for all, or one for each."""
    masks = [scan.bad_pixels for scan in scans]
    if all(mask is None for mask in masks):
        return None
    first = masks[0]
    if first is not None and first.ndim == 2 and all(m is not None and np.array_equal(m, first) for m in masks):
        return first
    found, start = new_array(shape, np.bool_), 0
    for scan, mask in zip(scans, masks, strict=True):
        found[start : start + len(scan)] = False if mask is None else mask
        start += len(scan)
    return found
