"""What all formats in HDF5 share: each takes a file apart, and the parts make a scan or a reconstruction."""

import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import h5py
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.io.formats import Content, FileFormat, Reading, sniffed
from ptychopinn.data.io.hdf5 import open_hdf5
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.hdf5_reconstruction import reconstruction_of
from ptychopinn.data.io.hdf5_scan import read_hdf5_scan
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")


class Hdf5Format(FileFormat):
    """A format in HDF5. A subclass says how such a file is recognised and taken apart."""

    reads: ClassVar[tuple[Content, ...]] = ("scan", "reconstruction")
    takes_parts: ClassVar[bool] = True

    @abstractmethod
    def holds(self, file: h5py.File) -> bool:
        """Whether an HDF5 file has this layout; fast, and never an error."""

    @abstractmethod
    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        """The parts of such a file; patterns stay on disk.

        Args:
            file: open for reading.
            options: which entry and detector, which bits of a mask, and numbers that replace those of the file.

        Raises:
            ScanError: an array of a wrong shape, a number that is none, or a broken link.
        """

    def sniff(self, file: SourceFile) -> bool:
        return file.hdf5 is not None and self.holds(file.hdf5)

    def contents(self, file: SourceFile) -> tuple[Content, ...]:
        """A scan first if the file holds patterns, else a reconstruction."""
        try:
            without = file.hdf5 is not None and self.parts(file.hdf5, DataConfig()).frames is None
        except ScanError:  # options may mend it; reading gives the reason
            without = False
        return ("reconstruction", "scan") if without else ("scan", "reconstruction")

    def read_scan(self, path: Path, reading: Reading) -> Any:
        return read_hdf5_scan(path, reading, parts_of)

    def read_reconstruction(self, path: Path) -> Reconstruction:
        return reconstruction_of(_parts(path))

    def read_probe(self, path: Path) -> NDArray[Any]:
        parts = _parts(path)
        if parts.probe is None:
            raise parts.missing("probe")
        return parts.probe


def parts_of(file: h5py.File, options: DataConfig) -> Hdf5Parts:
    """The parts of a file of any format in HDF5 that is known, as `Hdf5Format.parts` gives them.

    Raises:
        ScanError: a layout that is not known, or a part of it that cannot be used.
    """
    found = sniffed(SourceFile(Path(file.filename), b"", file))
    if not isinstance(found, Hdf5Format):
        raise ScanError(
            f"{file.filename}: a {found.name} file gives no parts to a scan in two files; convert it to NPZ first"
        )
    return found.parts(file, options)


def _parts(path: Path) -> Hdf5Parts:
    with open_hdf5(path) as file:
        parts = parts_of(file, DataConfig())
    for note in parts.notes:
        logger.warning("%s", note)
    return parts
