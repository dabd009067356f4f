"""Which layout an HDF5 file has, told from what is in it."""

import h5py

from ptychopinn.data.io.contents import Contents
from ptychopinn.data.io.cxi import is_cxi, read_cxi
from ptychopinn.data.io.hdf5 import listing
from ptychopinn.data.io.nexus import is_cxi_ptycho, nexus_entry, read_nexus
from ptychopinn.data.io.ptychodus import layout_of, read_ptychodus
from ptychopinn.errors import ScanError


def read_contents(file: h5py.File) -> Contents:
    """The parts of a file of any layout that is known; patterns stay on disk.

    Raises:
        ScanError: a layout that is not known, or a part of it that cannot be used.
    """
    layout = layout_of(file)
    if layout is not None:
        return read_ptychodus(file, layout)
    entry = nexus_entry(file)
    if entry is not None and is_cxi_ptycho(entry):
        return read_nexus(entry)
    if is_cxi(file):
        return read_cxi(file)
    if entry is not None:
        return read_nexus(entry)
    raise ScanError(
        f"{file.filename}: an HDF5 file of a layout that is not known (found: {listing(file)}); known are CXI, NeXus "
        "NXcxi_ptycho and the files of ptychodus; write the scan as NPZ with diff3d, xcoords, ycoords and probeGuess"
    )
