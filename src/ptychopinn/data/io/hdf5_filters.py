"""What the packed chunks of an HDF5 dataset become, found out before the library unpacks them."""

import bz2
import struct
import zlib
from collections.abc import Callable
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.child import completes
from ptychopinn.errors import ScanError

_MOST_INFLATED = 1032
"""Largest ratio of deflate."""
_WASTE = 512 * 2**20
"""Bytes by which a packed chunk may exceed its declared size in memory. A chunk of gzip that could do so is unpacked
once more, within its size, before the library does: those of more than 0.5 MB packed."""
_BZIP2, _BITSHUFFLE, _ZSTD = 307, 32008, 32015
_COUNTED = (h5py.h5z.FILTER_DEFLATE, _BZIP2)
_LZF = 32000
_FEW_BYTES = 2**18
"""Of packed chunks of LZF, which the library unpacks again and again with a little more room: so many take 1 s at most,
ten times as many take 60 s."""
_UNPACKED_PER_S = 20 * 2**20
"""Bytes of values in a second of processor time, with a reserve: slow filters reach 50 MiB."""
_ABORTING = {32017: "SZ", 32024: "SZ3"}
"""Lossy filters whose libraries end the whole process where a chunk is damaged: now and then only, so that a trial in a
child process is no proof."""
_LONGEST_HEADER = 18
"""Bytes of a zstd frame before its data."""
_CHECKSUM = 4
"""Bytes that the filter fletcher32 adds to a chunk."""


def _number(form: str, start: int) -> Callable[[bytes], int]:
    def read(head: bytes) -> int:
        part = head[start : start + struct.calcsize(form)]
        return int(struct.unpack(form, part)[0]) if len(part) == struct.calcsize(form) else 0

    return read


def zstd_content_size(head: bytes) -> int:
    """Unpacked bytes that the first frame of zstd data states (RFC 8878, section 3.1.1.1); 0 where it states none.

    >>> zstd_content_size(bytes.fromhex("28b52ffd6000ff8d4800"))
    65536
    """
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 6:
        return 0
    single = head[4] >> 5 & 1
    start = 5 + (not single) + (0, 1, 2, 4)[head[4] & 3]
    length = (single, 2, 4, 8)[head[4] >> 6]
    return int.from_bytes(head[start : start + length], "little") + (256 if length == 2 else 0)


_STATED: dict[int, Callable[[bytes], int]] = {
    h5py.h5z.FILTER_SZIP: _number("<I", 0),
    32001: _number("<I", 4),  # Blosc
    32004: _number(">Q", 0),  # LZ4
    _BITSHUFFLE: _number(">Q", 0),
    _ZSTD: zstd_content_size,
}
"""Filters that reserve what the beginning of the chunk states."""


def check_chunks(dataset: h5py.Dataset, size: int, where: str, rows: NDArray[np.int64] | None = None) -> None:
    """Refuse packed chunks that could take far more memory than their declared size.

    What deflate and bzip2 make of a chunk is counted; Blosc, LZ4, bitshuffle, szip and zstd state it. Chunks of any
    other filter are read once in a child process with a limit of memory (25 ms and the time of unpacking).

    Args:
        dataset: a chunked one.
        size: bytes that a chunk declares.
        where: file and path, for messages.
        rows: along the first axis, whose chunks are looked at; all by default.

    Raises:
        ScanError: a chunk is larger than it declares, is packed several times over, or by a filter whose library cannot
            be trusted with damaged data.
    """
    packing = _packing(dataset)
    for name in (_ABORTING[kind] for kind in packing if kind in _ABORTING):
        raise ScanError(
            f"{where} is packed by {name}, which can end the program where data are damaged; must be packed otherwise, "
            "repack the file: h5repack -f GZIP=4"
        )
    if packing == [_LZF]:
        _check_packed_sizes(dataset, size, where, rows)
        if dataset.id.get_storage_size() <= _FEW_BYTES:
            return
    if any(one not in _COUNTED and one not in _STATED for one in packing):
        _check_in_child(dataset, packing, size, where, rows)
        return
    if len(packing) > 1:
        raise ScanError(f"{where} is packed {len(packing)} times over; values must be packed once, export them again")
    allowed = size + _CHECKSUM
    for kind in packing:
        with open(dataset.file.filename, "rb") as file:
            for chunk in _chunks(dataset, rows):
                if chunk.filter_mask == 0 and _unpacked(dataset, file, chunk, kind, allowed) > allowed:
                    raise _larger(where, chunk)


def _larger(where: str, chunk: Any) -> ScanError:
    return ScanError(
        f"{where}: the chunk at {chunk.chunk_offset} is larger than it declares; the file is damaged or made to "
        "exhaust memory, export it again"
    )


def _check_packed_sizes(dataset: h5py.Dataset, size: int, where: str, rows: NDArray[np.int64] | None) -> None:
    """Refuse chunks that are larger packed than they declare: a chunk that LZF does not shrink is stored as it is."""
    for chunk in _chunks(dataset, rows):
        if chunk.filter_mask == 0 and chunk.size > size + _CHECKSUM:
            raise _larger(where, chunk)


def _packing(dataset: h5py.Dataset) -> list[int]:
    """The filters that change the size of a chunk."""
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index) for index in range(settings.get_nfilters())]
    return [
        kind
        for kind, _, values, _ in filters
        if kind not in (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
        and not (kind == _BITSHUFFLE and not any(values[4:5]))  # it only sorts bits where it names no packing
    ]


def _unpacked(dataset: h5py.Dataset, file: IO[bytes], chunk: Any, kind: int, size: int) -> int:
    """Bytes that a chunk becomes, as far as they matter."""
    if kind == h5py.h5z.FILTER_DEFLATE and chunk.size * _MOST_INFLATED <= size + _WASTE:
        return 0
    file.seek(dataset.file.userblock_size + chunk.byte_offset)
    if kind in _STATED:
        return _STATED[kind](file.read(min(chunk.size, _LONGEST_HEADER)))
    return _inflated(file.read(chunk.size), kind, size)


def _chunks(dataset: h5py.Dataset, rows: NDArray[np.int64] | None) -> list[Any]:
    """Offset in the dataset, place in the file and packed size of each chunk that holds one of the rows."""
    found: list[Any] = []
    dataset.id.chunk_iter(found.append)
    if rows is None:
        return found
    wanted = set((np.unique(rows) // dataset.chunks[0] * dataset.chunks[0]).tolist())
    return [chunk for chunk in found if chunk[0][0] in wanted]


def _inflated(packed: bytes, kind: int, size: int) -> int:
    """Bytes that a chunk becomes, counted to `size` and one more; 0 where it is damaged."""
    unpacking: Any = bz2.BZ2Decompressor() if kind == _BZIP2 else zlib.decompressobj()
    try:
        return len(unpacking.decompress(packed, size + 1))
    except (OSError, zlib.error):
        return 0


def _check_in_child(
    dataset: h5py.Dataset, packing: list[int], size: int, where: str, rows: NDArray[np.int64] | None
) -> None:
    """Read the chunks of the rows in a process of its own, unless a filter is missing, which reading will say."""
    if not all(h5py.h5z.filter_avail(one) for one in packing):
        return

    def read() -> None:
        for chunk in _chunks(dataset, rows):
            starts = zip(chunk[0], dataset.chunks, strict=True)
            dataset[tuple(slice(start, start + length) for start, length in starts)]

    values = dataset.size * dataset.dtype.itemsize
    if not completes(read, 2 * size + _WASTE, 2 + values / _UNPACKED_PER_S):
        raise ScanError(
            f"{where}: its chunks cannot be unpacked (filter {packing[-1]}) within the memory and time that their "
            "size allows; the file is damaged or made to exhaust memory, export it again, with gzip or LZ4"
        )
