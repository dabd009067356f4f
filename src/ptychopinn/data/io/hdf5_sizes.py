"""Sizes that an HDF5 dataset declares, against what is stored and what memory is free."""

import bz2
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychopinn.data.io.hdf5_references import source_bytes
from ptychopinn.data.io.memory import SMALL_BYTES, check_expansion, check_memory
from ptychopinn.errors import ScanError, shown

_MOST_INFLATED = 1032
"""Largest ratio of deflate."""
_WASTE = 512 * 2**20
"""Bytes by which a packed chunk may exceed its declared size in memory. A chunk of gzip that could do so is unpacked
once more, within its size, before the library does: those of more than 0.5 MB packed."""
_BZIP2 = 307
_STATED_SIZES = {32001: ("<I", 4), 32004: (">Q", 0), 32008: (">Q", 0)}
"""Filters that reserve what the chunk itself states (Blosc, LZ4, bitshuffle), and where it stands."""


def check_dataset(dataset: h5py.Dataset) -> None:
    """Refuse a dataset whose values would take far more memory than it stores, or more than is free.

    Raises:
        ScanError: a declared shape, a chunk, or a packed chunk is out of proportion.
    """
    declared, chunks = _declared(dataset.shape, dataset.dtype), dataset.chunks
    if chunks is None and declared <= SMALL_BYTES:
        return
    where, stored = f"{dataset.file.filename}: {shown(dataset.name)}", _stored(dataset)
    check_expansion(declared, stored, where)
    check_memory(declared, where)
    if chunks is not None:
        chunk = _declared(chunks, dataset.dtype)
        check_expansion(chunk, stored, f"{where}: a chunk")
        _check_chunks(dataset, chunk, where)


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


def _check_chunks(dataset: h5py.Dataset, size: int, where: str) -> None:
    """Look into packed chunks that could take far more memory than `size`."""
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index)[0] for index in range(settings.get_nfilters())]
    packing = [one for one in filters if one in (h5py.h5z.FILTER_DEFLATE, _BZIP2, *_STATED_SIZES)]
    if len(packing) > 1:
        raise ScanError(f"{where} is packed {len(packing)} times over; values must be packed once, export them again")
    for kind in packing:
        unpacked = _stated if kind in _STATED_SIZES else _inflated
        for chunk in _chunks(dataset):
            possible = kind != h5py.h5z.FILTER_DEFLATE or chunk.size * _MOST_INFLATED > size + _WASTE
            if possible and unpacked(dataset, chunk, kind, size) > size:
                raise ScanError(
                    f"{where}: the chunk at {chunk.chunk_offset} is larger than it declares; the file is damaged or "
                    "made to exhaust memory, export it again"
                )


def _chunks(dataset: h5py.Dataset) -> list[Any]:
    """Offset in the dataset, place in the file and packed size of each chunk."""
    found: list[Any] = []
    dataset.id.chunk_iter(found.append)
    return found


def _stated(dataset: h5py.Dataset, chunk: Any, kind: int, size: int) -> int:
    """Bytes that a chunk states for itself; 0 where it is stored unpacked."""
    form, start = _STATED_SIZES[kind]
    with open(dataset.file.filename, "rb") as file:
        file.seek(dataset.file.userblock_size + chunk.byte_offset + start)
        stated = file.read(struct.calcsize(form))
    return int(struct.unpack(form, stated)[0]) if chunk.filter_mask == 0 and len(stated) == struct.calcsize(form) else 0


def _inflated(dataset: h5py.Dataset, chunk: Any, kind: int, size: int) -> int:
    """Bytes that a chunk becomes, counted to `size` and one more; 0 where it is stored unpacked or damaged."""
    _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
    unpacking: Any = bz2.BZ2Decompressor() if kind == _BZIP2 else zlib.decompressobj()
    try:
        return len(unpacking.decompress(packed, size + 1))
    except (OSError, zlib.error):
        return 0
