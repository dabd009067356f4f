"""A file of unknown format: its container, told from the first bytes, and a way to look inside."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from ptychopinn.data.io.door import first_bytes, open_hdf5, zip_names

if TYPE_CHECKING:
    import h5py

Container = Literal["zip", "hdf5", "npy", "empty", "other"]

START_BYTES = 512
"""How much of its beginning a file shows to the formats: the block size of TAR, the longest signature in use."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_BEGINNINGS: tuple[tuple[bytes, Container], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (_HDF5, "hdf5"),
    (b"\x93NUMPY", "npy"),
)


@final
@dataclass(frozen=True, eq=False)
class SourceFile:
    """What a format is shown of a file to find out whether it is one of its own; see `open_source`."""

    path: Path
    start: bytes
    """The first bytes, `START_BYTES` at most."""
    hdf5: "h5py.File | None" = None
    """The open file, if it is HDF5."""

    @cached_property
    def container(self) -> Container:
        """The container that the first bytes announce, or those behind a user block."""
        if self.path.is_dir():
            return "other"
        known = next((kind for beginning, kind in _BEGINNINGS if self.start.startswith(beginning)), None)
        if known is None and (self.hdf5 is not None or _has_user_block(self.path, self.start)):
            return "hdf5"
        return known or ("other" if self.start else "empty")

    @cached_property
    def members(self) -> tuple[str, ...] | None:
        """Names in a ZIP file, NPZ included; empty for other files, None for a ZIP that cannot be read."""
        if self.container != "zip":
            return ()
        return zip_names(self.path)


@contextmanager
def open_source(path: str | Path) -> Iterator[SourceFile]:
    """A file, or a folder of frames, to be looked at; an HDF5 file is open inside the block.

    Raises:
        ScanError: no such file, a file that may not be read, or a damaged HDF5 file.
    """
    if Path(path).is_dir():
        yield SourceFile(Path(path), b"")
        return
    source = SourceFile(Path(path), first_bytes(Path(path), START_BYTES))
    with ExitStack() as files:
        if source.container == "hdf5":
            opened = files.enter_context(open_hdf5(path, announce=False))
            source = SourceFile(source.path, source.start, opened)
        yield source


def container_of(path: str | Path) -> Container:
    """The container that a file is.

    Raises:
        ScanError: no such file, a folder, or a file that may not be read.
    """
    return SourceFile(Path(path), first_bytes(Path(path), START_BYTES)).container


def _has_user_block(path: Path, start: bytes) -> bool:
    """Whether the signature of HDF5 stands at byte 512, 1024, 2048 and so on, behind what another program put first."""
    if len(start) < START_BYTES:
        return False
    try:
        with path.open("rb") as file:
            offset = START_BYTES
            while True:
                file.seek(offset)
                found = file.read(len(_HDF5))
                if found == _HDF5 or len(found) < len(_HDF5):
                    return found == _HDF5
                offset *= 2
    except OSError:
        return False
