"""Reading the HDF5 files of ptychodus: product, assembled diffraction, training data."""

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, PixelSize
from ptychopinn.data.io.detector import position_scale
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import (
    array,
    as_text,
    attribute,
    checked_values,
    find_dataset,
    finite_number,
    place,
)
from ptychopinn.data.io.hdf5_dark import dark_of
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.images import complex_at, object_array, probe_array
from ptychopinn.data.io.limits import DISTANCE, OBJECT_PIXEL, PHOTON_ENERGY, Limits
from ptychopinn.data.io.masks import EVERY_BIT, bad_pixels_of
from ptychopinn.data.io.own import Own, read_own
from ptychopinn.data.io.quantities import number_at
from ptychopinn.errors import ScanError

TRAINING, PRODUCT, DIFFRACTION = "ptychodus training file", "ptychodus product", "ptychodus diffraction file"
WANTED = {
    "patterns": "patterns",
    "positions": "probe_position_x_m and probe_position_y_m, or ..._px",
    "probe": "probe",
    "object": "object",
    "geometry": "pixel_width_m and pixel_height_m of object",
}
NEAR_FIELD = "the product says that it is not far field"


def layout_of(file: h5py.File) -> str | None:
    """Which of the three layouts a file has, or none."""
    if "probe_position_x_px" in file:
        return TRAINING
    if "probe_position_x_m" in file:
        return PRODUCT
    return DIFFRACTION if "patterns" in file else None


def read_ptychodus(file: h5py.File, layout: str, options: DataConfig) -> Hdf5Parts:
    """What a file of ptychodus holds.

    Raises:
        ScanError: an array of a wrong shape, a number that is none, or a broken link.
    """
    frames, object_ = find_dataset(file, "patterns"), find_dataset(file, "object")
    own = read_own(file)
    nominal = own is not None and bool(own.nominal)
    pixel = _object_pixel(file, object_)
    known = None if frames is None else Frames([frames])
    shape = None if known is None else known.shape
    metres = columns_of(file, "probe_position_x_m", "probe_position_y_m", metres=True, unit=options.position_unit)
    return Hdf5Parts(
        source=file.filename,
        layout=layout,
        frames=known,
        frame_index=_whole(find_dataset(file, "indexes")),
        bad_pixels=_bad_pixels(file, own, shape, options),
        dark=dark_of([file], shape, options.dark),
        positions_m=metres,
        positions_px=columns_of(file, "probe_position_x_px", "probe_position_y_px", metres=False),
        position_index=_whole(find_dataset(file, "probe_position_indexes")),
        probe=probe_array(*complex_at(file, "probe")),
        object_=object_array(object_),
        object_pixel_m=pixel,
        object_centre_m=None if metres is None or object_ is None else _centre(object_),
        geometry=_geometry(file, frames, pixel, options, nominal),
        metadata=_metadata(file),
        own=own,
        wanted=WANTED,
    )


def _object_pixel(file: h5py.File, object_: h5py.Dataset | None) -> PixelSize | None:
    """(y, x): scalars of a training file, or attributes of a product's object."""
    y = number_at(file, "object_pixel_height_m", OBJECT_PIXEL)
    x = number_at(file, "object_pixel_width_m", OBJECT_PIXEL)
    if (y is None or x is None) and object_ is not None:
        y, x = _attribute(object_, "pixel_height_m"), _attribute(object_, "pixel_width_m")
    return None if y is None or x is None else (abs(y), abs(x))


def _centre(object_: h5py.Dataset) -> tuple[float, float]:
    return _attribute(object_, "center_y_m") or 0.0, _attribute(object_, "center_x_m") or 0.0


def _geometry(
    file: h5py.File, frames: h5py.Dataset | None, pixel: PixelSize | None, options: DataConfig, nominal: bool
) -> Geometry:
    """Nominal values may be any number."""
    energy = distance = None
    if options.energy_eV is None:
        limits = None if nominal else PHOTON_ENERGY
        names = ("photon_energy_eV", "probe_energy_eV")
        stored = number_at(file, names[0], limits) if limits is not None else _plain(file, names[0])
        energy = stored or next((found for name in names if (found := _attribute(file, name, limits))), None)
    if options.distance_m is None:
        limits = None if nominal else DISTANCE
        name = "detector_object_distance_m"
        distance = number_at(file, name, limits) or _attribute(file, name, limits)
    known = Geometry(energy or None, abs(distance) if distance else None, **_propagation(file))
    if frames is None:
        return known
    y, x = _attribute(frames, "detector_pixel_height_m"), _attribute(frames, "detector_pixel_width_m")
    detector = (abs(y), abs(x)) if y and x else None
    if detector is None and pixel is not None:
        stated = replace(
            known, energy_eV=options.energy_eV or energy, distance_m=options.distance_m or known.distance_m
        )
        detector = replace(stated, detector_pixel_m=pixel).far_field_pixel_m(frames.shape[-1])
    return replace(known, detector_pixel_m=detector)


def _plain(file: h5py.File, name: str) -> float | None:
    stored = find_dataset(file, name)
    return None if stored is None else finite_number(checked_values(stored), place(stored)) or None


def _propagation(file: h5py.File) -> dict[str, Any]:
    """Near field, where a product says so."""
    if attribute(file, "far_field") in (False, 0):
        return {"propagation": "near_field", "propagation_reason": NEAR_FIELD}
    return {}


def _attribute(item: h5py.HLObject, name: str, limits: Limits | None = None) -> float | None:
    value = attribute(item, name)
    if value is None:
        return None
    where = f"{place(item)}: attribute {name}"
    number = finite_number(value, where)
    return (number if limits is None or number == 0 else limits.check(number, where, f"{number:.10g}")) or None


def columns_of(
    file: h5py.File, x_name: str, y_name: str, metres: bool, unit: str = "auto"
) -> NDArray[np.float64] | None:
    """(N, 2), (y, x), from two datasets; none if one is missing. `unit` is `data.position_unit`.

    Raises:
        ScanError: not two lists of real numbers of one length, an unknown unit, or one that contradicts `unit`.
    """
    names = (y_name, x_name)
    stored = [one for name in names if (one := find_dataset(file, name)) is not None]
    if len(stored) < 2:
        return None
    y, x = (array(one) * position_scale(one, unit) if metres else array(one) for one in stored)
    y, x = (one.reshape(-1) if one.ndim > 1 and one.size == max(one.shape) else one for one in (y, x))
    if y.ndim != 1 or y.shape != x.shape or y.dtype.kind not in "uif" or x.dtype.kind not in "uif":
        raise ScanError(
            f"{file.filename}: {x_name} is {x.dtype} {x.shape} and {y_name} is {y.dtype} {y.shape}; "
            "must be two lists of real numbers of the same length"
        )
    return np.stack([y, x], axis=1).astype(np.float64)


def _whole(stored: h5py.Dataset | None) -> NDArray[np.int64] | None:
    if stored is None:
        return None
    index = array(stored)
    index = index.reshape(-1) if index.ndim > 1 and index.size == max(index.shape) else index
    if index.ndim != 1 or index.dtype.kind not in "ui":
        raise ScanError(f"{place(stored)} is {index.dtype} {index.shape}; must be one whole number for each pattern")
    return index.astype(np.int64)


def _bad_pixels(
    file: h5py.File, own: Own | None, frames: tuple[int, ...] | None, options: DataConfig
) -> NDArray[Any] | None:
    """Ours for each pattern, where the file has it; else one for all of them."""
    if own is not None and "bad_pixels" in own.arrays:
        return own.arrays["bad_pixels"].astype(np.bool_)
    stored = find_dataset(file, "bad_pixels")
    return (
        None if stored is None else bad_pixels_of(array(stored), place(stored), frames, options.mask_bits or EVERY_BIT)
    )


def _metadata(file: h5py.File) -> dict[str, Any]:
    texts = {"title": attribute(file, "name"), "comment": attribute(file, "comments")}
    return {name: as_text(value) for name, value in texts.items() if isinstance(value, str | bytes) and value}
