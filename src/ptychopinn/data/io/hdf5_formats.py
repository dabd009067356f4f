"""The HDF5 formats that are built in."""

from pathlib import Path
from typing import Any, ClassVar, final

import h5py

from ptychopinn.config import DataConfig
from ptychopinn.data.io.cxi import is_cxi, read_cxi
from ptychopinn.data.io.cxi_writer import write_cxi_object, write_cxi_scan
from ptychopinn.data.io.formats import Content
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.nexus import is_cxi_ptycho, nexus_entries, read_nexus
from ptychopinn.data.io.ptychodus import DIFFRACTION, PRODUCT, TRAINING, layout_of, read_ptychodus
from ptychopinn.data.io.ptychodus_writer import write_product, write_training_file
from ptychopinn.data.scan import Scan


@final
class Cxi(Hdf5Format):
    """CXI 1.6 ptychography, also as ptychodus writes it."""

    name: ClassVar[str] = "CXI"
    keeps_varying_probe: ClassVar[bool] = False
    extensions: ClassVar[tuple[str, ...]] = (".cxi",)
    writes: ClassVar[tuple[Content, ...]] = ("scan", "reconstruction")

    def holds(self, file: h5py.File) -> bool:
        return layout_of(file) is None and is_cxi(file)

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_cxi(file, options)

    def write_scan(self, scan: Scan, path: Path) -> Path:
        return write_cxi_scan(scan, path)

    def write_reconstruction(self, image: Any, path: Path) -> Path:
        return write_cxi_object(image, path)


@final
class NXcxiPtycho(Hdf5Format):
    """NeXus files that state the definition NXcxi_ptycho."""

    name: ClassVar[str] = "NeXus NXcxi_ptycho"

    def holds(self, file: h5py.File) -> bool:
        return layout_of(file) is None and any(is_cxi_ptycho(entry) for entry in nexus_entries(file))

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_nexus(file, options)


@final
class Nexus(Hdf5Format):
    """Any other NeXus file, such as the master files of detectors."""

    name: ClassVar[str] = "NeXus"
    last: ClassVar[bool] = True

    def holds(self, file: h5py.File) -> bool:
        return bool(nexus_entries(file))

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_nexus(file, options)


@final
class PtychodusTraining(Hdf5Format):
    """Training data of ptychodus: a whole scan."""

    name: ClassVar[str] = "ptychodus training data"
    extensions: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    writes: ClassVar[tuple[Content, ...]] = ("scan",)

    def holds(self, file: h5py.File) -> bool:
        return layout_of(file) == TRAINING

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_ptychodus(file, TRAINING, options)

    def write_scan(self, scan: Scan, path: Path) -> Path:
        return write_training_file(scan, path)


@final
class PtychodusProduct(Hdf5Format):
    """A product of ptychodus: probe, object and positions, with the patterns in another file."""

    name: ClassVar[str] = "ptychodus product"
    keeps_varying_probe: ClassVar[bool] = False
    extensions: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    writes: ClassVar[tuple[Content, ...]] = ("reconstruction",)

    def holds(self, file: h5py.File) -> bool:
        return layout_of(file) == PRODUCT

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_ptychodus(file, PRODUCT, options)

    def write_reconstruction(self, image: Any, path: Path) -> Path:
        return write_product(image, path)


@final
class PtychodusDiffraction(Hdf5Format):
    """Assembled patterns of ptychodus, with all else in a product."""

    name: ClassVar[str] = "ptychodus diffraction"

    def holds(self, file: h5py.File) -> bool:
        return layout_of(file) == DIFFRACTION

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        return read_ptychodus(file, DIFFRACTION, options)
