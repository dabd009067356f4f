"""Sizes that an HDF5 dataset declares, against what is stored and what memory is free."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.child import completes
from ptychopinn.data.io.hdf5_filters import check_chunks
from ptychopinn.data.io.hdf5_references import MOST_TEXTS, source_bytes, sources_of
from ptychopinn.data.io.memory import FREE_BYTES, SMALL_BYTES, check_expansion, check_room, size_text
from ptychopinn.errors import ScanError, shown


def check_dataset(dataset: h5py.Dataset, rows: NDArray[np.int64] | None = None) -> None:
    """Refuse a dataset whose values would take far more memory than it stores, or more than is free.

    Args:
        dataset: that is to be read.
        rows: along the first axis, that are to be read; all by default. Only they must fit into memory, and only the
            chunks that hold them are looked at, but for a virtual dataset.

    Raises:
        ScanError: a declared shape, a chunk, or a packed chunk is out of proportion, also in the sources of a virtual
            dataset.
    """
    declared, chunks = _declared(dataset.shape, dataset.dtype), dataset.chunks
    if dataset.dtype.hasobject and dataset.size > MOST_TEXTS:
        _check_lengths(dataset)
    if chunks is None and declared <= SMALL_BYTES and not dataset.is_virtual:
        return
    where, stored = _where(dataset), _stored(dataset)
    check_expansion(declared, stored, where)
    check_room(declared if rows is None else declared // max(len(dataset), 1) * len(rows), where)
    _check_packed(dataset, stored, set(), rows)


def _check_packed(
    dataset: h5py.Dataset, stored: int, seen: set[tuple[str, int]], rows: NDArray[np.int64] | None = None
) -> None:
    """Look at the chunks of a dataset that hold rows of it, or at all those of its sources."""
    if dataset.is_virtual:
        for source in sources_of(dataset):
            known = source.file.filename, h5py.h5o.get_info(source.id).addr
            if known not in seen:
                seen.add(known)
                _check_packed(source, _stored(source), seen)
    elif dataset.chunks is not None:
        chunk = _declared(dataset.chunks, dataset.dtype)
        check_expansion(chunk, stored, f"{_where(dataset)}: a chunk")
        check_chunks(dataset, chunk, _where(dataset), rows)


def _check_lengths(dataset: h5py.Dataset) -> None:
    """Try values of variable length in a process of its own: many of them can stand for one stored value."""
    if not completes(lambda: dataset[()], FREE_BYTES):
        raise ScanError(
            f"{_where(dataset)} holds {dataset.size} values of variable length, which take more than "
            f"{size_text(FREE_BYTES)} or cannot be read; store them with a fixed length"
        )


def _where(dataset: h5py.Dataset) -> str:
    return f"{dataset.file.filename}: {shown(dataset.name)}"


def _declared(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


def _stored(dataset: h5py.Dataset) -> int:
    """Bytes on the disk; never more than the file has."""
    if dataset.is_virtual:
        return source_bytes(dataset)
    return min(dataset.id.get_storage_size(), Path(dataset.file.filename).stat().st_size)
