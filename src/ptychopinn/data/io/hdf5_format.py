"""What all formats in HDF5 share."""

from abc import abstractmethod
from contextlib import ExitStack
from pathlib import Path

import h5py

from ptychopinn.config import DataConfig
from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.formats import Content
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.parts_format import PartsFormat
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.errors import ScanError


class Hdf5Format(PartsFormat):
    """A format in HDF5. A subclass says how such a file is recognised and taken apart."""

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

    def open_parts(self, path: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
        return self.parts(files.enter_context(open_hdf5(path)), options)
