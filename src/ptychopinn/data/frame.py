"""The frame of a reconstruction: which object pixel is element (0, 0), and how many there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.propagation import check_propagation
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError


def nearest_pixel(positions_px: NDArray[Any]) -> NDArray[np.int64]:
    """The whole pixel (..., 2) nearest to each position: `ptychopinn.physics.split_position` without torch.

    >>> nearest_pixel(np.array([[2.5, -1.25]])).tolist()
    [[3, -1]]
    """
    return np.floor(positions_px + 0.5).astype(np.int64)


@dataclass(frozen=True)
class Frame:
    """A rectangle of the object frame."""

    origin_px: tuple[int, int]
    """(y, x) of element (0, 0)."""
    shape: tuple[int, int]
    """(Y, X)."""

    @classmethod
    def of_positions(cls, positions_px: NDArray[Any], size: int, margin: int = 1) -> "Frame":
        """The smallest frame, with a margin, that holds every window of `size` px at the nearest pixels."""
        whole_px = nearest_pixel(positions_px)
        low = whole_px.min(axis=0) - size // 2 - margin
        high = whole_px.max(axis=0) - size // 2 + size + margin
        return cls((int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1])))

    @classmethod
    def of_scan(cls, scan: Scan, windows: "Frame") -> "Frame":
        """The frame of the scan's object guess, or that of its windows where it has none."""
        if scan.object_guess is None:
            return windows
        rows, columns = scan.object_guess.shape
        return cls((0, 0), (rows, columns))

    def moved(self, image: NDArray[Any], goal: "Frame", fill: float) -> NDArray[Any]:
        """An image (Y, X) of this frame in another one: cropped, and `fill` where this frame does not reach."""
        moved = np.full(goal.shape, fill, image.dtype)
        spans = [
            _common(start - other, own, length)
            for start, other, own, length in zip(self.origin_px, goal.origin_px, self.shape, goal.shape, strict=True)
        ]
        moved[tuple(target for target, _ in spans)] = image[tuple(source for _, source in spans)]
        return moved

    def union(self, other: "Frame") -> "Frame":
        """The smallest frame that holds both.

        >>> Frame((0, 2), (4, 4)).union(Frame((-1, 3), (2, 9)))
        Frame(origin_px=(-1, 2), shape=(5, 10))
        """
        axes = list(zip(self.origin_px, self.shape, other.origin_px, other.shape, strict=True))
        low = [min(start, start2) for start, _, start2, _ in axes]
        high = [max(start + length, start2 + length2) for start, length, start2, length2 in axes]
        return Frame((low[0], low[1]), (high[0] - low[0], high[1] - low[1]))

    def overlaps(self, other: "Frame") -> bool:
        """Whether the two rectangles have a pixel in common."""
        axes = zip(self.origin_px, self.shape, other.origin_px, other.shape, strict=True)
        return all(start < start2 + length2 and start2 < start + length for start, length, start2, length2 in axes)


def _common(offset: int, own: int, other: int) -> tuple[slice, slice]:
    """Common part of an axis of `own` elements at `offset` and one of `other`: in the other, in its own."""
    start = min(max(offset, 0), other)
    stop = max(min(offset + own, other), start)
    return slice(start, stop), slice(start - offset, stop - offset) if stop > start else slice(0, 0)


def check_one_image(scan: Scan, propagation: str = "far_field") -> None:
    """Refuse a scan whose patterns do not make one image; call it before hours of training.

    Args:
        scan: what was measured.
        propagation: `model.propagation` of the recipe.

    Raises:
        ScanError: patterns of another propagation or of several objects, or none on the canvas of the object guess.
    """
    check_propagation(scan, propagation)
    objects = [] if scan.scan_index is None else np.unique(scan.scan_index).tolist()
    if len(objects) > 1:
        raise ScanError(
            f"{scan.source}: scan_index names {len(objects)} objects ({', '.join(map(str, objects[:4]))}"
            f"{', ...' if len(objects) > 4 else ''}), which would be mixed on one canvas; "
            "all patterns must be of one object; select one: scan.select(scan.scan_index == i)"
        )
    windows = Frame.of_positions(scan.positions_px, scan.pattern_size, margin=0)
    guess = Frame.of_scan(scan, windows)
    if not guess.overlaps(windows):
        raise ScanError(
            f"{scan.source}: no pattern lies on objectGuess, {_span(guess)}, as all are in {_span(windows)}; "
            "positions must be in the frame of objectGuess, so shift them, or drop objectGuess"
        )


def _span(frame: Frame) -> str:
    rows, columns = (f"{low}..{low + n - 1}" for low, n in zip(frame.origin_px, frame.shape, strict=True))
    return f"rows {rows} and columns {columns}"
