"""Where the patterns of the grid-lines study lie, and what of the object they decide."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError


@dataclass(frozen=True)
class GridLayout:
    """Square groups of `gridsize` x `gridsize` windows on a square grid over a square object; all in px.

    Raises:
        ConfigError: the object has no room for two groups along an axis, or groups leave gaps.
    """

    pattern_size: int
    """N: rows and columns of a window."""
    gridsize: int
    """Windows along each axis of a group."""
    offset: int
    """Distance of neighbouring windows of a group."""
    stride: int
    """Distance of neighbouring groups."""
    size: int
    """Rows and columns of the object."""

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ConfigError(
                f"an object of {self.size} px has no room for two groups of {self.extent} px at a distance of "
                f"{self.stride} px; raise size to {self.extent + self.stride} or more"
            )
        if self.stride > self.pattern_size:
            raise ConfigError(
                f"groups are {self.stride} px apart and patterns {self.pattern_size} px wide, which leaves gaps; "
                f"lower the outer offset to {2 * self.pattern_size} or less"
            )

    @property
    def extent(self) -> int:
        """Rows and columns that a group covers: N + (gridsize - 1) offset."""
        return self.pattern_size + (self.gridsize - 1) * self.offset

    @property
    def steps(self) -> int:
        """Groups along each axis; what remains of the object below and at the right is never seen."""
        return (self.size - self.extent) // self.stride + 1

    def positions_px(self) -> NDArray[np.float64]:
        """(steps^2, G, 2), (y, x): row by row, groups and windows of a group alike, in the frame of the object.

        >>> GridLayout(pattern_size=8, gridsize=2, offset=1, stride=3, size=12).positions_px()[1].tolist()
        [[4.0, 7.0], [4.0, 8.0], [5.0, 7.0], [5.0, 8.0]]
        """
        corners, inner = _mesh(self.steps) * self.stride, _mesh(self.gridsize) * self.offset
        return (corners[:, None] + inner + self.pattern_size // 2).astype(np.float64)

    @property
    def truth_region(self) -> tuple[slice, slice]:
        """Rows and columns of the object that the middle cells (stride x stride) of all groups cover."""
        border = self.pattern_size - self.stride + (self.gridsize - 1) * self.offset
        low = (border + 1) // 2
        return (slice(low, low + self.steps * self.stride),) * 2


def tile_middles(patches: NDArray[Any], stride: int) -> NDArray[Any]:
    """Middle cells (stride x stride) of patches (n, steps, steps, N, N) side by side: (n, steps stride, steps stride).

    The plain way to put a reconstruction together: each pixel comes from the one patch whose middle is nearest.
    Multiplied by `norm`, the result of gridsize 1 covers `GridLayout.truth_region`.
    """
    n, steps, _, size, _ = patches.shape
    low = (size - stride + 1) // 2
    cells = patches[..., low : low + stride, low : low + stride]
    return cells.transpose(0, 1, 3, 2, 4).reshape(n, steps * stride, steps * stride)


def _mesh(count: int) -> NDArray[np.int64]:
    """(count^2, 2): every (row, column), row by row."""
    return np.stack(np.meshgrid(np.arange(count), np.arange(count), indexing="ij"), axis=-1).reshape(-1, 2)
