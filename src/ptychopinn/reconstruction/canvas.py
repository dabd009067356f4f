"""The frame of a reconstruction: which object pixel is element (0, 0), and how many there are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.scan import Scan


@dataclass(frozen=True)
class Frame:
    """A rectangle of the object frame."""

    origin_px: tuple[int, int]
    """(y, x) of element (0, 0)."""
    shape: tuple[int, int]
    """(Y, X)."""

    @classmethod
    def of_positions(cls, whole_px: NDArray[np.int64], size: int, margin: int = 1) -> "Frame":
        """The smallest frame that holds every window of `size` px at whole positions (N, 2), with a margin."""
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

