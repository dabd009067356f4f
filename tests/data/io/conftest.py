"""Small scans with nothing symmetric about them, and HDF5 files made by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import Scan
from ptychopinn.data.geometry import Geometry

ENERGY_J = 1.4099154379199999e-15
"""8.8 keV."""
WAVELENGTH_M = 1.4089113458318212e-10
DISTANCE_M = 1.75
PIXEL_M = 75e-6


def object_pixel_m(size: int) -> float:
    """Far-field object pixel of the files below."""
    return WAVELENGTH_M * DISTANCE_M / (size * PIXEL_M)


def far_field_scan(size: int = 16, n: int = 14, **changes: Any) -> Scan:
    """Exact far-field counts of a random object, with positions that are no grid; keywords replace fields."""
    rng = np.random.default_rng(7)
    y, x = np.indices((size, size)) - size // 2
    probe = 30 * np.exp(-(x**2 + 0.5 * y**2) / size + 0.3j * x / size * 6)
    shape = (3 * size + 1, 2 * size + 3)
    object_ = rng.uniform(0.7, 1, shape) * np.exp(1j * rng.uniform(-0.5, 0.5, shape))
    low, high = size // 2 + 1, np.array(shape) - size + size // 2 - 1
    positions = rng.uniform(low, high, (n, 2))
    starts = np.rint(positions).astype(int) - size // 2
    patches = np.stack([object_[r : r + size, c : c + size] for r, c in starts])
    waves = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe * patches, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    fields: dict[str, Any] = {
        "patterns": rng.poisson(np.abs(waves) ** 2).astype(np.uint16),
        "positions_px": positions,
        "probe": probe,
        "domain": "counts",
        "object_guess": object_,
        "pixel_size_m": object_pixel_m(size),
        "geometry": Geometry(8800.0, DISTANCE_M, PIXEL_M),
        "metadata": {"note": "ä"},
    }
    return Scan.create(**(fields | changes))


@pytest.fixture
def scan_of() -> Callable[..., Scan]:
    """Builder of scans, see `far_field_scan`."""
    return far_field_scan


def cxi_parts(scan: Scan) -> dict[str, Any]:
    """The datasets of a plain CXI file of a scan, by path, as another program would write them."""
    size = scan.pattern_size
    moved = np.zeros((len(scan), 3))
    moved[:, 1], moved[:, 0] = ((scan.positions_px - 20.25) * object_pixel_m(size)).T
    detector, source = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"
    return {
        "cxi_version": 160,
        f"{detector}/data": scan.patterns,
        f"{detector}/distance": DISTANCE_M,
        f"{detector}/x_pixel_size": PIXEL_M,
        f"{detector}/y_pixel_size": PIXEL_M,
        f"{source}/energy": ENERGY_J,
        f"{source}/illumination": scan.probe[0],
        "entry_1/sample_1/geometry_1/translation": moved,
    }


@pytest.fixture
def cxi_of() -> Callable[[Scan], dict[str, Any]]:
    """Datasets of a CXI file, see `cxi_parts`."""
    return cxi_parts


CAMERA = "scan_7/beamline/camera"
NEXUS_CLASSES = {
    "scan_7": {"NX_class": "NXentry"},
    "scan_7/beamline": {"NX_class": "NXinstrument"},
    CAMERA: {"NX_class": "NXdetector"},
    "scan_7/beamline/light": {"NX_class": "NXbeam"},
    "scan_7/thing": {"NX_class": "NXsample"},
}
NEXUS_UNITS: dict[str, dict[str, Any]] = {
    f"{CAMERA}/distance": {"units": "mm"},
    f"{CAMERA}/x_pixel_size": {"units": "um"},
    f"{CAMERA}/y_pixel_size": {"units": b"micron"},
    "scan_7/beamline/light/incident_beam_energy": {"units": "keV"},
    "scan_7/thing/geometry/translation": {"units": "um"},
}


def nexus_parts(scan: Scan) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The datasets of a NeXus file of a scan, by path, and classes and units, by path."""
    parts = cxi_parts(scan)
    return {
        "scan_7/definition": "NXcxi_ptycho",
        "scan_7/title": "a star",
        f"{CAMERA}/data": parts["entry_1/instrument_1/detector_1/data"],
        f"{CAMERA}/distance": 1750.0,
        f"{CAMERA}/x_pixel_size": 75.0,
        f"{CAMERA}/y_pixel_size": 75.0,
        "scan_7/beamline/light/incident_beam_energy": 8.8,
        "scan_7/thing/geometry/translation": parts["entry_1/sample_1/geometry_1/translation"] * 1e6,
        "scan_7/beamline/light/illumination": parts["entry_1/instrument_1/source_1/illumination"],
    }, NEXUS_CLASSES | NEXUS_UNITS


@pytest.fixture
def nexus_of() -> Callable[[Scan], tuple[dict[str, Any], dict[str, dict[str, Any]]]]:
    """Datasets and attributes of a NeXus file, see `nexus_parts`."""
    return nexus_parts


@pytest.fixture
def write_hdf5(tmp_path: Path) -> Callable[..., Path]:
    """Write datasets by path; `attributes` are by path of the item."""

    def write(
        parts: dict[str, Any], name: str = "scan.h5", attributes: dict[str, dict[str, Any]] | None = None
    ) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for place, value in parts.items():
                if isinstance(value, h5py.SoftLink | h5py.ExternalLink):
                    file[place] = value
                elif value is not None:
                    file.create_dataset(place, data=value)
            for place, values in (attributes or {}).items():
                file.require_group(place) if place not in file else None
                file[place].attrs.update(values)
        return path

    return write
