"""An HDF5 file that another program is still writing (SWMR): what has been added to it since the last look.

The writer appends rows to datasets and flushes them. A reader may see a dataset that has grown before the values of its
last rows are there; such a row holds the fill value. So rows at the end that hold nothing else count as not written,
until a later row is there or the file has ended.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.pieces import COORDINATES, NUMBERS, PATTERNS, Piece, piece_of
from ptychopinn.errors import ScanError

if TYPE_CHECKING:
    import h5py

POSITION_NUMBERS = "position_frames"
"""Dataset with the frame number of each row of the positions; without it a row is numbered by its index."""
ROWS = 256
"""Rows that are read at once."""


@final
class GrowingFile:
    """Reads each row of a file once.

    Args:
        path: of the file, with the datasets `diffraction` (n, H, H), numbered by `frames` (n,), and `xcoords` and
            `ycoords` (m,), numbered by `position_frames` (m,). Without numbers a row has that of its index.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = {PATTERNS: 0, COORDINATES[0]: 0}

    def new(self, *, ended: bool = False) -> list[Piece]:
        """What was added since the last look.

        Args:
            ended: the writer adds no more, so that all rows count.

        Raises:
            ScanError: the file is not in SWMR mode yet, is damaged, or lacks a dataset.
        """
        reached = dict(self._read)
        with open_hdf5(self.path, announce=False, swmr=True) as file:
            patterns = list(_rows(file, (PATTERNS,), NUMBERS, reached, ended))
            positions = list(_rows(file, COORDINATES, POSITION_NUMBERS, reached, ended))
            is_there = PATTERNS in file or all(name in file for name in COORDINATES)
        if not is_there:
            raise ScanError(f"{self.path}: must hold {PATTERNS}, or xcoords and ycoords; let the writer make them")
        found = [piece for arrays in (*patterns, *positions) for piece in _pieces(arrays, str(self.path))]
        self._read = reached
        return found


def _rows(
    file: "h5py.File", names: tuple[str, ...], numbered_by: str, reached: dict[str, int], ended: bool
) -> Iterator[dict[str, NDArray[Any]]]:
    """New rows of datasets that belong together, some at a time, with their frame numbers; `reached` moves on."""
    if not all(name in file for name in names):
        return
    sources = [file[name] for name in (*names, *([numbered_by] if numbered_by in file else []))]
    length = min(len(source) for source in sources)
    grows = any(source.maxshape[0] != source.shape[0] for source in sources)
    while reached[names[0]] < length:
        start = reached[names[0]]
        stop = min(start + ROWS, length)
        blocks = [np.asarray(source[start:stop]) for source in sources]
        written = _all_written(blocks, sources)
        is_over = ended or (grows and stop < length and _any_written(sources, stop, min(stop + ROWS, length)))
        count = len(written) if is_over else int(np.flatnonzero(written).max(initial=-1)) + 1
        if count == 0:
            return
        reached[names[0]] = start + count
        numbers = blocks[-1][:count] if len(sources) > len(names) else np.arange(start, start + count)
        values = [block[:count] for block in blocks[: len(names)]]
        finite = np.logical_and.reduce([np.isfinite(one.reshape(count, -1)).all(1) for one in values])
        keep = finite if names == COORDINATES else np.ones(count, bool)
        yield {NUMBERS: numbers[keep], **{name: one[keep] for name, one in zip(names, values, strict=True)}}
        if count < len(written):
            return


def _any_written(sources: "Sequence[h5py.Dataset]", start: int, stop: int) -> bool:
    """Whether one of the next rows is there, so that those before it are not waited for."""
    return bool(_all_written([np.asarray(source[start:stop]) for source in sources], sources).any())


def _all_written(blocks: Sequence[NDArray[Any]], sources: "Sequence[h5py.Dataset]") -> NDArray[np.bool_]:
    """(n,): whether a row is written in all datasets."""
    return np.logical_and.reduce([_written(*pair) for pair in zip(blocks, sources, strict=True)])


def _written(block: NDArray[Any], source: "h5py.Dataset") -> NDArray[np.bool_]:
    """(n,): whether a row holds another value than the fill value, or than NaN."""
    fill = source.fillvalue
    values = block.reshape(len(block), -1)
    is_fill = values == fill
    if values.dtype.kind == "f":
        is_fill |= np.isnan(values)
    return ~is_fill.all(axis=1)


def _pieces(arrays: dict[str, NDArray[Any]], where: str) -> Iterator[Piece]:
    """Pieces in which each frame number stands once: a frame that was written twice is in two of them."""
    while len(arrays[NUMBERS]):
        _, first = np.unique(arrays[NUMBERS], return_index=True)
        rows = np.sort(first)
        yield piece_of({name: values[rows] for name, values in arrays.items()}, where)
        arrays = {name: np.delete(values, rows, axis=0) for name, values in arrays.items()}
