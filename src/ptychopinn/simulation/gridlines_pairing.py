"""Which window a group of patterns shows, found from what the patterns hold.

Training files of the earlier system hold shuffled patterns beside coordinates in another order, without a word on
the shuffle. The objects are in the file too, and every window of them can be told from every other one.
"""

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ScanError

BATCH_GROUPS = 512
"""Groups compared at once with all windows."""


def find_order(seen: NDArray[np.float32], expected: NDArray[np.float32], source: str) -> NDArray[np.int64]:
    """For every image seen, the expected one that is nearest to it: (B,), a permutation.

    Args:
        seen: (B, N, N).
        expected: (B, N, N), in the same unit.
        source: name of the file, for messages.

    Raises:
        ScanError: the images do not fit one to one.
    """
    mean = expected.mean(axis=0)
    rows, columns = ((images - mean).reshape(len(images), -1) for images in (seen, expected))
    half_power = np.square(columns).sum(axis=1) / 2
    starts = range(0, len(rows), BATCH_GROUPS)
    nearest = [(rows[low : low + BATCH_GROUPS] @ columns.T - half_power).argmax(axis=1) for low in starts]
    order = np.concatenate(nearest)
    if len(np.unique(order)) != len(expected) or len(order) != len(expected):
        found = len(np.unique(order))
        raise ScanError(
            f"{source}: the {len(order)} groups show only {found} of {len(expected)} windows of YY_full, so "
            "that coordinates and patterns cannot be paired; write the data again with grid_lines_sim"
        )
    return order
