"""Files of PtyRAD in HDF5: reconstructions (`model_*.hdf5`), and patterns that it exported (`meas`)."""

from typing import Any, ClassVar, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, PixelSize, energy_eV
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import array, find, find_dataset, place, text
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.images import complex_at, probe_array
from ptychopinn.data.io.limits import OBJECT_PIXEL
from ptychopinn.data.io.quantities import number_at
from ptychopinn.errors import ScanError

_FITTED, _MODEL = "optimizable_tensors", "model_attributes"
_ANGSTROM_M = 1e-10
_WANTED = {
    "patterns": "meas",
    "positions": f"{_MODEL}/crop_pos and {_FITTED}/probe_pos_shifts",
    "probe": f"{_FITTED}/probe",
    "object": f"{_FITTED}/obja and {_FITTED}/objp",
    "geometry": f"{_MODEL}/dx",
}


@final
class PtyRad(Hdf5Format):
    """PtyRAD 1.0: a patch begins at element `crop_pos` of the object, and the probe is shifted by `probe_pos_shifts`.

    Lengths are in angstrom for electrons and in metres for X-rays, by `params/init_params/probe_illum_type`. A
    reconstruction and the patterns that it was made from are a scan, by `--diffraction`.
    """

    name: ClassVar[str] = "PtyRAD"

    def holds(self, file: h5py.File) -> bool:
        fitted, stack = file.get(_FITTED), file.get("meas")
        return (isinstance(fitted, h5py.Group) and "objp" in fitted) or (
            isinstance(stack, h5py.Dataset) and stack.ndim > 2
        )

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        stack = find_dataset(file, "meas")
        probe = probe_array(*complex_at(file, f"{_FITTED}/probe"))
        pixel, geometry = _scale(file)
        return Hdf5Parts(
            source=file.filename,
            layout="PtyRAD file",
            frames=None if stack is None else Frames([stack]),
            positions_px=_centres(file, probe),
            probe=probe,
            object_=_object(file),
            object_pixel_m=pixel,
            geometry=geometry,
            wanted=_WANTED,
        )


def _scale(file: h5py.File) -> tuple[PixelSize | None, Geometry]:
    """Object pixel, and the photon energy of X-rays."""
    model = find(file, _MODEL)
    kind = text(file, "params/init_params/probe_illum_type") or "electron"
    unit = 1.0 if kind == "xray" else _ANGSTROM_M
    pixel = number_at(model, "dx", OBJECT_PIXEL, unit)
    wavelength = number_at(model, "lambd", None, unit)
    energy = energy_eV(wavelength) if wavelength and kind == "xray" else None
    return None if pixel is None else (pixel, pixel), Geometry(energy)


def _centres(file: h5py.File, probe: NDArray[Any] | None) -> NDArray[np.float64] | None:
    """(N, 2), (y, x): the geometric centres of the patches."""
    corner, shift = find_dataset(file, f"{_MODEL}/crop_pos"), find_dataset(file, f"{_FITTED}/probe_pos_shifts")
    if corner is None or probe is None:
        return None
    start = array(corner).astype(np.float64)
    moved = np.zeros_like(start) if shift is None else array(shift).astype(np.float64)
    if start.ndim != 2 or start.shape[1] != 2 or moved.shape != start.shape:
        raise ScanError(f"{place(corner)} must be (N, 2), (row, column), got {start.shape} and shifts {moved.shape}")
    return start + moved + (np.asarray(probe.shape[-2:]) - 1) / 2


def _object(file: h5py.File) -> NDArray[Any] | None:
    """(Y, X), from amplitude and phase of one mode and one slice.

    Raises:
        ScanError: several object modes or slices.
    """
    amplitude, phase = find_dataset(file, f"{_FITTED}/obja"), find_dataset(file, f"{_FITTED}/objp")
    if amplitude is None or phase is None:
        return None
    if amplitude.ndim < 2 or amplitude.shape != phase.shape or any(length != 1 for length in amplitude.shape[:-2]):
        raise ScanError(
            f"{place(amplitude)} has shape {amplitude.shape} (modes, slices, Y, X); must be one mode and one slice"
        )
    values = array(amplitude) * np.exp(1j * array(phase))
    return np.asarray(values.reshape(amplitude.shape[-2:]), np.complex64)
