"""Patterns that stay on disk until it is known which of them are wanted."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import as_contiguous, frame_chunks
from ptychopinn.data.io.hdf5 import checked_values, mapped_dataset, place, same_item
from ptychopinn.data.io.hdf5_sizes import check_dataset
from ptychopinn.data.io.memory import has_room
from ptychopinn.data.io.stored import check_stored
from ptychopinn.data.large_arrays import is_large, new_array, rows_of
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError

_CHUNK_BYTES = 1 << 18
_RESOLUTION = 4


class PatternSource(Protocol):
    """Patterns of a file, read when it is known which of them are wanted."""

    shape: tuple[int, int, int]
    """(N, H, W)."""
    dtype: np.dtype[Any]

    def __len__(self) -> int: ...

    @property
    def place(self) -> str:
        """File and path, for messages."""

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The frames of `rows`, all by default."""


@final
class LoadedFrames:
    """Frames that are in memory.

    Args:
        frames: (N, H, W).
        place: file and name, for messages.

    Raises:
        ScanError: no real numbers, or another number of axes.
    """

    def __init__(self, frames: NDArray[Any], place: str) -> None:
        if frames.dtype.kind not in "uif" or frames.ndim != 3 or 0 in frames.shape:
            raise ScanError(
                f"{place}: the frames must be real numbers of shape (N, H, W), got {frames.dtype} {frames.shape}; "
                "export them again"
            )
        self._frames = frames
        self.place = place
        self.shape: tuple[int, int, int] = (frames.shape[0], frames.shape[1], frames.shape[2])
        self.dtype = frames.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The frames of `rows`, all by default."""
        return self._frames if rows is None else rows_of(self._frames, rows)


@final
class OrientedFrames:
    """Frames that are transposed or flipped when they are read, by the code of ptypy and PtyLab.

    Args:
        frames: as they were recorded.
        code: from 0 to 7; 4 transposes first, 1 flips columns, 2 flips rows, and their sums do both.
    """

    def __init__(self, frames: PatternSource, code: int) -> None:
        self._frames, self._code = frames, code
        n, height, width = frames.shape
        self.place = frames.place
        self.shape: tuple[int, int, int] = (n, width, height) if code & 4 else (n, height, width)
        self.dtype = frames.dtype

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The frames of `rows`, all by default."""
        values = self._frames.read(rows)
        values = values.swapaxes(-1, -2) if self._code & 4 else values
        values = values[..., ::-1] if self._code & 1 else values
        values = values[..., ::-1, :] if self._code & 2 else values
        return as_contiguous(values, values.dtype)


class Frames:
    """Recorded frames in one or several datasets of open files.

    Args:
        datasets: (n, H, W) each, or (rows, columns, H, W) of a raster, also with axes of one; in scan order. Several
            may be one frame (H, W) each.

    Raises:
        ScanError: no numbers, another number of axes, or datasets of different frame sizes.
    """

    def __init__(self, datasets: Sequence[h5py.Dataset]) -> None:
        for dataset in datasets:
            _check_frames(dataset, datasets[0], fewest_axes=3 if len(datasets) == 1 else 2)
        self._datasets = tuple(datasets)
        self._lengths = [int(np.prod(_frame_shape(dataset)[0])) for dataset in datasets]
        rows, columns = _frame_shape(datasets[0])[1]
        self.shape: tuple[int, int, int] = (sum(self._lengths), rows, columns)
        self.scan_shape = _frame_shape(datasets[0])[0] if len(datasets) == 1 else self.shape[:1]
        self.dtype = np.result_type(*(dataset.dtype for dataset in datasets)).newbyteorder("=")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def place(self) -> str:
        """File and path of the first dataset, for messages."""
        return place(self._datasets[0])

    def holds(self, dataset: h5py.Dataset) -> bool:
        """Whether a dataset is one of those that are read, under any name."""
        return any(same_item(dataset, one) for one in self._datasets)

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """The frames of `rows`, all by default, (n, H, W) in the recorded type; each is read once.

        Frames of which nothing was ever written, as of an acquisition that was stopped, are 0 and not the fill value.

        Raises:
            ScanError: they do not fit into memory, declare far more than is stored, were never written, or stand in a
                file that is missing.
        """
        count = len(self) if rows is None else len(rows)
        try:
            chosen = np.arange(len(self)) if rows is None else rows
            frames = self._mapped(chosen)
            if frames is not None:
                return frames
            if not has_room(count * self.shape[1] * self.shape[2] * self.dtype.itemsize):
                raise MemoryError
            return self._gathered(chosen)
        except MemoryError:
            raise ScanError(
                f"{self.place}: {count} frames of {self.shape[1]} x {self.shape[2]} pixels do not fit into memory; "
                "crop or bin them, or split the file"
            ) from None

    def _mapped(self, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """Consecutive frames of one large dataset that lies in one piece in its file, in a map of it; else none."""
        dataset = self._datasets[0]
        if len(self._datasets) > 1 or not is_large((len(rows), *self.shape[1:]), self.dtype):
            return None
        if dataset.dtype != self.dtype or not (np.diff(rows) == 1).all():
            return None
        values = mapped_dataset(dataset)
        return None if values is None else values.reshape(self.shape)[rows[0] : rows[-1] + 1]

    def _gathered(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        wanted = [
            (dataset, goals, rows[goals] - first)
            for first, length, dataset in self._placed()
            if (goals := np.flatnonzero((rows >= first) & (rows < first + length))).size
        ]
        for dataset, _, here in wanted:
            check_dataset(dataset, None if dataset.ndim == 2 else np.unique(here // self._frames_per_line(dataset)))
            check_stored(dataset)
        frames = new_array((len(rows), *self.shape[1:]), self.dtype)
        for dataset, goals, here in wanted:
            self._fill(frames, goals, dataset, here)
            frames[goals[_never_written(dataset, here // self._frames_per_line(dataset))]] = 0
        return frames

    def _placed(self) -> Iterator[tuple[int, int, h5py.Dataset]]:
        first = 0
        for length, dataset in zip(self._lengths, self._datasets, strict=True):
            yield first, length, dataset
            first += length

    def _fill(
        self, frames: NDArray[Any], goals: NDArray[np.int64], dataset: h5py.Dataset, here: NDArray[np.int64]
    ) -> None:
        """Put the frames `here` of a dataset at the places `goals`; of a raster a few of its lines at a time."""
        if dataset.ndim == 2:
            frames[goals] = checked_values(dataset)
        elif dataset.ndim == 3:
            for goal, start, stop in _runs(goals, here):
                dataset.read_direct(frames, np.s_[start:stop], np.s_[goal : goal + stop - start])
        else:
            lines = dataset.chunks[0] if dataset.chunks else 1
            together = lines * self._frames_per_line(dataset)
            for block in np.unique(here // together):
                inside = here // together == block
                values = dataset[block * lines : (block + 1) * lines].reshape(-1, *self.shape[1:])
                frames[goals[inside]] = values[here[inside] - block * together]

    @staticmethod
    def _frames_per_line(dataset: h5py.Dataset) -> int:
        """Frames for each step along the first axis of a dataset, of one frame (H, W) 1."""
        return int(np.prod(_frame_shape(dataset)[0][1:]))


def write_counts(group: h5py.Group, name: str, scan: Scan) -> h5py.Dataset:
    """Write the patterns of a scan as counts, a run of frames at a time.

    Counts keep their type. Amplitudes are squared; where every square is a whole number to the precision of
    its type, as for the square root of counts, whole numbers are written.
    """
    kind = scan.patterns.dtype if scan.domain == "counts" else _counts_type(scan.patterns)
    n, rows, columns = scan.patterns.shape
    together = min(n, max(1, _CHUNK_BYTES // (rows * columns * kind.itemsize)))
    dataset = group.create_dataset(
        name, (n, rows, columns), kind, chunks=(together, rows, columns), compression="gzip", shuffle=True
    )
    for run, frames in frame_chunks(scan.patterns):
        counts = frames if scan.domain == "counts" else np.square(frames, dtype=np.float64)
        dataset[run] = np.rint(counts) if kind.kind in "ui" else counts
    return dataset


def _counts_type(amplitudes: NDArray[Any]) -> np.dtype[Any]:
    """The type that holds the squares: whole numbers where they are that, else as precise as the amplitudes."""
    precision = np.finfo(amplitudes.dtype if amplitudes.dtype.kind == "f" else np.float64).eps
    largest = 0.0
    for _, frames in frame_chunks(amplitudes):
        counts = np.square(frames, dtype=np.float64)
        if (np.abs(counts - np.rint(counts)) > _RESOLUTION * precision * counts).any():
            return np.dtype(np.result_type(amplitudes.dtype, np.float32))
        largest = max(largest, float(counts.max(initial=0)))
    fitting = (kind for kind in (np.uint16, np.uint32) if largest <= np.iinfo(kind).max)
    return np.dtype(next(fitting, np.uint64))


def _never_written(dataset: h5py.Dataset, lines: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which steps along the first axis have no chunk in the file, so that they hold the fill value."""
    missing = np.zeros(len(lines), np.bool_)
    if dataset.ndim < 3 or dataset.chunks is None or dataset.is_virtual:
        return missing
    chunks = int(np.prod([-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]))
    if not dataset.fillvalue or dataset.id.get_num_chunks() == chunks:
        return missing
    starts: list[int] = []
    dataset.id.chunk_iter(lambda chunk: starts.append(chunk.chunk_offset[0]))
    return ~np.isin(lines // dataset.chunks[0] * dataset.chunks[0], starts)


def _runs(goals: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Stretches of consecutive rows that go to consecutive places: first place, first row, end of the rows."""
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(goals) != 1)) + 1
    for part_goals, part_rows in zip(np.split(goals, breaks), np.split(rows, breaks), strict=True):
        if len(part_rows):
            yield int(part_goals[0]), int(part_rows[0]), int(part_rows[-1]) + 1


def _check_frames(dataset: h5py.Dataset, first: h5py.Dataset, fewest_axes: int) -> None:
    if dataset.dtype.kind not in "uif" or dataset.ndim < fewest_axes or 0 in dataset.shape:
        raise ScanError(
            f"{place(dataset)} has shape {dataset.shape} and type {dataset.dtype}; must be frames as (N, H, W), "
            "or (rows, columns, H, W) of a raster, of real numbers"
        )
    if _frame_shape(dataset)[1] != _frame_shape(first)[1]:
        raise ScanError(
            f"{place(dataset)} holds frames of {_frame_shape(dataset)[1]} pixels, but {first.name} of "
            f"{_frame_shape(first)[1]}; "
            "all must have one size"
        )


def _frame_shape(dataset: h5py.Dataset) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Lengths of the scan axes and of the frame; a last axis of one, as of colours, belongs to neither."""
    shape = dataset.shape
    if len(shape) > 3 and shape[-1] == 1 and shape[-2] > 1:
        shape = shape[:-1]
    return shape[:-2], (shape[-2], shape[-1])
