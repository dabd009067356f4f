"""Arrays that are larger than a process should hold: their values lie in a file that is mapped into memory.

Pages of such a file are read when they are used, and the system drops them when memory is short, so that they are no
part of the anonymous memory of the process. To NumPy and PyTorch it is an array like any other.
"""

import logging
import math
import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

logger = logging.getLogger("ptychopinn.data")

MOST_IN_MEMORY = 64 * 2**20
"""Bytes up to which an array lies in memory: a fifth of what the import takes, 8,000 patterns of 64 x 64 in uint16. A
scratch file costs half a nanosecond a byte more: with 16 MiB a scan of 32 MiB took 17 % longer to read."""
SPARED_PART = 0.05
"""Part of the disk that scratch files leave free, for the results."""
_BLOCK_BYTES = 1 << 20


def is_large(shape: tuple[int, ...], dtype: DTypeLike, most: int | None = None) -> bool:
    """Whether an array lies in a file: it has more than so many bytes, by default `MOST_IN_MEMORY`.

    >>> is_large((8192, 64, 64), np.uint16), is_large((8193, 64, 64), np.uint16)
    (False, True)
    """
    return _bytes(shape, dtype) > (MOST_IN_MEMORY if most is None else most)


def new_array(
    shape: tuple[int, ...], dtype: DTypeLike, order: Literal["C", "F"] = "C", most: int | None = None
) -> NDArray[Any]:
    """An array to be filled, as `numpy.empty` makes it; the values of a large one lie in a scratch file.

    The file has no name, lies in `scratch_folder` and is gone with the array. Where that disk has no room, the array
    lies in memory.

    Args:
        shape: of the array.
        dtype: of its values.
        order: `F` if the first axis runs fastest.
        most: bytes up to which it lies in memory; by default `MOST_IN_MEMORY`.
    """
    if not is_large(shape, dtype, most):
        return np.empty(shape, dtype, order)
    size = _bytes(shape, dtype)
    try:
        if size > scratch_bytes():
            raise OSError(f"{scratch_bytes()} bytes are free")
        with tempfile.TemporaryFile(dir=scratch_folder(), prefix="ptychopinn-") as file:
            _reserve(file, size)
            space = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_WRITE)
    except OSError as error:
        logger.info(
            "%d bytes are held in memory: no scratch file can be made in %s (%s)", size, scratch_folder(), error
        )
        return np.empty(shape, dtype, order)
    return np.ndarray(shape, dtype, space, order=order)


def mapped(
    file: IO[bytes], start: int, shape: tuple[int, ...], dtype: DTypeLike, order: Literal["C", "F"] = "C"
) -> NDArray[Any]:
    """Values of an open file as an array that cannot be written to; the file may be closed afterwards.

    Args:
        file: of the operating system; nothing of it is read yet.
        start: bytes before the first value.
        shape: of the array; not empty.
        dtype: of the values as they are stored.
        order: `F` if the first axis runs fastest.

    Raises:
        ValueError: the file ends before the last value.
        MemoryError: a limit on the address space (`ulimit -v`) leaves no room.
    """
    size = _bytes(shape, dtype)
    if start < 0 or start + size > os.fstat(file.fileno()).st_size:
        raise ValueError(f"it ends before {start + size} bytes")
    first_page = start - start % mmap.ALLOCATIONGRANULARITY
    try:
        space = mmap.mmap(file.fileno(), start + size - first_page, access=mmap.ACCESS_READ, offset=first_page)
    except OSError as error:
        raise MemoryError(f"the address space has no room for {size} bytes") from error
    return np.ndarray(shape, dtype, space, start - first_page, order=order)


@dataclass(frozen=True)
class ArrayFile:
    """Values of an array in a file of their own, which other processes of this machine map instead of copying them.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ArrayFile.written(np.arange(6).reshape(2, 3), Path(folder) / "values").array()[1].tolist()
    [3, 4, 5]
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def written(cls, array: NDArray[Any], path: Path) -> "ArrayFile":
        """Write the values, some rows at a time.

        Raises:
            OSError: the disk is full.
        """
        step = max(1, _BLOCK_BYTES * len(array) // max(1, array.nbytes))
        with path.open("xb") as file:
            for start in range(0, len(array), step):
                file.write(np.ascontiguousarray(array[start : start + step]).data)
        return cls(path, array.shape, array.dtype.str)

    def array(self) -> NDArray[Any]:
        """The values, mapped; they cannot be written to. They stay when the file is removed."""
        with self.path.open("rb") as file:
            return mapped(file, 0, self.shape, self.dtype)


def rows_of(array: NDArray[Any], index: NDArray[Any] | slice) -> NDArray[Any]:
    """`array[index]`, where a large copy lies in a scratch file; consecutive rows of a large array are no copy.

    Args:
        array: (N, ...).
        index: whole numbers, (N,) booleans, or a slice.
    """
    if isinstance(index, slice) or not is_large(array.shape, array.dtype):
        return array[index]
    rows = np.arange(len(array))[np.asarray(index)]
    if rows.ndim != 1 or not is_large((len(rows), *array.shape[1:]), array.dtype):
        return array[index]
    if (np.diff(rows) == 1).all():
        return array[rows[0] : rows[-1] + 1]
    kept = new_array((len(rows), *array.shape[1:]), array.dtype)
    step = max(1, _BLOCK_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(rows), step):
        kept[start : start + step] = array[rows[start : start + step]]
    return kept


def scratch_bytes() -> int:
    """What scratch files may still take; 0 where there is no folder for them."""
    try:
        disk = shutil.disk_usage(scratch_folder())
    except OSError:
        return 0
    return max(0, disk.free - int(SPARED_PART * disk.total))


@cache
def scratch_folder() -> Path:
    """`TMPDIR` where it is set, else `/var/tmp`, which lies on a disk also where `/tmp` lies in memory, else `/tmp`."""
    usual = Path("/var/tmp")
    if os.environ.get("TMPDIR") or not (usual.is_dir() and os.access(usual, os.W_OK)):
        return Path(tempfile.gettempdir())
    return usual


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the room on the disk: a full one would end the process when a page is written."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _BLOCK_BYTES):
        file.write(bytes(min(_BLOCK_BYTES, size - start)))
    file.flush()


def _bytes(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    return np.dtype(dtype).itemsize * math.prod(shape)
