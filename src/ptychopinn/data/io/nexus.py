"""Reading NeXus files: NXcxi_ptycho and detector master files, by the classes of their groups."""

import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import EV_J, Geometry, PixelSize, energy_eV
from ptychopinn.data.io.cxi import beam_positions, detector_basis, detector_pixel, object_array, probe_array
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import array, as_text, attribute, find_dataset, finite_number, listing, place, text, walk
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.own import read_own
from ptychopinn.errors import ScanError

LAYOUT = "NeXus file"
DEFINITION = "NXcxi_ptycho"

_METRES = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6, "nm": 1e-9, "pm": 1e-12}
_METRES |= {"metre": 1.0, "meter": 1.0, "cm": 1e-2, "a": 1e-10, "å": 1e-10, "angstrom": 1e-10, "angstroms": 1e-10}
_EV = {"ev": 1.0, "kev": 1e3, "mev": 1e6, "j": 1 / EV_J, "joule": 1 / EV_J, "joules": 1 / EV_J}
_JOULES_BELOW = 1e-10
"""An energy without a unit that is smaller is in joules."""
_EV_ABOVE = 100.0
"""An energy without a unit that is larger is in eV."""
_WANTED = {
    "patterns": "data with three axes in a group of class NXdetector or NXdata",
    "positions": "a dataset translation, (N, 3)",
    "probe": "a complex dataset illumination, probe or image_1/data",
    "object": "a complex dataset object or image_2/data",
    "geometry": "energy in NXbeam, NXmonochromator or NXsource, distance and x_pixel_size in NXdetector",
}

Nodes = list[tuple[str, Any]]


def nexus_entry(file: h5py.File) -> h5py.Group | None:
    """The first group of class NXentry, or one named `entry`; none in other files."""
    groups = [item for item in file.values() if isinstance(item, h5py.Group)]
    for group in groups:
        if nexus_class(group) == "NXentry":
            return group
    named = file.get("entry")
    return named if isinstance(named, h5py.Group) else None


def is_cxi_ptycho(entry: h5py.Group) -> bool:
    """Whether an entry says that it follows NXcxi_ptycho."""
    return text(entry, "definition") == DEFINITION


def nexus_class(group: h5py.Group) -> str:
    """Its `NX_class`; empty where it has none."""
    stored = attribute(group, "NX_class")
    return "" if stored is None else as_text(stored)


def read_nexus(entry: h5py.Group) -> Hdf5Parts:
    """What an entry of a NeXus file holds.

    Raises:
        ScanError: an array of a wrong shape, an unknown unit, or a broken link.
    """
    nodes = list(walk(entry))
    detector = _detector(nodes)
    frames = _frames(nodes, detector)
    basis = detector_basis(detector)
    translation = _translation(nodes)
    moved = None if translation is None else beam_positions(translation, basis) * _unit(translation, _METRES, 1.0)
    object_ = object_array(_complex(nodes, ("object", "image_2/data")))
    return Hdf5Parts(
        source=entry.file.filename,
        layout=LAYOUT,
        frames=None if not frames else Frames(frames),
        bad_pixels=_bad_pixels(nodes, detector),
        positions_m=moved,
        probe=probe_array(_complex(nodes, ("illumination", "probe", "image_1/data"))),
        object_=object_,
        object_centre_m=None if object_ is None else (0.0, 0.0),
        geometry=Geometry(_energy(nodes), _distance(detector), _pixel(detector, basis)),
        metadata={name: value for name in ("title",) if (value := text(entry, name))},
        own=read_own(entry),
        wanted=_WANTED,
        found=listing(entry.file),
    )


def _of_class(nodes: Nodes, name: str) -> Iterator[h5py.Group]:
    return (item for _, item in nodes if isinstance(item, h5py.Group) and nexus_class(item) == name)


def _detector(nodes: Nodes) -> h5py.Group | None:
    """The NXdetector with frames, else the first one, else a group of that name."""
    detectors = list(_of_class(nodes, "NXdetector"))
    detectors += [item for path, item in nodes if isinstance(item, h5py.Group) and path.endswith("/detector")]
    with_frames = [group for group in detectors if _is_stack(find_dataset(group, "data"))]
    return next(iter([*with_frames, *detectors]), None)


def _frames(nodes: Nodes, detector: h5py.Group | None) -> list[h5py.Dataset]:
    """The frames of the detector, or of a data group: one dataset, or `data_000001` and so on."""
    groups = [] if detector is None else [detector]
    groups += _of_class(nodes, "NXdata")
    groups += [item for path, item in nodes if isinstance(item, h5py.Group) and path == "/data"]
    for group in groups:
        signal = attribute(group, "signal")
        names = ["data"] if signal is None or not isinstance(signal, str | bytes) else ["data", as_text(signal)]
        stack = find_dataset(group, *names)
        if _is_stack(stack):
            return [stack]
        parts = [find_dataset(group, name) for name in sorted(group) if re.fullmatch(r"data_\d+", name)]
        if parts and all(_is_stack(part) for part in parts):
            return [part for part in parts if part is not None]
    return []


def _is_stack(dataset: h5py.Dataset | None) -> bool:
    return dataset is not None and dataset.ndim >= 3 and dataset.dtype.kind in "uif"


def _translation(nodes: Nodes) -> h5py.Dataset | None:
    found = [item for path, item in nodes if isinstance(item, h5py.Dataset) and path.endswith("/translation")]
    return next(iter(found), None)


def _complex(nodes: Nodes, names: tuple[str, ...]) -> h5py.Dataset | None:
    for name in names:
        for path, item in nodes:
            if path.endswith(f"/{name}") and isinstance(item, h5py.Dataset) and item.dtype.kind == "c":
                return item
    return None


def _bad_pixels(nodes: Nodes, detector: h5py.Group | None) -> NDArray[np.bool_] | None:
    """A NeXus `pixel_mask`, any bit set = bad, else bit 0 of a CXI `mask`."""
    masks = [item for path, item in nodes if path.endswith("/pixel_mask") and isinstance(item, h5py.Dataset)]
    if masks:
        mask = array(masks[0])
        return mask.reshape(mask.shape[-2:] if mask.size == np.prod(mask.shape[-2:]) else mask.shape) != 0
    stored = None if detector is None else find_dataset(detector, "mask")
    return None if stored is None else (array(stored).astype(np.int64) & 1) != 0


def _energy(nodes: Nodes) -> float | None:
    """eV, from the beam or the monochromator; of a source only in joules, as CXI keeps it."""
    groups = [*_of_class(nodes, "NXbeam"), *_of_class(nodes, "NXmonochromator")]
    groups += [item for path, item in nodes if path.endswith("/beam") and isinstance(item, h5py.Group)]
    for group in groups:
        energy = find_dataset(group, "incident_energy", "incident_beam_energy", "energy")
        if energy is not None:
            return _in_eV(energy)
        wavelength = find_dataset(group, "incident_wavelength", "wavelength")
        if wavelength is not None:
            return energy_eV(_length(wavelength))
    for group in _of_class(nodes, "NXsource"):
        energy = find_dataset(group, "energy")
        if energy is not None and _value(energy) < _JOULES_BELOW:
            return _value(energy) / EV_J
    return None


def _in_eV(energy: h5py.Dataset) -> float:
    value = _value(energy)
    if attribute(energy, "units") is not None:
        return value * _unit(energy, _EV, 1.0)
    if _JOULES_BELOW <= value < _EV_ABOVE:
        raise ScanError(f"{place(energy)} is {value} without a unit; the rule is an attribute units (J, eV, keV)")
    return value / EV_J if value < _JOULES_BELOW else value


def _distance(detector: h5py.Group | None) -> float | None:
    stored = None if detector is None else find_dataset(detector, "distance", "detector_distance")
    return None if stored is None else abs(_length(stored))


def _pixel(detector: h5py.Group | None, basis: NDArray[np.float64]) -> PixelSize | None:
    if detector is None or find_dataset(detector, "basis_vectors") is not None:
        return detector_pixel(detector, basis)
    y, x = find_dataset(detector, "y_pixel_size"), find_dataset(detector, "x_pixel_size")
    y, x = (x if y is None else y), (y if x is None else x)
    return None if y is None or x is None else (_length(y), _length(x))


def _length(dataset: h5py.Dataset) -> float:
    """Metres."""
    value = _value(dataset) * _unit(dataset, _METRES, 1.0)
    if value == 0:
        raise ScanError(f"{place(dataset)} is 0; the rule is a length, correct it")
    return value


def _value(dataset: h5py.Dataset) -> float:
    return finite_number(dataset[()], place(dataset))


def _unit(dataset: h5py.Dataset, known: dict[str, float], default: float) -> float:
    stored = attribute(dataset, "units")
    if stored is None:
        return default
    unit = as_text(stored).strip()
    if unit.lower() not in known:
        raise ScanError(f"{place(dataset)} has the unit {unit!r}; known are {', '.join(sorted(known))}")
    return known[unit.lower()]
