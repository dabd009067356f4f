"""Files of fold_slice in HDF5: patterns in `NAME_dp.hdf5`, positions in `NAME_para.hdf5`."""

from typing import ClassVar, final

import h5py

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, energy_eV
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import find_dataset
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.limits import OBJECT_PIXEL, wavelength_limits
from ptychopinn.data.io.ptychodus import columns_of
from ptychopinn.data.io.quantities import number_at

_WANTED = {
    "patterns": "dp",
    "positions": "ppX and ppY",
    "probe": "probe",
    "object": "object",
    "geometry": "dx",
}


@final
class FoldSlice(Hdf5Format):
    """What the preprocessing of fold_slice writes; positions are those of the beam in metres, as ptychodus reads them.

    The two files are paired by their names.
    """

    name: ClassVar[str] = "fold_slice"

    def holds(self, file: h5py.File) -> bool:
        stack = file.get("dp")
        return (isinstance(stack, h5py.Dataset) and stack.ndim > 2) or ("ppX" in file and "ppY" in file)

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        stack = find_dataset(file, "dp")
        wavelength, pixel = number_at(file, "lambda", wavelength_limits()), number_at(file, "dx", OBJECT_PIXEL)
        return Hdf5Parts(
            source=file.filename,
            layout="fold_slice file",
            frames=None if stack is None else Frames([stack]),
            positions_m=columns_of(file, "ppX", "ppY", metres=True, unit=options.position_unit),
            object_pixel_m=None if pixel is None else (pixel, pixel),
            geometry=Geometry(None if wavelength is None else energy_eV(wavelength)),
            wanted=_WANTED,
        )
