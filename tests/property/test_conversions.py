"""Any sequence of conversions of NPZ, CXI, NeXus and files of ptychodus keeps counts, positions, mask and probe."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.io import load_diffraction_data, load_product, save_diffraction_data, save_product
from ptychodus.api.object import Object, ObjectCenter
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product, ProductMetadata

from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry

GEOMETRY = Geometry(8800.0, 1.9, 75e-6)


def drawn(seed: int, size: int, dtype: str, modes: int, masked: bool) -> Scan:
    """Counts around the centre at fractional positions, of known geometry."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size // 2
    beam = np.exp(-(x**2 + y**2) / size)
    patterns = rng.poisson(90 * beam, (int(rng.integers(5, 9)), size, size)).astype(dtype)
    patterns[:, size // 2, size // 2] += 1
    pixel = GEOMETRY.far_field_pixel_m(size)
    assert pixel is not None
    return Scan.create(
        patterns,
        rng.uniform(size, size + 30, (len(patterns), 2)),
        (beam * np.exp(1j * rng.normal(size=(modes, 1, 1)))).astype(np.complex64),
        domain="counts",
        bad_pixels=np.eye(size, k=3, dtype=bool) if masked else None,
        pixel_size_m=pixel[0],
        geometry=GEOMETRY,
    )


def write_nexus(scan: Scan, path: Path) -> Path:
    """NXcxi_ptycho as another program writes it; this package reads NeXus and does not write it."""
    classes = {
        "entry_1": "NXentry",
        "entry_1/instrument_1": "NXinstrument",
        "entry_1/instrument_1/beam_1": "NXbeam",
        "entry_1/instrument_1/detector_1": "NXdetector",
        "entry_1/sample_1": "NXsample",
        "entry_1/data_1": "NXdata",
    }
    centres = scan.positions_px - (scan.pattern_size // 2 - (scan.pattern_size - 1) / 2)
    moved = np.zeros((len(scan), 3))
    moved[:, 1], moved[:, 0] = (centres * scan.pixel_size_m).T
    with h5py.File(path, "w") as file:
        for name, kind in classes.items():
            file.require_group(name).attrs["NX_class"] = kind
        entry, detector = file["entry_1"], file["entry_1/instrument_1/detector_1"]
        entry["definition"] = "NXcxi_ptycho"
        numbers = {"distance": 1.9, "x_pixel_size": 75e-6, "y_pixel_size": 75e-6}
        for name, value in numbers.items():
            detector[name] = value
            detector[name].attrs["units"] = "m"
        energy = entry["instrument_1/beam_1"].create_dataset("energy", data=8.8)
        energy.attrs["units"] = "keV"
        detector["data"] = scan.patterns
        detector["translation"] = moved
        detector["translation"].attrs["units"] = "m"
        entry["data_1/data"] = detector["data"]
        entry["instrument_1/beam_1/illumination"] = scan.probe
        if scan.bad_pixels is not None:
            detector["pixel_mask"] = scan.bad_pixels.astype(np.uint32)
    return path


def write_pair(scan: Scan, folder: Path) -> Path:
    """Product and diffraction file of ptychodus, written, read and written again by its own code."""
    pixel = PixelGeometry(scan.pixel_size_m, scan.pixel_size_m)
    shape = tuple(np.ceil(scan.positions_px.max(axis=0) + scan.pattern_size).astype(int))
    half = scan.pattern_size // 2 - (scan.pattern_size - 1) / 2
    metres = (scan.positions_px - half - (np.array(shape) - 1) / 2) * scan.pixel_size_m
    points = [ProbePosition(n, float(x), float(y)) for n, (y, x) in enumerate(metres)]
    numbers = {"probe_photon_count": 0.0, "exposure_time_s": 0.0, "mass_attenuation_m2_per_kg": 0.0}
    facts = ProductMetadata(
        name="scan", comments="", detector_distance_m=1.9, photon_energy_eV=8800.0, tomography_angle_deg=0.0, **numbers
    )
    object_ = Object(np.ones((1, *shape), np.complex64), pixel, ObjectCenter(0.0, 0.0))
    probe = ProbeSequence(scan.probe[None].astype(np.complex64), None, pixel)
    save_product(folder / "first.h5", Product(facts, ProbePositionSequence(points), probe, object_, []))
    bad = np.zeros(scan.patterns.shape[1:], bool) if scan.bad_pixels is None else scan.bad_pixels
    frames = AssembledDiffractionData(np.arange(len(scan)), scan.patterns, PixelGeometry(75e-6, 75e-6), bad)
    save_diffraction_data(folder / "frames.h5", frames)
    save_product(folder / "product.h5", load_product(folder / "first.h5"))
    save_diffraction_data(folder / "diffraction.h5", load_diffraction_data(folder / "frames.h5"))
    return folder / "product.h5"


class Conversions(RuleBasedStateMachine):
    """One scan that is written in a format and read again, any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.count = 0

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        size=st.sampled_from([13, 14, 16]),
        dtype=st.sampled_from(["u2", "u4", "i4", "f4"]),
        modes=st.integers(1, 2),
        masked=st.booleans(),
    )
    def begin(self, **kinds: Any) -> None:
        self.scan = self.original = drawn(**kinds)

    def place(self) -> Path:
        self.count += 1
        path = Path(self.folder.name) / str(self.count)
        path.mkdir()
        return path

    @rule(suffix=st.sampled_from([".npz", ".cxi", ".h5"]))
    def through_ours(self, suffix: str) -> None:
        self.scan = read_scan(write_scan(self.scan, self.place() / f"scan{suffix}"), axis_order="auto")

    @rule()
    def through_nexus(self) -> None:
        self.scan = read_scan(write_nexus(self.scan, self.place() / "scan.nxs"))

    @rule()
    def through_ptychodus(self) -> None:
        self.scan = read_scan(write_pair(self.scan, self.place()))

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "scan"):
            return
        np.testing.assert_array_equal(self.scan.patterns, self.original.patterns)
        assert self.scan.domain == "counts"
        moved = self.scan.positions_px - self.original.positions_px
        assert np.ptp(moved, axis=0).max() < 1e-5  # a file without an object states no origin: one constant is free
        np.testing.assert_array_equal(self.scan.probe, self.original.probe)
        for mask in (self.scan.bad_pixels, self.original.bad_pixels):
            assert (mask is not None) == (self.original.bad_pixels is not None)
        if self.original.bad_pixels is not None:
            np.testing.assert_array_equal(self.scan.bad_pixels, self.original.bad_pixels)
        assert self.scan.pixel_size_m is not None
        assert abs(self.scan.pixel_size_m / self.original.pixel_size_m - 1) < 1e-6
        assert abs(self.scan.geometry.energy_eV / 8800 - 1) < 1e-9

    def teardown(self) -> None:
        self.folder.cleanup()


TestConversions = Conversions.TestCase
TestConversions.settings = settings(max_examples=15, stateful_step_count=6, deadline=None, derandomize=True)
