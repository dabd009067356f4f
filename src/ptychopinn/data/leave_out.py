"""Frames of a scan that cannot be used: dark, saturated, recorded twice, or far away from all others."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config.data import DroppedKind as Kind
from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.masks import masks_of
from ptychopinn.data.pixel_faults import times_at_ceiling
from ptychopinn.errors import ScanError

if TYPE_CHECKING:
    from ptychopinn.data.scan import Scan

DARK_FRACTION = 0.05
"""Fraction of the median photons below which the beam was off. The beam of a synchrotron varies by a few percent; a
shutter that closes early lets a fraction of any size through, so that doubling it changes little."""
FARTHEST_PX = 1e9
"""Positions beyond it count as this far away: squares of distances must not overflow."""
FAR_STEPS = 20.0
"""Median steps between an outlying position and all others. A scan has no gap of this size within itself; a lost
encoder value is usually hundreds of steps away."""
MOST_CELLS = 10_000
"""Cells up to which a loop is as fast as a tree of them."""
OUTLYING_FRACTION = 0.05
"""Largest fraction of the positions that may be outlying together; two halves of a scan are no outliers."""


def without_unusable(scan: "Scan", kinds: Sequence[Kind]) -> "Scan":
    """The scan without frames of these kinds; what was dropped is added to `Scan.notes`.

    Arrays that are no scan are returned as they are, for the checks to refuse.

    Args:
        scan: may be unchecked.
        kinds: `dark`: fewer than a twentieth of the median photons. `saturated`: a pixel at the largest value of the
            scan that is not there in most frames. `duplicated`: the pattern of an earlier frame, value by value.
            `outlying`: a position more than 20 median steps from all but a few others. `unpaired`: a pattern without
            a position, or with one that is not a number, or a position without a pattern.

    Raises:
        ScanError: no frame is left.
    """
    for kind in _ORDER:
        if kind in kinds and _is_scan(scan, kind):
            scan = _unpaired(scan) if kind == "unpaired" else _dropped(scan, kind, _FINDERS[kind](scan))
    return scan


def outlying(positions_px: NDArray[np.float64], pattern_size: int) -> NDArray[np.bool_]:
    """(N,): True for positions more than 20 median steps, and more than a pattern, away from the main part of a scan.

    Positions closer than that are linked; the parts that are not linked to the largest one are outlying if they hold
    less than a twentieth of all positions together.
    """
    n = len(positions_px)
    none = np.zeros(n, dtype=bool)
    if n < 4 or not np.isfinite(positions_px).all():
        return none
    positions_px = np.clip(positions_px, -FARTHEST_PX, FARTHEST_PX)
    if _are_linked(positions_px, float(pattern_size)):
        return none

    from scipy.spatial import KDTree  # imported where it is needed: most scans have no gap as wide as a pattern

    places = np.unique(positions_px, axis=0)
    if len(places) < 3:
        return none
    step = float(np.median(KDTree(places).query(places, k=2)[0][:, 1]))
    reach = max(FAR_STEPS * step, float(pattern_size))
    part = _linked(positions_px, reach)
    far = part != np.bincount(part).argmax()
    return far if far.sum() <= max(1, OUTLYING_FRACTION * n) else none


def _are_linked(positions_px: NDArray[np.float64], reach: float) -> bool:
    """Whether cells of `reach` that hold a position all hang together; False where there are very many of them."""
    cells = np.unique(np.floor(positions_px / reach).astype(np.int64), axis=0)
    if len(cells) > MOST_CELLS:
        return False
    left = set(map(tuple, cells.tolist()))
    reached = [left.pop()]
    while reached:
        y, x = reached.pop()
        beside = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
        left -= beside
        reached.extend(beside)
    return not left


def _linked(positions_px: NDArray[np.float64], reach: float) -> NDArray[np.int64]:
    """(N,): number of the linked part that each position belongs to; cells of `reach` that touch are linked."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    cells, cell_of = np.unique(np.floor(positions_px / reach), axis=0, return_inverse=True)
    pairs = KDTree(cells).query_pairs(1.5, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    part: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return part[cell_of.reshape(-1)]


def _is_scan(scan: "Scan", kind: Kind) -> bool:
    patterns, positions = np.asarray(scan.patterns), np.asarray(scan.positions_px)
    plain = patterns.ndim == 3 and 0 not in patterns.shape and patterns.dtype.kind in "uif"
    if not plain or positions.ndim != 2 or positions.shape[1] != 2:
        return False
    bad = scan.bad_pixels
    usable = bad is None or bad.shape in (patterns.shape, patterns.shape[1:])
    return usable and (kind == "unpaired" or len(positions) == len(patterns))


def _unpaired(scan: "Scan") -> "Scan":
    patterns, positions = len(scan.patterns), len(scan.positions_px)
    if patterns != positions:
        both = min(patterns, positions)
        kept = _truncated(scan, both)
        what = "patterns without a position" if patterns > positions else "positions without a pattern"
        scan = replace(kept, notes=(*scan.notes, f"{abs(patterns - positions)} {what} at the end are dropped."))
    return _dropped(scan, "unpaired", np.asarray(~np.isfinite(scan.positions_px).all(axis=1)))


def _truncated(scan: "Scan", n: int) -> "Scan":
    """The first n of everything that has a row for each frame."""
    rows = {
        name: value[:n]
        for name in ("patterns", "positions_px", "nominal_positions_px", "truth_patches", "scan_index")
        if (value := getattr(scan, name)) is not None
    }
    return replace(scan, **rows, bad_pixels=masks_of(scan.bad_pixels, slice(n)))


def _dropped(scan: "Scan", kind: Kind, wrong: NDArray[np.bool_]) -> "Scan":
    index = np.flatnonzero(wrong)
    if len(index) == 0:
        return scan
    if len(index) == len(scan.patterns):
        raise ScanError(
            f"{scan.source}: all {len(wrong)} frames are {kind}; give --drop-frames (data.drop_frames) without {kind}"
        )
    note = f"{len(index)} of {len(wrong)} frames are dropped as {kind}: {listed(index)}{_where(scan, kind, index)}."
    return replace(scan.select(~wrong), notes=(*scan.notes, note))


def _where(scan: "Scan", kind: Kind, index: NDArray[np.intp]) -> str:
    if kind != "outlying":
        return ""
    y, x = scan.positions_px[index[0]]
    low, high = np.delete(scan.positions_px, index, axis=0).min(0), np.delete(scan.positions_px, index, axis=0).max(0)
    return (
        f"; the first is at ({y:.6g}, {x:.6g}) px, the others within ({low[0]:.6g}, {low[1]:.6g}) to "
        f"({high[0]:.6g}, {high[1]:.6g}) px. Give --drop-frames none (data.drop_frames=none) to keep every frame"
    )


def listed(index: NDArray[np.intp]) -> str:
    """The first frame numbers, as in "frames 3, 7, ..."."""
    shown = ", ".join(str(i) for i in index[:12]) + (", ..." if len(index) > 12 else "")
    return f"frame{'s' if len(index) > 1 else ''} {shown}"


def outlying_frames(scan: "Scan") -> NDArray[np.bool_]:
    """(N,): frames with an `outlying` position, among those of the same object."""
    positions = np.asarray(scan.positions_px, dtype=np.float64)
    index = scan.scan_index
    if index is None or np.shape(index) != (len(positions),):
        return outlying(positions, scan.pattern_size)
    far = np.zeros(len(positions), dtype=bool)
    for one in np.unique(index):
        rows = index == one
        far[rows] = outlying(positions[rows], scan.pattern_size)
    return far


def _dark(scan: "Scan") -> NDArray[np.bool_]:
    photons = np.empty(len(scan))
    for run, frames in frame_chunks(scan.patterns, scan.bad_pixels):
        values = frames.astype(np.float64)
        photons[run] = (values if scan.domain == "counts" else np.square(values)).sum(axis=(1, 2))
    lit = photons[photons > 0]
    return photons <= (DARK_FRACTION * np.median(lit) if len(lit) else 0)


def _saturated(scan: "Scan") -> NDArray[np.bool_]:
    """Frames with a pixel at the ceiling, save for pixels that are there in most frames and belong into the mask."""
    times, largest = times_at_ceiling(scan)
    wrong = np.zeros(len(scan), dtype=bool)
    if not times.any():
        return wrong
    sometimes = times <= len(scan) / 2
    for run, frames in frame_chunks(scan.patterns, scan.bad_pixels):
        wrong[run] = ((frames == largest) & sometimes).any(axis=(1, 2))
    return wrong


def _repeated(scan: "Scan") -> NDArray[np.bool_]:
    """Frames whose pattern was there before; dark ones are all alike and are no repetition."""
    seen: set[bytes] = set()
    wrong = np.zeros(len(scan), dtype=bool)
    for i, frame in enumerate(scan.patterns):
        if not frame.any():
            continue
        key = hashlib.sha256(np.ascontiguousarray(frame).tobytes()).digest()
        wrong[i] = key in seen
        seen.add(key)
    return wrong


_ORDER: tuple[Kind, ...] = ("unpaired", "dark", "duplicated", "saturated", "outlying")
_FINDERS: dict[Kind, Callable[["Scan"], NDArray[np.bool_]]] = {
    "dark": _dark,
    "saturated": _saturated,
    "duplicated": _repeated,
    "outlying": outlying_frames,
}
