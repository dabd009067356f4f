"""Reading the HDF5 files of ptychodus: product, assembled diffraction, training data."""

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import Geometry, PixelSize
from ptychopinn.data.io.cxi import number_of, object_array, probe_array
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import array, as_text, attribute, find_dataset, finite_number, listing, place
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.own import Own, read_own
from ptychopinn.errors import ScanError

TRAINING, PRODUCT, DIFFRACTION = "ptychodus training file", "ptychodus product", "ptychodus diffraction file"
_WANTED = {
    "patterns": "patterns",
    "positions": "probe_position_x_m and probe_position_y_m, or ..._px",
    "probe": "probe",
    "object": "object",
    "geometry": "pixel_width_m and pixel_height_m of object",
}
_NEAR_FIELD = "the product says that it is not far field"


def layout_of(file: h5py.File) -> str | None:
    """Which of the three layouts a file has, or none."""
    if "probe_position_x_px" in file:
        return TRAINING
    if "probe_position_x_m" in file:
        return PRODUCT
    return DIFFRACTION if "patterns" in file else None


def read_ptychodus(file: h5py.File, layout: str) -> Hdf5Parts:
    """What a file of ptychodus holds.

    Raises:
        ScanError: an array of a wrong shape, a number that is none, or a broken link.
    """
    frames, object_ = find_dataset(file, "patterns"), find_dataset(file, "object")
    own = read_own(file)
    pixel = _object_pixel(file, object_)
    metres = _columns(file, "probe_position_x_m", "probe_position_y_m")
    return Hdf5Parts(
        source=file.filename,
        layout=layout,
        frames=None if frames is None else Frames([frames]),
        frame_index=_whole(find_dataset(file, "indexes")),
        bad_pixels=_bad_pixels(file, own),
        positions_m=metres,
        positions_px=_columns(file, "probe_position_x_px", "probe_position_y_px"),
        position_index=_whole(find_dataset(file, "probe_position_indexes")),
        probe=probe_array(find_dataset(file, "probe")),
        object_=object_array(object_),
        object_pixel_m=pixel,
        object_centre_m=None if metres is None or object_ is None else _centre(object_),
        geometry=_geometry(file, frames, pixel),
        metadata=_metadata(file),
        own=own,
        wanted=_WANTED,
        found=listing(file),
    )


def _object_pixel(file: h5py.File, object_: h5py.Dataset | None) -> PixelSize | None:
    """(y, x): scalars of a training file, or attributes of a product's object."""
    y, x = number_of(file, "object_pixel_height_m"), number_of(file, "object_pixel_width_m")
    if (y is None or x is None) and object_ is not None:
        y, x = _attribute(object_, "pixel_height_m"), _attribute(object_, "pixel_width_m")
    return None if y is None or x is None else (abs(y), abs(x))


def _centre(object_: h5py.Dataset) -> tuple[float, float]:
    return _attribute(object_, "center_y_m") or 0.0, _attribute(object_, "center_x_m") or 0.0


def _geometry(file: h5py.File, frames: h5py.Dataset | None, pixel: PixelSize | None) -> Geometry:
    energy = number_of(file, "photon_energy_eV") or _attribute(file, "photon_energy_eV")
    energy = energy or _attribute(file, "probe_energy_eV")
    distance = number_of(file, "detector_object_distance_m") or _attribute(file, "detector_object_distance_m")
    known = Geometry(energy or None, abs(distance) if distance else None, **_propagation(file))
    if frames is None:
        return known
    y, x = _attribute(frames, "detector_pixel_height_m"), _attribute(frames, "detector_pixel_width_m")
    detector = (abs(y), abs(x)) if y and x else None
    if detector is None and pixel is not None:
        detector = replace(known, detector_pixel_m=pixel).far_field_pixel_m(frames.shape[-1])
    return replace(known, detector_pixel_m=detector)


def _propagation(file: h5py.File) -> dict[str, Any]:
    """Near field, where a product says so."""
    if attribute(file, "far_field") in (False, 0):
        return {"propagation": "near_field", "propagation_reason": _NEAR_FIELD}
    return {}


def _attribute(item: h5py.HLObject, name: str) -> float | None:
    value = attribute(item, name)
    return None if value is None else finite_number(value, f"{place(item)}: attribute {name}") or None


def _columns(file: h5py.File, x_name: str, y_name: str) -> NDArray[np.float64] | None:
    """(N, 2), (y, x)."""
    stored = [find_dataset(file, name) for name in (y_name, x_name)]
    if stored[0] is None or stored[1] is None:
        return None
    y, x = array(stored[0]), array(stored[1])
    if y.ndim != 1 or y.shape != x.shape or y.dtype.kind not in "uif" or x.dtype.kind not in "uif":
        raise ScanError(
            f"{file.filename}: {x_name} is {x.dtype} {x.shape} and {y_name} is {y.dtype} {y.shape}; "
            "the rule is two lists of real numbers of the same length"
        )
    return np.stack([y, x], axis=1).astype(np.float64)


def _whole(stored: h5py.Dataset | None) -> NDArray[np.int64] | None:
    if stored is None:
        return None
    index = array(stored)
    if index.ndim != 1 or index.dtype.kind not in "ui":
        raise ScanError(
            f"{place(stored)} is {index.dtype} {index.shape}; the rule is one whole number for each pattern"
        )
    return index.astype(np.int64)


def _bad_pixels(file: h5py.File, own: Own | None) -> NDArray[Any] | None:
    """Ours for each pattern, where the file has it; else one for all of them."""
    if own is not None and "bad_pixels" in own.arrays:
        return own.arrays["bad_pixels"].astype(np.bool_)
    stored = find_dataset(file, "bad_pixels")
    if stored is None:
        return None
    bad = array(stored)
    if bad.dtype.kind not in "bui":
        raise ScanError(f"{place(stored)} holds {bad.dtype} values; the rule is bool, True where nothing was measured")
    return bad.astype(np.bool_)


def _metadata(file: h5py.File) -> dict[str, Any]:
    texts = {"title": attribute(file, "name"), "comment": attribute(file, "comments")}
    return {name: as_text(value) for name, value in texts.items() if isinstance(value, str | bytes) and value}
