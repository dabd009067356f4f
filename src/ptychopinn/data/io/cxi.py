"""Reading CXI 1.6 ptychography files, also those that ptychodus writes."""

import logging
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import EV_J, Geometry, PixelSize, energy_eV
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import array, find, find_dataset, listing, number, place, text
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.own import read_own
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

LAYOUT = "CXI file"
INVALID = 1
"""Bit 0 of a CXI mask: the value is no measurement."""
HAS_SIGNAL = 0x1000
"""The one other bit that says nothing against a pixel."""

_PATTERNS = ("data_1/data", "instrument_1/detector_1/data")
_POSITIONS = ("sample_1/geometry_1/translation", "data_1/translation", "instrument_1/detector_1/translation")
_PROBE = ("instrument_1/source_1/illumination", "image_1/data")
_OBJECT = "image_2/data"
_WANTED = {
    "patterns": " or ".join(_PATTERNS),
    "positions": " or ".join(_POSITIONS),
    "probe": " or ".join(_PROBE),
    "object": _OBJECT,
    "geometry": "source_1/energy, detector_1/distance, detector_1/x_pixel_size",
}


def is_cxi(file: h5py.File) -> bool:
    """Whether a file names its parts as CXI does."""
    return isinstance(find(file, "entry_1"), h5py.Group) and (
        "cxi_version" in file
        or any(name in file["entry_1"] for name in ("instrument_1", "data_1", "image_1", "image_2"))
    )


def read_cxi(file: h5py.File) -> Hdf5Parts:
    """What the first entry of a CXI file holds.

    Raises:
        ScanError: an array of a wrong shape, a number that is none, or a broken link.
    """
    entry = file["entry_1"]
    detector = find(entry, "instrument_1/detector_1")
    frames = find_dataset(entry, *_PATTERNS)
    translation = find_dataset(entry, *_POSITIONS)
    basis = detector_basis(detector)
    object_ = object_array(find_dataset(entry, _OBJECT))
    index = find_dataset(entry, "ptychodus/probe_position_indexes")
    own = read_own(entry)
    return Hdf5Parts(
        source=file.filename,
        layout=LAYOUT,
        frames=None if frames is None else Frames([frames]),
        bad_pixels=_bad_pixels(detector),
        positions_m=None if translation is None else beam_positions(translation, basis),
        position_index=None if index is None else array(index).astype(np.int64),
        probe=probe_array(find_dataset(entry, *_PROBE)),
        object_=object_,
        object_pixel_m=_object_pixel(entry, object_) if own is None else (own.pixel_m, own.pixel_m),
        object_centre_m=None if object_ is None else _object_centre(entry, basis),
        geometry=_geometry(entry, detector, basis),
        metadata=_metadata(entry),
        own=own,
        wanted=_WANTED,
        found=listing(file),
    )


def detector_basis(detector: Any) -> NDArray[np.float64]:
    """(2, 3): steps along rows and columns of the detector, in laboratory coordinates, m.

    Unit steps along -y and -x, as CXI does by default, where the file does not say.

    Raises:
        ScanError: `basis_vectors` of another shape than (3, 2) or (2, 3), or without a direction.
    """
    stored = None if detector is None else find_dataset(detector, "basis_vectors")
    if stored is None:
        return np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    basis = np.asarray(array(stored), np.float64)
    basis = basis.T if basis.shape == (3, 2) else basis
    if basis.shape != (2, 3) or not np.isfinite(basis).all() or not np.linalg.norm(basis, axis=1).all():
        raise ScanError(
            f"{place(stored)} is {basis.tolist()}; the rule is one step along rows and one along columns, as (3, 2), "
            "correct it or drop it"
        )
    return basis


def beam_positions(translation: h5py.Dataset, basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2), (y, x): where the beam was on the sample, along rows and columns, m.

    CXI keeps the movement of the sample, minus that of the beam.
    """
    moved = array(translation)
    if moved.ndim == 3:
        moved = moved.reshape(-1, moved.shape[-1])
    if moved.ndim != 2 or moved.shape[1] not in (2, 3) or moved.dtype.kind not in "uif":
        raise ScanError(
            f"{place(translation)} has shape {moved.shape} and type {moved.dtype}; the rule is (N, 3), x y z in metres"
        )
    return -np.asarray(moved, np.float64) @ _directions(basis)[:, : moved.shape[1]].T


def detector_pixel(detector: Any, basis: NDArray[np.float64]) -> PixelSize | None:
    """(y, x) of the detector: the lengths of its basis vectors, else `y_pixel_size` and `x_pixel_size`."""
    if detector is None:
        return None
    if find_dataset(detector, "basis_vectors") is not None:
        rows, columns = np.linalg.norm(basis, axis=1)
        return float(rows), float(columns)
    y, x = number_of(detector, "y_pixel_size"), number_of(detector, "x_pixel_size")
    if y is None and x is None:
        return None
    return (y or x or 0.0), (x or y or 0.0)


def number_of(group: Any, name: str) -> float | None:
    """A positive number below a group that may be missing; zero is how some programs say that they do not know.

    Raises:
        ScanError: it is negative.
    """
    value = None if group is None else number(group, name)
    if value is not None and value < 0:
        raise ScanError(f"{place(group)}: {name} is {value}; the rule is a positive number, correct it")
    return value or None


def probe_array(stored: h5py.Dataset | None) -> NDArray[Any] | None:
    """(H, W) or (M, H, W); of (coherent, M, H, W) the first coherent mode."""
    if stored is None:
        return None
    probe = array(stored)
    if probe.ndim == 4:
        if len(probe) > 1:
            logger.warning("%s: only the first of %d coherent (OPR) modes is used", place(stored), len(probe))
        probe = probe[0]
    if probe.ndim not in (2, 3):
        raise ScanError(f"{place(stored)} has shape {probe.shape}; the rule is (H, W) or (M, H, W)")
    return probe


def object_array(stored: h5py.Dataset | None) -> NDArray[Any] | None:
    """(Y, X), of one layer.

    Raises:
        ScanError: several layers.
    """
    if stored is None:
        return None
    object_ = array(stored)
    layers = object_.shape[:-2]
    if object_.ndim < 2 or any(length != 1 for length in layers) or 0 in object_.shape:
        raise ScanError(f"{place(stored)} has shape {object_.shape}; the rule is one layer, (Y, X)")
    return object_.reshape(object_.shape[-2:])


def _directions(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)


def _bad_pixels(detector: Any) -> NDArray[np.bool_] | None:
    stored = None if detector is None else find_dataset(detector, "mask")
    if stored is None:
        return None
    mask = array(stored)
    if mask.dtype.kind not in "bui":
        raise ScanError(f"{place(stored)} holds {mask.dtype} values; the rule is whole numbers, bit 0 set = invalid")
    mask = mask.reshape(mask.shape[-2:]) if mask.size == np.prod(mask.shape[-2:]) else mask
    invalid = (mask.astype(np.int64) & INVALID) != 0
    flagged = int(((mask.astype(np.int64) & ~(INVALID | HAS_SIGNAL) != 0) & ~invalid).sum())
    if flagged:
        logger.warning(
            "%s: %d pixels carry other bits than bit 0 (hot, dead, saturated, ...) and count as measured",
            place(stored),
            flagged,
        )
    return invalid


def _geometry(entry: h5py.Group, detector: Any, basis: NDArray[np.float64]) -> Geometry:
    """Energy, which CXI keeps in joules, distance and detector pixel."""
    source = find(entry, "instrument_1/source_1")
    joules, wavelength = number_of(source, "energy"), number_of(source, "wavelength")
    energy = None if wavelength is None else energy_eV(wavelength)
    return Geometry(
        energy if joules is None else joules / EV_J,
        number_of(detector, "distance"),
        detector_pixel(detector, basis),
        stated_wavelength_m=wavelength,
    )


def _object_pixel(entry: h5py.Group, object_: NDArray[Any] | None) -> PixelSize | None:
    """(y, x) of the object, or of the probe where a file without patterns says no more."""
    extras = find(entry, "ptychodus")
    for part in ("object", "probe"):
        y, x = number_of(extras, f"{part}_pixel_height_m"), number_of(extras, f"{part}_pixel_width_m")
        if y is not None and x is not None:
            return y, x
    stored = find_dataset(entry, "image_2/image_size")
    extent = np.zeros(0) if stored is None or object_ is None else array(stored).reshape(-1)
    if object_ is None or extent.size < 2 or not (extent[:2] > 0).all():
        return None
    return float(extent[1]) / object_.shape[0], float(extent[0]) / object_.shape[1]


def _object_centre(entry: h5py.Group, basis: NDArray[np.float64]) -> tuple[float, float]:
    """(y, x): where the object's centre lies among the beam positions; at zero where the file does not say."""
    extras = find(entry, "ptychodus")
    if extras is not None:
        y, x = number(extras, "object_center_y_m"), number(extras, "object_center_x_m")
        if y is not None and x is not None:
            return y, x
    stored = find_dataset(entry, "image_2/image_center")
    centre = np.zeros(3) if stored is None else np.asarray(array(stored), np.float64).reshape(-1)
    if stored is not None and centre.shape != (3,):
        raise ScanError(f"{place(stored)}: image_center has shape {centre.shape}; the rule is x y z in metres")
    y, x = _directions(basis) @ centre
    return float(y), float(x)


def _metadata(entry: h5py.Group) -> dict[str, Any]:
    texts = {name: text(entry, name) for name in ("title", "experiment_description", "comment")}
    return {name: value for name, value in texts.items() if value}
