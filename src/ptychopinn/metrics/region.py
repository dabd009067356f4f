"""The rectangle on which two images are scored."""

import numpy as np
from numpy.typing import NDArray

Region = tuple[int, int, int, int]
"""(y0, y1, x0, x1): rows y0..y1-1 and columns x0..x1-1."""

MIN_SIDE_PX = 16
"""Below this no window of SSIM and no ring past the low ones fits."""
EDGE_PX = 8
"""Rows and columns taken off each side of the covered rectangle: they saw little light."""


def covered_region(mask: NDArray[np.bool_]) -> Region:
    """A fully covered rectangle inside the mask, eroded by 8 px, or by an eighth of its side if that is less.

    While a pixel is not covered, the outer row or column with the largest uncovered part goes.

    Raises:
        ValueError: no rectangle of 16 px is left.

    >>> import numpy as np
    >>> mask = np.zeros((100, 100), dtype=bool)
    >>> mask[10:90, 20:100] = True
    >>> covered_region(mask)
    (18, 82, 28, 92)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        raise ValueError("mask selects no pixel; at least one must be covered")
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    while y1 > y0 and x1 > x0 and not mask[y0:y1, x0:x1].all():
        box = ~mask[y0:y1, x0:x1]
        worst = int(np.argmax([side.mean() for side in (box[0], box[-1], box[:, 0], box[:, -1])]))
        y0, y1 = y0 + (worst == 0), y1 - (worst == 1)
        x0, x1 = x0 + (worst == 2), x1 - (worst == 3)
    edge = min(EDGE_PX, (y1 - y0) // 8, (x1 - x0) // 8)
    return checked_region((y0 + edge, y1 - edge, x0 + edge, x1 - edge), mask)


def checked_region(region: Region, mask: NDArray[np.bool_]) -> Region:
    """The region in plain integers, inside the frame, with some covered pixels.

    Raises:
        ValueError: the region leaves the frame, is smaller than 16 px, or holds nothing that is covered.
    """
    y0, y1, x0, x1 = (int(edge) for edge in region)
    if not (0 <= y0 <= y1 <= mask.shape[0] and 0 <= x0 <= x1 <= mask.shape[1]):
        raise ValueError(f"region {tuple(region)} leaves the frame {mask.shape}; must be (y0, y1, x0, x1)")
    if min(y1 - y0, x1 - x0) < MIN_SIDE_PX:
        raise ValueError(
            f"region {(y0, y1, x0, x1)} is {y1 - y0} x {x1 - x0} px; scores need {MIN_SIDE_PX} px on each "
            "side, so give a larger region or a mask that covers more"
        )
    if not mask[y0:y1, x0:x1].any():
        raise ValueError(f"region {(y0, y1, x0, x1)} holds no covered pixel; move it to where the mask is True")
    return y0, y1, x0, x1
