"""Reading CXI 1.6 ptychography files, also those that ptychodus writes."""

import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import EV_J, Geometry, PixelSize
from ptychopinn.data.io.choice import Candidate, choices, chosen
from ptychopinn.data.io.detector import (
    beam_of,
    beam_positions,
    detector_basis,
    detector_distance,
    detector_pixel,
    directions,
    fitting,
)
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import (
    array,
    as_text,
    attribute,
    find,
    find_dataset,
    natural_order,
    place,
    same_item,
    text,
    walk,
)
from ptychopinn.data.io.hdf5_dark import dark_of
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.images import complex_at, object_array, probe_array
from ptychopinn.data.io.limits import DISTANCE, OBJECT_PIXEL, PHOTON_ENERGY, one_energy, wavelength_limits
from ptychopinn.data.io.masks import CXI_BITS, bad_pixels_of
from ptychopinn.data.io.own import read_own
from ptychopinn.data.io.positions_apart import moved_apart
from ptychopinn.data.io.quantities import length_at, number_at, values_of
from ptychopinn.data.io.unread import unread_notes
from ptychopinn.errors import ScanError

LAYOUT = "CXI file"
INVALID = 1
"""Bit 0 of a CXI mask: the value is no measurement. Ours are written with it."""

_PATTERNS = ("data_1/data", "instrument_1/detector_1/data")
_POSITIONS = ("sample_1/geometry_1/translation", "data_1/translation", "instrument_1/detector_1/translation")
_PROBE = ("instrument_1/source_1/illumination", "image_1/data")
_OBJECT = "image_2/data"
_MASKS = ("mask", "mask_shared", "pixel_mask", "bad_pixels")
_WANTED = {
    "patterns": " or ".join(_PATTERNS),
    "positions": " or ".join(_POSITIONS) + ", or two datasets whose names differ by x and y",
    "probe": " or ".join(_PROBE),
    "object": _OBJECT,
    "geometry": "source_1/energy, detector_1/distance, detector_1/x_pixel_size",
}


def is_cxi(file: h5py.File) -> bool:
    """Whether a file names its parts as CXI does."""
    entries = _entries(file)
    return bool(entries) and (
        "cxi_version" in file
        or any(re.fullmatch(r"(instrument|data|image)_\d+", name) for entry in entries for name in entry)
    )


def read_cxi(file: h5py.File, options: DataConfig) -> Hdf5Parts:
    """What one entry of a CXI file holds: that of `options.entry`, else the first complete one.

    Raises:
        ScanError: an array of a wrong shape, a number that is none or impossible, or a broken link.
    """
    notes: list[str] = []
    candidates = [_as_candidate(entry) for entry in _entries(file)]
    default = attribute(file, "default")
    named = as_text(default).strip("/").partition("/")[0] if isinstance(default, str | bytes) else None
    taken = chosen(candidates, options.entry, named, "entry", file.filename, notes)
    assert taken is not None
    entry = taken.item
    detectors = [_as_detector(group) for group in _detectors(entry)]
    data = _data(entry)
    camera = _detector(detectors, data, options, file.filename, notes)
    detector = None if camera is None else camera.item
    alone = options.detector is None and sum(one.has_patterns for one in detectors) < 2
    frames = _frames(detector, data, alone)
    notes += _unread(detectors, data, frames)
    known = None if frames is None else frames.shape
    basis = detector_basis(detector)
    own = read_own(entry)
    moved = _movement(entry, detector, data, frames, basis, options, notes)
    object_ = object_array(find_dataset(entry, _OBJECT))
    index = find_dataset(entry, "ptychodus/probe_position_indexes")
    probe = probe_array(*_probe(entry))
    notes += unread_notes(_belonging(detector, data), _around(entry), frames, _MASKS, probe is not None)
    return Hdf5Parts(
        source=file.filename,
        layout=LAYOUT,
        frames=frames,
        bad_pixels=_bad_pixels(detector, data, known, options),
        dark=dark_of(_belonging(detector, data), known, options.dark),
        positions_m=moved,
        position_index=None if index is None else array(index).astype(np.int64),
        probe=probe,
        object_=object_,
        object_pixel_m=_object_pixel(entry, object_) if own is None else own.pixel_m,
        object_centre_m=None if object_ is None else _object_centre(entry, basis),
        geometry=_geometry(entry, detector, basis, options, () if own is None else own.nominal),
        metadata=_metadata(entry)
        | choices(candidates, taken, "entry", "entries")
        | choices(detectors, camera, "detector", "detectors"),
        own=own,
        notes=tuple(notes),
        wanted=_WANTED,
    )


def _entries(file: h5py.File) -> list[h5py.Group]:
    return _numbered(file, "entry")


def _numbered(parent: Any, name: str) -> list[h5py.Group]:
    """The groups `name_1`, `name_2` and so on, in the order of their numbers."""
    if not isinstance(parent, h5py.Group):
        return []
    names = sorted((one for one in parent if re.fullmatch(rf"{name}_\d+", one)), key=natural_order)
    return [group for one in names if isinstance(group := find(parent, one), h5py.Group)]


def _detectors(entry: h5py.Group) -> list[h5py.Group]:
    return [detector for one in _numbered(entry, "instrument") for detector in _numbered(one, "detector")]


def _data(entry: h5py.Group) -> list[h5py.Group]:
    """Groups `data_1` and so on that hold patterns."""
    return [group for group in _numbered(entry, "data") if _stack(group) is not None]


def _stack(group: Any) -> h5py.Dataset | None:
    return None if group is None else find_dataset(group, "data")


def _as_candidate(entry: h5py.Group) -> Candidate:
    detectors = _detectors(entry)
    patterns = bool(_data(entry)) or any(_stack(detector) is not None for detector in detectors)
    held = [
        find_dataset(entry, *_POSITIONS) is not None,
        find_dataset(entry, *_PROBE) is not None,
        find_dataset(entry, _OBJECT) is not None,
        find_dataset(entry, "instrument_1/source_1/energy", "instrument_1/source_1/wavelength") is not None,
    ]
    return Candidate(entry.name.strip("/"), entry, patterns, sum(held))


def _as_detector(group: h5py.Group) -> Candidate:
    parts = sum(find_dataset(group, name) is not None for name in ("distance", "x_pixel_size", "basis_vectors", "mask"))
    return Candidate(group.name.rpartition("/")[2], group, _stack(group) is not None, parts)


def _detector(
    detectors: list[Candidate], data: list[h5py.Group], options: DataConfig, source: str, notes: list[str]
) -> Candidate | None:
    """The detector that the patterns come from: one with patterns, first the one whose `data` is linked as `data_1`."""
    if options.detector is not None:
        return chosen(detectors, options.detector, None, "detector", source, notes)
    stacks = [one for one in detectors if one.has_patterns]
    stacks.sort(key=lambda one: not (data and same_item(_stack(one.item), _stack(data[0]))))
    return chosen(stacks or detectors[:1], None, None, "detector", source, notes)


def _frames(detector: Any, data: list[h5py.Group], alone: bool) -> Frames | None:
    """The patterns of the detector; of a group `data_1` where the detector has none or other ones.

    Args:
        detector: that was chosen.
        data: groups `data_1` and so on.
        alone: whether no other detector holds patterns and the user named none.
    """
    own, first = _stack(detector), _stack(data[0]) if data else None
    stack = first if own is None or (alone and first is not None and not same_item(own, first)) else own
    return None if stack is None else Frames([stack])


def _unread(detectors: list[Candidate], data: list[h5py.Group], frames: Frames | None) -> list[str]:
    """Names groups with patterns that are not read: `data_2` and so on, or a detector whose data `data_1` replaces."""
    known = [_stack(one.item) for one in detectors] + [_stack(group) for group in data[:1]]
    others = [group.name for group in data[1:] if not any(same_item(_stack(group), stack) for stack in known)]
    if len(detectors) == 1 and frames is not None:
        own = _stack(detectors[0].item)
        others += [detectors[0].item.name] if own is not None and not frames.holds(own) else []
    return [f"{other} holds patterns too, which are not read" for other in others]


def _belonging(detector: Any, data: list[h5py.Group]) -> list[h5py.Group]:
    """The detector, and the data groups that hold its patterns."""
    own = _stack(detector)
    linked = [group for group in data if own is None or same_item(_stack(group), own)]
    return [*([] if detector is None else [detector]), *linked]


def _around(entry: h5py.Group) -> list[h5py.Group]:
    """Groups in which masks, dark images or a probe may stand that are not read."""
    instruments = _numbered(entry, "instrument")
    sources = [source for one in instruments for source in _numbered(one, "source")]
    return [entry, *_numbered(entry, "data"), *instruments, *sources]


def _movement(
    entry: h5py.Group,
    detector: Any,
    data: list[h5py.Group],
    frames: Frames | None,
    basis: NDArray[np.float64],
    options: DataConfig,
    notes: list[str],
) -> NDArray[np.float64] | None:
    """(N, 2), (y, x): where the beam was, m; from a dataset `translation`, else from one for each axis."""
    if options.position_names is None:
        translation = _translation(entry, detector, None if frames is None else frames.shape)
        if translation is not None:
            return beam_positions(translation, basis, options.position_unit)
    nodes, scan = list(walk(entry, every_name=True)), () if frames is None else frames.scan_shape
    moved = moved_apart(entry, nodes, scan, _belonging(detector, data), options, notes)
    return None if moved is None else beam_of(moved, basis, place(entry))


def _translation(entry: h5py.Group, detector: Any, frames: tuple[int, ...] | None) -> h5py.Dataset | None:
    """Movement of the sample: of the sample, else of the data or the detector; the first that fits the patterns."""
    groups = [geometry for sample in _numbered(entry, "sample") for geometry in _numbered(sample, "geometry")]
    groups += [*_numbered(entry, "sample"), *_numbered(entry, "data"), *([] if detector is None else [detector])]
    found = [stored for group in groups if (stored := find_dataset(group, "translation")) is not None]
    return fitting(found, frames)


def _probe(entry: h5py.Group) -> tuple[NDArray[Any] | None, str]:
    sources = [source for part in _numbered(entry, "instrument") for source in _numbered(part, "source")]
    found = (complex_at(source, "illumination") for source in sources)
    return next((one for one in found if one[0] is not None), None) or complex_at(entry, "image_1/data")


def _bad_pixels(
    detector: Any, data: list[h5py.Group], frames: tuple[int, ...] | None, options: DataConfig
) -> NDArray[np.bool_] | None:
    """Pixels that any mask of the detector, or of its data, marks."""
    bits = CXI_BITS if options.mask_bits is None else options.mask_bits
    stored: list[h5py.Dataset] = []
    for group in _belonging(detector, data):
        for mask in (find_dataset(group, name) for name in _MASKS):
            if mask is not None and not any(same_item(mask, other) for other in stored):
                stored.append(mask)
    bad: NDArray[np.bool_] | None = None
    for mask in stored:
        one = bad_pixels_of(array(mask), place(mask), frames, bits)
        if bad is not None and bad.shape[-2:] != one.shape[-2:]:
            raise ScanError(f"{place(mask)} has shape {one.shape}, but {place(stored[0])} {bad.shape}; give one mask")
        bad = one if bad is None else bad | one
    return bad


def _geometry(
    entry: h5py.Group, detector: Any, basis: NDArray[np.float64], options: DataConfig, nominal: tuple[str, ...]
) -> Geometry:
    """Energy, which CXI keeps in joules, distance and detector pixel; nominal values may be any number."""
    energies, wavelengths = [], []
    for part in [] if options.energy_eV is not None else _numbered(entry, "instrument"):
        for group in (*_numbered(part, "source"), *_numbered(part, "monochromator"), *_numbered(part, "beam")):
            energy = number_at(group, "energy", None if nominal else PHOTON_ENERGY, 1 / EV_J, "J as in CXI")
            wavelength = number_at(group, "wavelength", None if nominal else wavelength_limits())
            energies += [] if energy is None else [(f"{place(group)}/energy", energy)]
            wavelengths += [] if wavelength is None else [(f"{place(group)}/wavelength", wavelength)]
    limits = None if nominal else DISTANCE
    distance = None if options.distance_m is not None else detector_distance(detector, limits)
    pixel = None if options.detector_pixel_m is not None else detector_pixel(detector, basis, checked=not nominal)
    return Geometry(
        one_energy(energies, wavelengths),
        distance,
        pixel,
        stated_wavelength_m=wavelengths[0][1] if wavelengths else None,
    )


def _object_pixel(entry: h5py.Group, object_: NDArray[Any] | None) -> PixelSize | None:
    """(y, x) of the object, or of the probe where a file without patterns says no more."""
    extras = find(entry, "ptychodus")
    for part in ("object", "probe"):
        y = number_at(extras, f"{part}_pixel_height_m", OBJECT_PIXEL)
        x = number_at(extras, f"{part}_pixel_width_m", OBJECT_PIXEL)
        if y is not None and x is not None:
            return y, x
    stored = find_dataset(entry, "image_2/image_size")
    extent = np.zeros(0) if stored is None or object_ is None else values_of(stored, "length").reshape(-1)
    if object_ is None or extent.size < 2 or not (extent[:2] > 0).all():
        return None
    return float(extent[1]) / object_.shape[0], float(extent[0]) / object_.shape[1]


def _object_centre(entry: h5py.Group, basis: NDArray[np.float64]) -> tuple[float, float]:
    """(y, x): where the object's centre lies among the beam positions; at zero where the file does not say."""
    extras = find(entry, "ptychodus")
    if extras is not None:
        y, x = length_at(extras, "object_center_y_m"), length_at(extras, "object_center_x_m")
        if y is not None and x is not None:
            return y, x
    stored = find_dataset(entry, "image_2/image_center")
    centre = np.zeros(3) if stored is None else values_of(stored, "length").reshape(-1)
    if stored is not None and centre.shape != (3,):
        raise ScanError(f"{place(stored)}: image_center has shape {centre.shape}; must be x y z in metres")
    y, x = directions(basis) @ centre
    return float(y), float(x)


def _metadata(entry: h5py.Group) -> dict[str, Any]:
    texts = {name: text(entry, name) for name in ("title", "experiment_description", "comment")}
    return {name: value for name, value in texts.items() if value}
