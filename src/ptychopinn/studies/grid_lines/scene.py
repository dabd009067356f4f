"""Objects of the grid-lines study, drawn lines blurred at three scales, and the windows on them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ptychopinn.studies.grid_lines.layout import GridLayout

LINES = 400
BLURS = ((1.0, 1.0), (2.0, 5.0), (5.0, 10.0))
"""Weight and standard deviation, px, of each scale."""
BATCH_GROUPS = 256
"""Groups whose windows are held at once where only a statistic of them is wanted."""


@dataclass(frozen=True, eq=False)
class GridScene:
    """Which window of which object every pattern of every group sees."""

    layout: GridLayout
    objects: NDArray[np.complex64]
    """(n, Y, X)."""
    object_index: NDArray[np.int64]
    """(B,): the object of each group."""
    positions_px: NDArray[np.float64]
    """(B, G, 2), (y, x): whole positions in the frame of the object."""

    def __len__(self) -> int:
        return len(self.object_index)

    @classmethod
    def of_objects(cls, layout: GridLayout, objects: NDArray[np.complex64]) -> "GridScene":
        """All groups of the first object, row by row, then all of the next one."""
        positions = layout.positions_px()
        index = np.repeat(np.arange(len(objects)), len(positions))
        return cls(layout, objects, index, np.tile(positions, (len(objects), 1, 1)))

    def reordered(self, order: NDArray[np.int64]) -> "GridScene":
        """The groups in another order."""
        return replace(self, object_index=self.object_index[order], positions_px=self.positions_px[order])

    def windows(self, rows: slice | NDArray[Any] = slice(None)) -> NDArray[np.complex64]:
        """(B, G, N, N): what the patterns of some groups, by default of all, see of the objects."""
        size = self.layout.pattern_size
        corner = self.positions_px[rows].astype(np.int64) - size // 2
        view = np.lib.stride_tricks.sliding_window_view(self.objects, (size, size), axis=(1, 2))
        return view[self.object_index[rows][:, None], corner[..., 0], corner[..., 1]]

    def norm(self) -> float:
        """Mean over the groups of the largest modulus in their windows."""
        largest = [np.abs(batch).max(axis=(1, 2, 3)) for batch in self._batches()]
        return float(np.concatenate(largest).astype(np.float64).mean())

    def mean_power(self, probe: NDArray[np.complex64]) -> float:
        """Mean over the patterns of sum |P O|^2, for a probe (N, N)."""
        weight = np.square(np.abs(probe).astype(np.float64))
        sums = [np.einsum("bgyx,yx->bg", np.square(np.abs(batch)), weight) for batch in self._batches()]
        return float(np.concatenate(sums).mean())

    def _batches(self) -> Iterator[NDArray[np.complex64]]:
        return (self.windows(slice(low, low + BATCH_GROUPS)) for low in range(0, len(self), BATCH_GROUPS))


def draw_scene(layout: GridLayout, count: int, random_state: np.random.RandomState, *, set_phi: bool) -> GridScene:
    """Draw `count` objects, with a phase or without, from one stream."""
    moduli = [draw_lines(layout.size, random_state) for _ in range(count)]
    objects = [modulus * np.exp(1j * phase_of_lines(modulus) * set_phi) for modulus in moduli]
    return GridScene.of_objects(layout, np.stack(objects).astype(np.complex64))


def draw_lines(size: int, random_state: np.random.RandomState) -> NDArray[np.float64]:
    r"""The modulus of one sample, (size, size), up to 8, without unit.

    \[ O = g_1 * L + 2\, g_5 * L + 5\, g_{10} * L \]

    with L, 1 on `LINES` straight lines one pixel wide and 0 elsewhere, on a picture of twice the size, of which the
    middle is kept. The end points (row, column, row, column) of each line are whole parts of four uniform draws. The
    stream of a legacy `RandomState` is consumed as by legacy PtychoPINN: 4 draws for each line.

    >>> sample = draw_lines(32, np.random.RandomState(1))
    >>> sample.shape, bool(sample.min() > 0), bool(sample.max() < 8)
    ((32, 32), True, True)
    """
    from skimage.draw import line

    picture = np.zeros((2 * size, 2 * size))
    for ends in (random_state.rand(LINES, 4) * 2 * size).astype(int):
        picture[line(*ends)] = 1
    blurred = sum(weight * gaussian_filter(picture, deviation) for weight, deviation in BLURS)
    low = size // 2
    return np.asarray(blurred)[low : low + size, low : low + size]


def phase_of_lines(modulus: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""A phase that follows the modulus, (Y, X), rad: \(\pi \tanh((O - \max O / 2) / (3\, \bar O))\)."""
    return np.pi * np.tanh((modulus - modulus.max() / 2) / (3 * modulus.mean()))
