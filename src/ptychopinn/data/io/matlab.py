"""Files of MATLAB 7.3 with the usual variables of PtychoShelves and cSAXS, at the top or in the structure `p`."""

from typing import Any, ClassVar, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import LENGTHS_M
from ptychopinn.data.geometry import Geometry, PixelSize, energy_eV
from ptychopinn.data.io.frames import Frames, OrientedFrames
from ptychopinn.data.io.hdf5 import array, find, is_complex, place
from ptychopinn.data.io.hdf5_format import Hdf5Format
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.limits import DETECTOR_PIXEL, DISTANCE, OBJECT_PIXEL, wavelength_limits
from ptychopinn.data.io.ptychodus import columns_of
from ptychopinn.data.io.quantities import number_of, values_of
from ptychopinn.errors import ScanError

_AMPLITUDES = ("fmag",)
_COUNTS = ("dp", "data", "diffraction", "diffraction_patterns", "patterns", "intensities", "intensity", "I")
_PROBES = ("probe", "probes", "probe_initial", "initial_probe")
_CLASS = "MATLAB_class"
"""Attribute of every variable that MATLAB writes."""
_TRANSPOSED = 4
"""MATLAB stores the first axis as the fastest one, so that (H, W, N) is found as (N, W, H)."""
_WANTED = {
    "patterns": f"{', '.join((*_AMPLITUDES, *_COUNTS))}, (H, W, N)",
    "positions": "outputs.probe_positions, positions_real, positions, ppX and ppY",
    "probe": ", ".join(_PROBES),
    "object": "object",
    "geometry": "lambda, z, ds, dx_spec, dx",
}


@final
class Matlab(Hdf5Format):
    """Variables of PtychoShelves (fold_slice) and of scripts that follow it.

    `fmag` are amplitudes, all other patterns counts. `fmask` is 1 where pixels were measured. `positions` are (row,
    column) of the first pixel of a patch, in px unless `data.position_unit` says otherwise; `positions_real` are
    (row, column) in m; `outputs.probe_positions` are (column, row) in px from the centre of the object.
    """

    name: ClassVar[str] = "MATLAB 7.3"

    def holds(self, file: h5py.File) -> bool:
        if "ptychogram" in file or not any(item is not None and _CLASS in item.attrs for item in file.values()):
            return False
        return any(_variable(file, name) is not None for name in (*_AMPLITUDES, *_COUNTS, "object", "ppX"))

    def parts(self, file: h5py.File, options: DataConfig) -> Hdf5Parts:
        fmag, counts = _variable(file, *_AMPLITUDES), _variable(file, *_COUNTS)
        stack = counts if fmag is None else fmag
        probe = _modes(_variable(file, *_PROBES))
        object_ = _object(_variable(file, "object"))
        size = (None if stack is None else stack.shape[-2]) if probe is None else probe.shape[-1]
        centres, metres, framed = _positions(file, object_, size, options)
        _refuse_other_order(stack, centres if metres is None else metres)
        return Hdf5Parts(
            source=file.filename,
            layout="MATLAB file",
            frames=None if stack is None else OrientedFrames(Frames([stack]), _TRANSPOSED),
            domain="counts" if fmag is None else "amplitude",
            bad_pixels=_mask(_variable(file, "fmask")),
            positions_px=centres,
            positions_m=metres,
            probe=probe,
            object_=object_ if framed or stack is None else None,
            object_pixel_m=_pixel(file),
            geometry=_geometry(file),
            notes=("the object is not used, as it is not stated where the positions lie in it",)
            if object_ is not None and not framed
            else (),
            wanted=_WANTED,
        )


def _variable(file: h5py.File, *names: str) -> h5py.Dataset | None:
    """The first of these variables that is there, at the top, in `p` or in `outputs`."""
    for name in names:
        for place_ in (name, f"p/{name}", f"outputs/{name}"):
            item = find(file, place_)
            if isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind != "O":
                return item
    return None


def _refuse_other_order(stack: h5py.Dataset | None, positions: NDArray[Any] | None) -> None:
    """Patterns as (N, H, W) of MATLAB, whose frames would be mixed."""
    if stack is None or stack.ndim != 3 or positions is None:
        return
    n = len(positions)
    if stack.shape[0] != n and stack.shape[-1] == n:
        name = str(stack.name).rpartition("/")[2]
        raise ScanError(
            f"{place(stack)} must be (H, W, N) in MATLAB, got {stack.shape[::-1]} for {n} positions; save "
            f"{name} = permute({name}, [2 3 1]) again"
        )


def _modes(stored: h5py.Dataset | None) -> NDArray[Any] | None:
    """(M, H, W) of MATLAB's (H, W, modes, variable modes); of variable modes the first."""
    if stored is None:
        return None
    values = array(stored)
    values = values[0] if values.ndim == 4 else values
    if values.ndim not in (2, 3):
        raise ScanError(f"{place(stored)} has shape {values.shape[::-1]} in MATLAB; must be (H, W) or (H, W, modes)")
    values = values.reshape(-1, *values.shape[-2:])
    return np.ascontiguousarray(values.swapaxes(-1, -2))


def _object(stored: h5py.Dataset | None) -> NDArray[Any] | None:
    """(Y, X) of one layer."""
    if stored is None or not is_complex(stored):
        return None
    values = array(stored)
    if any(length != 1 for length in values.shape[:-2]) or values.ndim < 2:
        raise ScanError(f"{place(stored)} has shape {values.shape[::-1]} in MATLAB; must be one layer, (Y, X)")
    return np.ascontiguousarray(values.reshape(values.shape[-2:]).T)


def _mask(stored: h5py.Dataset | None) -> NDArray[np.bool_] | None:
    """True where `fmask` is 0; one mask, or one for each pattern."""
    if stored is None:
        return None
    values = array(stored)
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    return np.ascontiguousarray((values == 0).swapaxes(-1, -2))


def _positions(
    file: h5py.File, object_: NDArray[Any] | None, size: int | None, options: DataConfig
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, bool]:
    """Geometric centres in px, or positions in m, (N, 2), (y, x); and whether they lie in the frame of the object."""
    fitted = _pairs(_variable(file, "probe_positions"))
    if fitted is not None and object_ is not None and size is not None:
        # PtychoShelves: patches begin at row round(position + ceil(Y/2 - H/2)), counted from 1.
        first = fitted[:, ::-1] + np.ceil((np.asarray(object_.shape) - size) / 2) - 1
        return first + (size - 1) / 2, None, True
    metres = _variable(file, "positions_real")
    if metres is not None:
        return None, _pairs(metres, in_metres=True), False
    if _variable(file, "ppX") is not None:
        return None, columns_of(file, "ppX", "ppY", metres=True, unit=options.position_unit), False
    plain = _pairs(_variable(file, "positions"))
    if plain is None or size is None:
        return None, None, False
    if options.position_unit not in ("auto", "px"):
        return None, plain * LENGTHS_M[options.position_unit], False
    return plain + (size - 1) / 2, None, False


def _pairs(stored: h5py.Dataset | None, in_metres: bool = False) -> NDArray[np.float64] | None:
    """(N, 2) of MATLAB's (N, 2)."""
    if stored is None:
        return None
    values = values_of(stored, "length") if in_metres else np.asarray(array(stored), np.float64)
    if values.ndim != 2 or values.shape[0] != 2:
        raise ScanError(f"{place(stored)} must be (N, 2) in MATLAB, got {values.shape[::-1]}")
    return values.T.copy()


def _pixel(file: h5py.File) -> PixelSize | None:
    """(y, x): object pixel."""
    stored = _variable(file, "dx_spec", "dx")
    if stored is None:
        return None
    values = values_of(stored, "length").reshape(-1)
    sides = [OBJECT_PIXEL.check(float(side), place(stored), f"{side:g}") for side in values[:2]]
    return (sides[0], sides[-1]) if sides else None


def _geometry(file: h5py.File) -> Geometry:
    wavelength, distance, pixel = (_variable(file, name) for name in ("lambda", "z", "ds"))
    length = None if wavelength is None else number_of(wavelength, wavelength_limits(), "length", positive=True)
    return Geometry(
        None if length is None else energy_eV(length),
        None if distance is None else number_of(distance, DISTANCE, "length", positive=True),
        None if pixel is None else number_of(pixel, DETECTOR_PIXEL, "length", positive=True),
    )
