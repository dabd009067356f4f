"""What formats share whose files are taken apart first: the parts make a scan or a reconstruction."""

import logging
from abc import abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.io.formats import Content, FileFormat, Reading, format_of
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.hdf5_reconstruction import reconstruction_of
from ptychopinn.data.io.hdf5_scan import read_hdf5_scan
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")


class PartsFormat(FileFormat):
    """A format whose files may hold a part of a scan. A subclass says how they are recognised and taken apart."""

    reads: ClassVar[tuple[Content, ...]] = ("scan", "reconstruction")
    takes_parts: ClassVar[bool] = True
    takes_probe: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    @abstractmethod
    def open_parts(self, path: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
        """The parts of a file, which stays open as long as `files`, since patterns are read later.

        Args:
            path: of the file.
            files: keeps what is opened open.
            options: which entry, detector and mask bits.

        Raises:
            ScanError: an array of a wrong shape, a number that is none, or a broken link.
        """

    def contents(self, file: SourceFile) -> tuple[Content, ...]:
        """A scan first if the file holds patterns, else a reconstruction."""
        with ExitStack() as files:
            holds_patterns = self.open_parts(file.path, files, DataConfig()).frames is not None
        return ("scan", "reconstruction") if holds_patterns else ("reconstruction", "scan")

    def read_scan(self, path: Path, reading: Reading) -> Any:
        def parts_of(one: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
            return self.open_parts(one, files, options) if one == path else parts_at(one, files, options)

        return read_hdf5_scan(path, reading, parts_of)

    def read_reconstruction(self, path: Path) -> Reconstruction:
        with ExitStack() as files:
            return reconstruction_of(_logged(self.open_parts(path, files, DataConfig())))

    def read_probe(self, path: Path) -> NDArray[Any]:
        with ExitStack() as files:
            parts = _logged(self.open_parts(path, files, DataConfig()))
        if parts.probe is None:
            raise parts.missing("probe")
        return parts.probe


def parts_at(path: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
    """The parts of a file of any format that gives parts.

    Raises:
        ScanError: a format that is not known or gives none, or a part of the file that cannot be used.
    """
    found = format_of(path)
    if not isinstance(found, PartsFormat):
        raise ScanError(f"{path}: a {found.name} file gives no parts to a scan in two files; convert it to NPZ first")
    return found.open_parts(path, files, options)


def _logged(parts: Hdf5Parts) -> Hdf5Parts:
    """The parts of a file that becomes no scan, with their notes as warnings."""
    for note in parts.notes:
        logger.warning("%s: %s", parts.source, note)
    return parts
