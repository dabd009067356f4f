"""Scans of PtyLab in HDF5: `ptychogram`, `encoder`, `wavelength`, `zo`, `dxd` at the root."""

from typing import Any, ClassVar, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, energy_eV
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import array, find_dataset, place
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.limits import DETECTOR_PIXEL, DISTANCE
from ptychopinn.data.io.quantities import number_at, values_of
from ptychopinn.errors import ScanError

_WANTED = {
    "patterns": "ptychogram",
    "positions": "encoder",
    "probe": "probe",
    "object": "object",
    "geometry": "wavelength, zo, dxd",
}


@final
class PtyLab(Hdf5Format):
    """Conventional ptychography (CPM) of PtyLab; positions are (row, column) in metres, growing with both.

    Such files hold no probe as a rule; `entrancePupilDiameter` is the diameter for its estimate.
    """

    name: ClassVar[str] = "PtyLab"

    def holds(self, file: h5py.File) -> bool:
        return "ptychogram" in file and "encoder" in file

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        frames = find_dataset(file, "ptychogram")
        wavelength = number_at(file, "wavelength", None)
        geometry = Geometry(
            None if wavelength is None else energy_eV(wavelength),
            number_at(file, "zo", DISTANCE),
            number_at(file, "dxd", DETECTOR_PIXEL),
        )
        return Hdf5Parts(
            source=file.filename,
            layout="PtyLab file",
            frames=None if frames is None else Frames([frames]),
            positions_m=_encoder(file),
            probe=_image(file, "probe"),
            beam_m=number_at(file, "entrancePupilDiameter", None),
            geometry=geometry,
            wanted=_WANTED,
        )


def _encoder(file: h5py.File) -> NDArray[np.float64] | None:
    """(N, 2), (y, x), m; MATLAB writes it transposed."""
    stored = find_dataset(file, "encoder")
    if stored is None:
        return None
    values = values_of(stored, "length")
    if values.ndim == 2 and values.shape[0] == 2 < values.shape[1]:
        values = values.T
    if values.ndim != 2 or values.shape[1] != 2:
        raise ScanError(
            f"{place(stored)} must be real numbers (N, 2), (row, column), got {values.dtype} {values.shape}"
        )
    return values


def _image(file: h5py.File, name: str) -> NDArray[Any] | None:
    """The last two axes of a complex array, or none."""
    stored = find_dataset(file, name)
    if stored is None or stored.dtype.kind != "c" or stored.ndim < 2:
        return None
    values = array(stored)
    return values.reshape(-1, *values.shape[-2:])[:1]
