"""Reading NeXus files: NXcxi_ptycho and detector master files, by the classes of their groups."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import EV_J, Geometry, PixelSize
from ptychopinn.data.io.choice import Candidate, choices, chosen
from ptychopinn.data.io.detector import beam_of, beam_positions, detector_basis, detector_pixel, fitting
from ptychopinn.data.io.frame_parts import numbers_of_frames, stacks_of
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import (
    array,
    as_text,
    attribute,
    checked_values,
    find,
    find_dataset,
    is_complex,
    natural_order,
    place,
    refuse_broken_link,
    same_item,
    text,
    walk,
)
from ptychopinn.data.io.hdf5_dark import dark_of
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.images import joined_at, object_array, probe_array
from ptychopinn.data.io.limits import DISTANCE, PHOTON_ENERGY, one_energy, wavelength_limits
from ptychopinn.data.io.masks import CXI_BITS, EVERY_BIT, bad_pixels_of
from ptychopinn.data.io.own import read_own
from ptychopinn.data.io.positions_apart import moved_apart
from ptychopinn.data.io.quantities import agreed, has_unit, number_of
from ptychopinn.data.io.unread import unread_notes
from ptychopinn.errors import ScanError

LAYOUT = "NeXus file"
DEFINITION = "NXcxi_ptycho"

_JOULES_BELOW = 1e-10
"""An energy without a unit that is smaller is in joules."""
_EV_ABOVE = 100.0
"""An energy without a unit that is larger is in eV."""
_ENERGIES = ("incident_energy", "incident_beam_energy", "energy")
_WAVELENGTHS = ("incident_wavelength", "wavelength")
_MASKS = ("pixel_mask", "pixel_mask_1", "mask", "bad_pixels")
_PROBES = ("illumination", "probe", "image_1/data")
_OBJECTS = ("object", "image_2/data")
_WANTED = {
    "patterns": "data with three axes in a group of class NXdetector or NXdata",
    "positions": "a dataset translation, (N, 3), or two whose names differ by x and y, with a value for each pattern",
    "probe": "a complex dataset illumination, probe or image_1/data",
    "object": "a complex dataset object or image_2/data",
    "geometry": "energy in NXbeam, NXmonochromator or NXsource, distance and x_pixel_size in NXdetector",
}

Nodes = list[tuple[str, Any]]


def nexus_entries(file: h5py.File) -> list[h5py.Group]:
    """The groups of class NXentry in the order of the numbers in their names; else one named `entry`."""
    names = sorted(file, key=natural_order)
    groups = [item for name in names if isinstance(item := file.get(name), h5py.Group)]
    entries = [group for group in groups if nexus_class(group) == "NXentry"]
    named = file.get("entry")
    return entries or ([named] if isinstance(named, h5py.Group) else [])


def is_cxi_ptycho(entry: h5py.Group) -> bool:
    """Whether an entry says that it follows NXcxi_ptycho."""
    return text(entry, "definition") == DEFINITION


def nexus_class(group: h5py.Group) -> str:
    """Its `NX_class`; empty where it has none."""
    stored = attribute(group, "NX_class")
    return "" if stored is None else as_text(stored)


def read_nexus(file: h5py.File, options: DataConfig) -> Hdf5Parts:
    """What one entry of a NeXus file holds: that of `options.entry`, of the attribute `default`, or a complete one.

    Raises:
        ScanError: an array of a wrong shape, an unknown unit, an impossible number, or a broken link.
    """
    entries = nexus_entries(file)
    notes: list[str] = []
    candidates = [_as_candidate(entry, alone=len(entries) == 1) for entry in entries]
    default = (_named(file, "default") or "").partition("/")[0]
    taken = chosen(candidates, options.entry, default, "entry", file.filename, notes)
    if taken is None:
        raise ScanError(f"{file.filename}: holds no group of class NXentry; give a NeXus file")
    entry: h5py.Group = taken.item
    nodes = list(walk(entry, every_name=True))
    cameras = _detectors(nodes)
    stored = _positions(nodes)
    count = int(np.prod(stored[0].shape[:-1])) if stored and stored[0].shape else None
    candidates_in = [_as_detector(path, group, count) for path, group in cameras]
    camera, stack = _patterns(entry, nodes, candidates_in, count, options, notes)
    detector = None if camera is None else camera.item
    frames = Frames(stack) if stack else None
    known = None if frames is None else frames.shape
    if frames is None and _complex_dataset(nodes, _OBJECTS) is None:
        _refuse_broken(entry)
    foreign = [path for path, group in cameras if not same_item(group, detector)]
    basis = detector_basis(detector)
    own_nodes = _without(nodes, foreign)
    beside = _belonging(nodes, detector, stack)
    numbers = numbers_of_frames(beside, stack, "unpaired" in options.drop_frames, notes)
    moved = _movement(entry, own_nodes, frames, basis, beside, options, notes)
    probe = _complex(own_nodes, _PROBES)
    if probe[0] is None:
        _refuse_broken(entry, ("illumination", "probe"))
    object_ = object_array(_complex_dataset(nodes, _OBJECTS))
    around = [entry, *_instruments(nodes)]
    notes += unread_notes(beside, around, frames, _MASKS, probe[0] is not None)
    return Hdf5Parts(
        source=entry.file.filename,
        layout=LAYOUT,
        frames=frames,
        bad_pixels=_bad_pixels(nodes, detector, stack, foreign, known, options),
        dark=dark_of(beside, known, options.dark),
        positions_m=moved,
        frame_index=numbers,
        probe=probe_array(*probe),
        object_=object_,
        object_centre_m=None if object_ is None else (0.0, 0.0),
        geometry=_geometry(nodes, detector, basis, options),
        metadata={name: value for name in ("title",) if (value := text(entry, name))}
        | choices(candidates, taken, "entry", "entries")
        | choices(candidates_in, camera, "detector", "detectors"),
        own=read_own(entry),
        notes=tuple(notes),
        wanted=_WANTED,
    )


def _named(group: h5py.Group, name: str) -> str | None:
    """A name in an attribute, such as `default` or `signal`."""
    stored = attribute(group, name)
    return as_text(stored).strip("/") if isinstance(stored, str | bytes) else None


def _as_candidate(entry: h5py.Group, alone: bool) -> Candidate:
    """How complete an entry is; not looked at where it is the only one."""
    name = entry.name.strip("/")
    if alone:
        return Candidate(name, entry, True, 0)
    nodes = list(walk(entry, every_name=True))
    groups = [group for _, group in [*_detectors(nodes), *_data_groups(nodes)]]
    parts = [_positions(nodes), _complex(nodes, _PROBES)[0] is not None, list(_beams(nodes))]
    return Candidate(name, entry, any(stacks_of(group) for group in groups), sum(bool(part) for part in parts))


def _as_detector(path: str, group: h5py.Group, positions: int | None) -> Candidate:
    """How complete a detector is; patterns that fit the positions count most."""
    stack, parts = stacks_of(group), ("distance", "detector_distance", "x_pixel_size", "basis_vectors", *_MASKS)
    fits = positions is not None and sum(int(np.prod(one.shape[:-2])) for one in stack) == positions
    held = sum(find_dataset(group, name) is not None for name in parts)
    return Candidate(path.strip("/"), group, bool(stack), held + 100 * fits)


def _of_class(nodes: Nodes, name: str) -> Iterator[tuple[str, h5py.Group]]:
    """Each group of a class once."""
    seen: list[h5py.Group] = []
    for path, item in nodes:
        if isinstance(item, h5py.Group) and nexus_class(item) == name and not any(same_item(item, one) for one in seen):
            seen.append(item)
            yield path, item


def _detectors(nodes: Nodes) -> list[tuple[str, h5py.Group]]:
    """Groups of class NXdetector, else those named `detector`."""
    found = list(_of_class(nodes, "NXdetector"))
    named = [(path, item) for path, item in nodes if isinstance(item, h5py.Group) and path.endswith("/detector")]
    return found or named


def _data_groups(nodes: Nodes) -> list[tuple[str, h5py.Group]]:
    found = list(_of_class(nodes, "NXdata"))
    named = [(path, item) for path, item in nodes if isinstance(item, h5py.Group) and path == "/data"]
    return found + [one for one in named if not any(same_item(one[1], other[1]) for other in found)]


def _patterns(
    entry: h5py.Group,
    nodes: Nodes,
    cameras: list[Candidate],
    positions: int | None,
    options: DataConfig,
    notes: list[str],
) -> tuple[Candidate | None, list[h5py.Dataset]]:
    """The detector that is read and its frames.

    In this order: the detector that the user names; the frames of the NXdata that the entry names as its default; a
    detector with frames; a data group with frames.
    """
    source, groups = entry.file.filename, _data_groups(nodes)
    if options.detector is not None:
        camera = chosen(cameras, options.detector, None, "detector", source, notes)
        own = [] if camera is None else stacks_of(camera.item)
        return camera, own or _frames_of(groups, camera, positions)
    default = _named(entry, "default")
    shown = (find(entry, default) or find(entry.file, default)) if default else None
    frames = stacks_of(shown) if isinstance(shown, h5py.Group) else []
    owner = _owner(frames, cameras)
    if frames and (owner is not None or len(cameras) < 2 or not any(one.has_patterns for one in cameras)):
        return owner or chosen(cameras, None, None, "detector", source, notes), frames
    with_frames = [one for one in cameras if one.has_patterns]
    if with_frames:
        camera = chosen(with_frames, None, None, "detector", source, notes)
        return camera, [] if camera is None else stacks_of(camera.item)
    frames = _frames_of(groups, None, positions)
    unread = [path for path, group in groups if (other := stacks_of(group)) and not same_item(other[0], frames[0])]
    notes += [f"{', '.join(unread)} holds patterns too, which are not read"] if unread else []
    return _owner(frames, cameras) or chosen(cameras, None, None, "detector", source, notes), frames


def _frames_of(
    groups: list[tuple[str, h5py.Group]], camera: Candidate | None, positions: int | None
) -> list[h5py.Dataset]:
    """Frames of the data groups: first of one named as the detector, then of those that fit the positions."""
    name = "" if camera is None else camera.name.rpartition("/")[2]
    found = [(path, stack) for path, group in groups if (stack := stacks_of(group))]

    def order(one: tuple[str, list[h5py.Dataset]]) -> tuple[bool, bool]:
        fits = sum(int(np.prod(part.shape[:-2])) for part in one[1]) == positions
        return not (name and name in one[0]), not fits

    return sorted(found, key=order)[0][1] if found else []


def _owner(frames: list[h5py.Dataset], cameras: list[Candidate]) -> Candidate | None:
    """The detector that holds the frames, under whatever name."""
    for camera in cameras:
        inside = [camera.item.get(name) for name in camera.item]
        if frames and any(isinstance(item, h5py.Dataset) and same_item(item, frames[0]) for item in inside):
            return camera
    return None


def _instruments(nodes: Nodes) -> list[h5py.Group]:
    """Where a probe may stand."""
    return [group for kind in ("NXinstrument", "NXbeam", "NXsource") for _, group in _of_class(nodes, kind)]


def _without(nodes: Nodes, foreign: list[str]) -> Nodes:
    """Nodes that belong to no other detector."""
    return [node for node in nodes if not any(node[0].startswith(f"{path}/") for path in foreign)]


def has_positions(file: h5py.File) -> bool:
    """Whether an entry of a NeXus file holds positions of its own."""
    return any(_positions(list(walk(entry, every_name=True))) for entry in nexus_entries(file))


def _positions_at(nodes: Nodes) -> Nodes:
    return [(path, item) for path, item in nodes if isinstance(item, h5py.Dataset) and path.endswith("/translation")]


def _positions(nodes: Nodes) -> list[h5py.Dataset]:
    return [item for _, item in _positions_at(nodes)]


def _movement(
    entry: h5py.Group,
    nodes: Nodes,
    frames: Frames | None,
    basis: NDArray[np.float64],
    beside: list[h5py.Group],
    options: DataConfig,
    notes: list[str],
) -> NDArray[np.float64] | None:
    """(N, 2), (y, x): where the beam was, m; from a dataset `translation`, else from one for each axis."""
    if options.position_names is None:
        translation = fitting(_positions(nodes), None if frames is None else frames.shape)
        if translation is not None:
            return beam_positions(translation, basis, options.position_unit)
    moved = moved_apart(entry, nodes, () if frames is None else frames.scan_shape, beside, options, notes)
    if moved is None:
        _refuse_broken(entry, ("translation",))
        return None
    return beam_of(moved, basis, place(entry))


def _complex(nodes: Nodes, names: tuple[str, ...]) -> tuple[NDArray[Any] | None, str]:
    """The first array of one of the names that is complex, or holds real and imaginary parts."""
    stored = _complex_dataset(nodes, names)
    if stored is not None:
        return array(stored), place(stored)
    for name in names:
        for path, item in nodes:
            if path.endswith(f"/{name}") and isinstance(item, h5py.Dataset) and _is_planes(item):
                return array(item), place(item)
    groups = {id(item): item for _, item in nodes if isinstance(item, h5py.Group)}
    for group in groups.values():
        for name in names:
            found = joined_at(group, name)
            if found[0] is not None:
                return found
    for path, item in nodes:
        if path.endswith(("/illumination", "/probe")) and isinstance(item, h5py.Dataset) and _is_real_image(item):
            return array(item), place(item)
    return None, ""


def _complex_dataset(nodes: Nodes, names: tuple[str, ...]) -> h5py.Dataset | None:
    for name in names:
        for path, item in nodes:
            if path.endswith(f"/{name}") and isinstance(item, h5py.Dataset) and is_complex(item):
                return item
    return None


def _is_planes(item: h5py.Dataset) -> bool:
    """Whether a real array may hold real and imaginary parts as two planes."""
    return item.dtype.kind == "f" and item.ndim in (3, 4) and 2 in (item.shape[0], item.shape[1], item.shape[-1])


def _is_real_image(item: h5py.Dataset) -> bool:
    return item.dtype.kind in "uif" and item.ndim == 2 and item.shape[0] == item.shape[1] > 1


def _bad_pixels(
    nodes: Nodes,
    detector: h5py.Group | None,
    frames: list[h5py.Dataset],
    foreign: list[str],
    known: tuple[int, ...] | None,
    options: DataConfig,
) -> NDArray[np.bool_] | None:
    """The mask of the detector, else one beside the frames, else one that belongs to no other detector.

    In a NeXus `pixel_mask` any bit means bad; in a CXI `mask` any but that of a signal.
    """
    for group in _belonging(nodes, detector, frames):
        for name in _MASKS:
            stored = find_dataset(group, name)
            if stored is not None:
                return bad_pixels_of(array(stored), place(stored), known, _bits(name, options))
    for path, item in _without(nodes, foreign):
        if path.endswith("/pixel_mask") and isinstance(item, h5py.Dataset):
            return bad_pixels_of(array(item), place(item), known, _bits("pixel_mask", options))
    return None


def _belonging(nodes: Nodes, detector: h5py.Group | None, frames: list[h5py.Dataset]) -> list[h5py.Group]:
    """The detector, the group in which its frames stand, and data groups that hold them under any name."""
    groups = [*([] if detector is None else [detector]), *([frames[0].parent] if frames else [])]
    for _, group in _data_groups(nodes):
        inside = (group.get(name) for name in group)
        if frames and any(isinstance(item, h5py.Dataset) and same_item(item, frames[0]) for item in inside):
            groups.append(group)
    return groups


def _bits(name: str, options: DataConfig) -> int:
    default = CXI_BITS if name == "mask" else EVERY_BIT
    return default if options.mask_bits is None else options.mask_bits


def _geometry(nodes: Nodes, detector: Any, basis: NDArray[np.float64], options: DataConfig) -> Geometry:
    distance = None if options.distance_m is not None else _distance(detector)
    pixel = None if options.detector_pixel_m is not None else _pixel(detector, basis)
    return Geometry(None if options.energy_eV is not None else _energy(nodes), distance, pixel)


def _beams(nodes: Nodes) -> Iterator[h5py.Group]:
    """Groups that state the energy of the photons."""
    yield from (item for _, item in _of_class(nodes, "NXbeam"))
    yield from (item for _, item in _of_class(nodes, "NXmonochromator"))
    named = (item for path, item in nodes if path.endswith("/beam") and isinstance(item, h5py.Group))
    yield from (item for item in named if not nexus_class(item))


def _energy(nodes: Nodes) -> float | None:
    """eV, from the beam or the monochromator; of a source only where it is that of photons, not of the ring.

    Raises:
        ScanError: energies and wavelengths that contradict each other.
    """
    energies, wavelengths = [], []
    for group in _beams(nodes):
        energy, wavelength = find_dataset(group, *_ENERGIES), find_dataset(group, *_WAVELENGTHS)
        in_eV = None if energy is None else _in_eV(energy)
        length = None if wavelength is None else number_of(wavelength, wavelength_limits(), "length")
        energies += [] if energy is None or in_eV is None else [(place(energy), in_eV)]
        wavelengths += [] if wavelength is None or length is None else [(place(wavelength), length)]
    found = one_energy(energies, wavelengths)
    return _source_energy(nodes) if found is None else found


def _source_energy(nodes: Nodes) -> float | None:
    """The energy of NXsource, which is that of the machine, unless it is that of photons by its unit or in joules."""
    for _, group in _of_class(nodes, "NXsource"):
        energy = find_dataset(group, "energy")
        if energy is not None and has_unit(energy):
            value = number_of(energy, None, "energy")
            if value is not None and PHOTON_ENERGY.low <= value <= PHOTON_ENERGY.high:
                return value
        elif energy is not None and 0 < (joules := agreed(energy)) < _JOULES_BELOW:
            return PHOTON_ENERGY.check(joules / EV_J, place(energy), f"{joules} J")
    return None


def _in_eV(energy: h5py.Dataset) -> float | None:
    if has_unit(energy):
        return number_of(energy, PHOTON_ENERGY, "energy")
    value = agreed(energy)
    if value != 0 and _JOULES_BELOW <= value < _EV_ABOVE:
        raise ScanError(
            f"{place(energy)} is {value} without a unit; the attribute units (J, eV, keV) is missing: add it, or give "
            f"{PHOTON_ENERGY.option}"
        )
    factor, assumed = (1 / EV_J, "J") if value < _JOULES_BELOW else (1.0, "eV")
    return number_of(energy, PHOTON_ENERGY, "energy", factor, assumed)


def _distance(detector: h5py.Group | None) -> float | None:
    stored = None if detector is None else find_dataset(detector, "distance", "detector_distance")
    if stored is None:
        return None
    value = number_of(stored, DISTANCE, "length")
    if value is None:
        raise ScanError(f"{place(stored)} is 0; must be a length, correct it, or give {DISTANCE.option}")
    return abs(value)


def _pixel(detector: h5py.Group | None, basis: NDArray[np.float64]) -> PixelSize | None:
    for name in ("y_pixel_size", "x_pixel_size"):
        stored = None if detector is None else find_dataset(detector, name)
        if stored is not None and stored.dtype.kind in "iuf" and not np.asarray(checked_values(stored)).any():
            raise ScanError(f"{place(stored)} is 0; must be a length, correct it")
    return detector_pixel(detector, basis)


def _refuse_broken(group: h5py.Group, names: tuple[str, ...] = ()) -> None:
    """Name a file that is missing where a link below a group leads into it.

    Args:
        group: where to look.
        names: of links that matter; all without them.
    """
    links: list[tuple[h5py.Group, str]] = []

    def note(path: str, link: Any) -> None:
        if (not names or path.rpartition("/")[2] in names) and not isinstance(link, h5py.HardLink):
            links.append((group, path))

    group.visititems_links(note)
    for parent, path in links:
        refuse_broken_link(parent, path)
