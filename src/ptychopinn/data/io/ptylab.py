"""Files of PtyLab in HDF5: measured scans (`ptychogram`, `encoder`) and reconstructions (`encoder_corrected`)."""

from typing import Any, ClassVar, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, energy_eV
from ptychopinn.data.io.frames import Frames, OrientedFrames, PatternSource
from ptychopinn.data.io.hdf5 import array, attribute, checked_values, find_dataset, finite_number, place
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.images import object_array
from ptychopinn.data.io.limits import DETECTOR_PIXEL, DISTANCE, OBJECT_PIXEL
from ptychopinn.data.io.quantities import number_at, values_of
from ptychopinn.errors import ScanError

_WANTED = {
    "patterns": "ptychogram",
    "positions": "encoder, encoder_corrected",
    "probe": "probe",
    "object": "object",
    "geometry": "wavelength, zo, dxd",
}


@final
class PtyLab(Hdf5Format):
    """Conventional ptychography (CPM) of PtyLab; positions are (row, column) in metres, growing with both.

    Measured files hold no probe as a rule; `entrancePupilDiameter` is the diameter for its estimate. `orientation` says
    how the patterns are turned before they are used, as in ptypy.
    """

    name: ClassVar[str] = "PtyLab"

    def holds(self, file: h5py.File) -> bool:
        measured = "ptychogram" in file and "encoder" in file
        return measured or ("encoder_corrected" in file and "object" in file and "probe" in file)

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        _refuse_fourier(file)
        object_ = object_array(find_dataset(file, "object"))
        probe, pixel = _probe(file), number_at(file, "dxp", OBJECT_PIXEL)
        size = None if probe is None else probe.shape[-1]
        return Hdf5Parts(
            source=file.filename,
            layout="PtyLab file",
            frames=_frames(file),
            positions_m=_encoder(file),
            probe=probe,
            beam_m=number_at(file, "entrancePupilDiameter", None),
            object_=object_,
            object_pixel_m=None if pixel is None else (pixel, pixel),
            object_centre_m=None if object_ is None or size is None or not pixel else _centre(object_, size, pixel),
            geometry=_geometry(file),
            wanted=_WANTED,
        )


def _refuse_fourier(file: h5py.File) -> None:
    if "zled" in file and "zo" not in file:
        raise ScanError(
            f"{file.filename}: is Fourier ptychography of PtyLab (it states zled), which records images of the sample "
            "under changing illumination; give a scan of conventional ptychography (zo)"
        )


def _geometry(file: h5py.File) -> Geometry:
    wavelength = number_at(file, "wavelength", None)
    return Geometry(
        None if wavelength is None else energy_eV(wavelength),
        number_at(file, "zo", DISTANCE),
        number_at(file, "dxd", DETECTOR_PIXEL),
    )


def _frames(file: h5py.File) -> PatternSource | None:
    stored = find_dataset(file, "ptychogram")
    if stored is None:
        return None
    code = _orientation(file, stored)
    return OrientedFrames(Frames([stored]), code) if code else Frames([stored])


def _orientation(file: h5py.File, patterns: h5py.Dataset) -> int:
    """0 to 7, from a dataset or an attribute; 0 where there is none.

    Raises:
        ScanError: another number.
    """
    stored = find_dataset(file, "orientation")
    holder = next((item for item in (patterns, file) if "orientation" in item.attrs), None)
    if stored is None and holder is None:
        return 0
    where = f"{file.filename}: orientation"
    code = finite_number(checked_values(stored) if stored is not None else attribute(holder, "orientation"), where)
    if code not in range(8):
        raise ScanError(
            f"{where} is {code:g}; must be a whole number from 0 to 7 (1 flips columns, 2 rows, 4 transposes first); "
            "correct it, or drop it and give --flip-patterns and --transpose-patterns"
        )
    return int(code)


def _encoder(file: h5py.File) -> NDArray[np.float64] | None:
    """(N, 2), (y, x), m; MATLAB writes it transposed."""
    stored = find_dataset(file, "encoder", "encoder_corrected")
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


def _probe(file: h5py.File) -> NDArray[Any] | None:
    """(M, H, W) of (wavelengths, object modes, probe modes, slices, H, W), or none.

    Raises:
        ScanError: several wavelengths, object modes or slices.
    """
    stored = find_dataset(file, "probe")
    if stored is None or stored.dtype.kind != "c" or stored.ndim < 2:
        return None
    values = array(stored)
    modes = values.shape[-4] if values.ndim >= 4 else values.shape[0] if values.ndim == 3 else 1
    if modes != int(np.prod(values.shape[:-2])):
        raise ScanError(
            f"{place(stored)} has shape {values.shape}; must be of one wavelength, object mode and slice; export that "
            "one"
        )
    return values.reshape(-1, *values.shape[-2:])


def _centre(object_: NDArray[Any], size: int, pixel: float) -> tuple[float, float]:
    """Encoder value of the geometric centre of the object: the patch of encoder 0 begins at row Y//2 - H//2."""
    y, x = ((length - 1) / 2 - length // 2 + size // 2 - (size - 1) / 2 for length in object_.shape)
    return y * pixel, x * pixel
