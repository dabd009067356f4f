"""The only opener of HDF5, NPZ, NPY and ZIP files of users.

Nothing is unpickled. Pipes, devices and sockets are refused before they are opened. Every size that a file declares is
compared with what it stores and with the memory that is free before anything is read (`ptychopinn.data.io.memory`).
HDF5 files are searched for references to other files first (`ptychopinn.data.io.hdf5_references`).
"""

import io
import math
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.file_state import state_error
from ptychopinn.data.io.memory import check_expansion, check_memory, check_room
from ptychopinn.data.io.pickled_text import text_of_pickle
from ptychopinn.data.large_arrays import is_large, mapped, new_array
from ptychopinn.errors import ScanError, shown

if TYPE_CHECKING:
    import h5py

MAX_MEMBERS = 20_000
"""In a ZIP file: more than any NPZ of arrays has; reading the names of a million takes seconds."""
LONGEST_TEXT = 1 << 20
"""Bytes of a pickled text; the metadata of a scan take a few thousand."""
_BLOCK_BYTES = 1 << 20
"""Unpacked at once: large enough that the calls cost nothing, small enough for the cache of a processor."""
_LOCAL_HEADER_BYTES = 30
"""Of a member of a ZIP file, before its name."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NPY = b"\x93NUMPY"
_HDF5_FAULTS = (OSError, RuntimeError, ValueError, TypeError, LookupError, MemoryError, ArithmeticError)


def check_regular_file(path: str | Path, give: str = "give the path of a scan file") -> None:
    """Refuse everything that is no regular file, without opening it: opening a pipe would wait for a writer.

    Args:
        path: of the file; links are followed.
        give: the way out, for the message.

    Raises:
        ScanError: no such file, a folder, a pipe, a device or a socket.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file; {give}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScanError(f"{path}: cannot be opened ({reason}); give a file that you may read") from None
    if stat.S_ISDIR(mode):
        raise ScanError(f"{path}: is a folder; {give}")
    if not stat.S_ISREG(mode):
        raise ScanError(f"{path}: is a pipe, a device or a socket; the file must be a regular one, {give}")


def first_bytes(path: Path, count: int, give: str = "give the path of a scan file") -> bytes:
    """The first bytes of a file.

    Raises:
        ScanError: it is no regular file, or may not be read.
    """
    check_regular_file(path, give)
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise ScanError(f"{path}: cannot be opened ({error.strerror}); give a file that you may read") from error


def zip_names(path: Path) -> tuple[str, ...] | None:
    """The names of the members of a ZIP file; None if it cannot be read as one."""
    try:
        check_regular_file(path)
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except Exception:  # of a damaged archive zipfile raises nearly anything
        return None


class ObjectArray(ScanError):
    """A member that only unpickling could read, which is never done."""


@final
class NpzArrays:
    """The arrays of an open NPZ file by name; each is checked when it is asked for."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        self.files = tuple(self._members)

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array, without its values.

        Raises:
            ScanError: the member is no array of NumPy, or is damaged.
        """
        with self._reading(key) as stream:
            header = _read_header(stream)
        return header.shape, header.dtype

    def __getitem__(self, key: str) -> NDArray[Any]:
        """An array.

        Raises:
            ObjectArray: it holds Python objects.
            ScanError: the member is no array of NumPy, is damaged, or is too large.
        """
        info, where = self._members[key], f"{self.path}: {shown(key)}"
        with self._reading(key) as stream:
            header = _read_header(stream)
            if not header.dtype.hasobject:
                stored = min(info.compress_size, self.path.stat().st_size)
                available = info.file_size - header.start
                if info.compress_type == zipfile.ZIP_STORED and _can_be_mapped(header, available):
                    return self._mapped(info, header)
                _check_size(header, available, stored, where)
                return _values(stream, header)
        other = ", or give another probe by --probe FILE" if key == "probeGuess" else ""
        raise ObjectArray(
            f"{where} is an object array, which is never unpickled; convert it where it was made, with "
            f"{shown(key)} = numpy.stack({shown(key)}.tolist()) and a plain number type, and save it again{other}"
        )

    def _mapped(self, info: zipfile.ZipInfo, header: "_Header") -> NDArray[Any]:
        """The values of a member that is not compressed, in a map of the file, after its checksum was compared."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            signature, name, extra = struct.unpack("<4s22xHH", file.read(_LOCAL_HEADER_BYTES))
            if signature != b"PK\x03\x04":
                raise ValueError("it does not begin where the list of the members says")
            start = info.header_offset + _LOCAL_HEADER_BYTES + name + extra
            member = mapped(file, start, (min(info.file_size, info.compress_size),), np.uint8)
        checksum = 0
        for first in range(0, len(member), _BLOCK_BYTES):
            checksum = zlib.crc32(member.data[first : first + _BLOCK_BYTES], checksum)
        if checksum != info.CRC:
            raise ValueError("its checksum differs")
        order: Literal["C", "F"] = "F" if header.fortran else "C"
        return np.ndarray(header.shape, header.dtype, member, header.start, order=order)

    def object_text(self, key: str) -> str | None:
        """The text of a member that is a single pickled text, which is read as data; None for any other member."""
        with self._reading(key) as stream:
            header = _read_header(stream)
            single = header.dtype.hasobject and header.shape == ()
            data = stream.read(LONGEST_TEXT + 1) if single else b""
        return text_of_pickle(data) if 0 < len(data) <= LONGEST_TEXT else None

    @contextmanager
    def _reading(self, key: str) -> Iterator[IO[bytes]]:
        info = self._members[key]
        try:
            if info.flag_bits & 1:
                raise ValueError("it is encrypted")
            if info.compress_type not in _METHODS:
                raise ValueError("it is compressed by another method than deflate")
            with self._archive.open(info) as stream:
                yield stream
        except ScanError:
            raise
        except MemoryError:
            raise ScanError(f"{self.path}: {shown(key)} does not fit into memory; split the file") from None
        except Exception as error:  # damaged members raise nearly anything
            raise ScanError(
                f"{self.path}: the member {shown(key)} cannot be read ({_reason(error)}); the file is damaged or not "
                "finished by its writer, or of another kind: copy or export it again"
            ) from error


@contextmanager
def open_npz(path: str | Path) -> Iterator[NpzArrays]:
    """An NPZ file for reading.

    Raises:
        ScanError: no such file, no regular file, a single array, or no NPZ file.
    """
    path = Path(path)
    if first_bytes(path, len(_NPY)) == _NPY:
        raise ScanError(f"{path}: holds a single array; must be an NPZ file, write it with numpy.savez")
    try:
        archive = zipfile.ZipFile(path)
        arrays = NpzArrays(path, archive)
    except Exception as error:
        raise ScanError(
            f"{path}: cannot be read as an NPZ file ({_reason(error)}); the file is damaged or not finished by its "
            "writer, or of another kind: copy or export it again"
        ) from error
    with archive:
        _check_members(archive.infolist(), path)
        yield arrays


def npy_header(path: str | Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array of an NPY file, without its values.

    Raises:
        ScanError: no such file, no regular file, or no NPY file.
    """
    check_regular_file(path)
    try:
        with Path(path).open("rb") as stream:
            header = _read_header(stream)
    except Exception as error:
        raise ScanError(f"{path}: cannot be read as an NPY file ({_reason(error)}); write it again") from error
    return header.shape, header.dtype


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse too many members, two of one name, and two that share bytes of the file."""
    if len(members) > MAX_MEMBERS:
        raise ScanError(f"{path}: holds {len(members)} members; an NPZ file must have {MAX_MEMBERS} at most")
    if len({info.filename for info in members}) < len(members):
        raise ScanError(f"{path}: holds two members of one name; each array must be there once, save it again")
    placed = sorted(members, key=lambda info: info.header_offset)
    for one, other in pairwise(placed):
        if one.header_offset + one.compress_size > other.header_offset:
            raise ScanError(
                f"{path}: the members {shown(one.filename)} and {shown(other.filename)} share bytes; the file is "
                "damaged or made to exhaust memory, save it again"
            )


def read_npy(path: str | Path) -> NDArray[Any]:
    """The array of an NPY file.

    Raises:
        ScanError: no such file, no regular file, no NPY file, Python objects, or more values than are stored.
    """
    path = Path(path)
    check_regular_file(path)
    try:
        with path.open("rb") as stream:
            header = _read_header(stream)
            if header.dtype.hasobject:
                raise ValueError("it holds Python objects, which are never unpickled")
            stored = path.stat().st_size - header.start
            if _can_be_mapped(header, stored):
                return mapped(stream, header.start, header.shape, header.dtype, "F" if header.fortran else "C")
            _check_size(header, stored, stored, str(path))
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(
            f"{path}: cannot be read as an NPY file ({_reason(error)}); write it again with numpy.save"
        ) from error


def mapped_part(path: str | Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in a file that begin after `start` bytes, in a map of it.

    Raises:
        ValueError: the file ends before the last value.
    """
    with Path(path).open("rb") as file:
        return mapped(file, start, shape, dtype)


@contextmanager
def open_hdf5(path: str | Path, *, announce: bool = True, swmr: bool = False) -> Iterator["h5py.File"]:
    """An HDF5 file for reading; what the library reports inside the block becomes a `ScanError`.

    On damaged files it raises nearly anything; so nothing but reading belongs into the block.

    Args:
        path: of the file.
        announce: name in the log the other files that links and virtual datasets lead to.
        swmr: another program may be writing the file, in the mode for a single writer and multiple readers.

    Raises:
        ScanError: no such file, no regular file, not HDF5, truncated or damaged, packed by a filter that is not
            installed, or one that refers to files outside its folder.
    """
    import h5py
    import hdf5plugin  # noqa: F401  registers the filters of detector files

    from ptychopinn.data.io.hdf5_references import check_references

    check_regular_file(path, "give the path of an HDF5 file")
    try:
        with h5py.File(path, "r", swmr=swmr) as file:
            check_references(file, announce=announce)
            yield file
    except ScanError:
        raise
    except _HDF5_FAULTS as error:
        state = state_error(path, error)
        if state is not None:
            raise state from error
        raise ScanError(
            f"{path}: cannot be read as an HDF5 file ({_reason(error)}); the file is damaged or not finished by "
            "its writer, or of another kind: copy or export it again"
        ) from error


@contextmanager
def create_hdf5(path: str | Path) -> Iterator["h5py.File"]:
    """A new HDF5 file that takes the place of `path` when the block ends well.

    Raises:
        OutputError: the file cannot be written.
    """
    import h5py

    with atomic_path(path) as temporary, _Output(temporary) as stream:
        try:
            with h5py.File(stream, "w") as file:
                yield file
        finally:
            stream.report()


@final
class _Output(io.FileIO):
    """A file that the HDF5 library writes to; what the disk refuses is kept for `report` and the rest is dropped.

    The library cannot close a file whose last bytes find no room: it would report the fault once more while the
    interpreter ends.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+")
        self._failed: OSError | None = None

    def write(self, data: Any) -> int:
        """All bytes, or after a failure none."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self._failed is None and done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self._failed = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the length, unless something failed before."""
        try:
            return super().truncate(size) if self._failed is None else size or 0
        except OSError as error:
            self._failed = error
            return size or 0

    def report(self) -> None:
        """Raise what the disk refused."""
        if self._failed is not None:
            raise self._failed


@final
@dataclass(frozen=True)
class _Header:
    """What an array in NumPy's format says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    """Whether the first axis runs fastest."""
    start: int
    """Bytes before the values."""


def _read_header(stream: IO[bytes]) -> _Header:
    counting = _Counting(stream)
    version = np.lib.format.read_magic(counting)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the NPY format is for names that are not ASCII")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(counting)
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return _Header(shape, dtype, fortran, counting.count)


def _values(stream: IO[bytes], header: _Header) -> NDArray[Any]:
    """The values behind a header. `numpy.lib.format.read_array` would begin with the header again."""
    size = header.dtype.itemsize * math.prod(header.shape)
    order: Literal["C", "F"] = "F" if header.fortran else "C"
    if size == 0:
        return np.empty(header.shape, header.dtype, order)
    buffer, filled = new_array((size,), np.uint8), 0
    while filled < size:
        block = stream.read(min(_BLOCK_BYTES, size - filled))
        if not block:
            raise ValueError(f"it ends after {filled} of {size} bytes")
        buffer[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
        filled += len(block)
    return buffer.view(header.dtype).reshape(header.shape, order=order)


class _Counting:
    """A stream that counts what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _can_be_mapped(header: _Header, available: int) -> bool:
    """Whether an array is large and all of its values are there, so that a map of the file takes its place."""
    return is_large(header.shape, header.dtype) and header.dtype.itemsize * math.prod(header.shape) <= available


def _check_size(header: _Header, available: int, stored: int, where: str) -> None:
    """Compare what a header declares with the bytes behind it."""
    declared = header.dtype.itemsize * math.prod(header.shape)
    if declared > available:
        check_memory(declared, where)
        raise ScanError(
            f"{where} must hold {declared} bytes by its shape {header.shape}, got {max(available, 0)}; the file is "
            "damaged, copy or export it again"
        )
    check_expansion(declared, stored, where)
    check_room(declared, where)


def _reason(error: BaseException) -> str:
    return shown(error) or type(error).__name__
