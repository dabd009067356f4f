"""cdtools 0.3.2 (tools/data/data.py): what it writes is read, and it reads what we write; both mean the same places."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data import Scan, read_scan, write_scan

from .conftest import DISTANCE_M, ENERGY_J, PIXEL_M, object_pixel_m


def as_cdtools_writes(path: Path, scan: Scan, mask: np.ndarray) -> Path:
    """`Ptycho2DDataset.to_cxi`: float32 numbers without units, energy and wavelength, soft links, an inverted mask."""
    probe_at = np.zeros((len(scan), 3), np.float32)
    probe_at[:, 1], probe_at[:, 0] = (-(scan.positions_px - 25) * object_pixel_m(scan.pattern_size)).T
    basis = np.array([[0, -PIXEL_M, 0], [-PIXEL_M, 0, 0]]).T
    with h5py.File(path, "w") as file:
        file.create_dataset("cxi_version", data=160)
        file.create_dataset("number_of_entries", data=1)
        entry = file.create_group("entry_1")
        entry["start_time"] = np.bytes_("2026-01-01T00:00:00")
        source = entry.create_group("instrument_1/source_1")
        source["wavelength"] = np.float32(1.9864459e-25 / ENERGY_J)
        source["energy"] = np.float32(ENERGY_J)
        detector = entry["instrument_1"].create_group("detector_1")
        detector["distance"] = np.float32(DISTANCE_M)
        detector["x_pixel_size"], detector["y_pixel_size"] = np.linalg.norm(basis[:, 1]), np.linalg.norm(basis[:, 0])
        detector.create_dataset("basis_vectors", data=basis)
        detector.create_dataset("mask", data=np.where(mask, 0, 1).astype(np.uint32))
        detector.create_dataset("data", data=scan.patterns, compression="gzip", chunks=True)
        detector["data"].attrs["axes"] = np.bytes_("translation:y:x")
        entry.create_group("data_1")["data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        entry.create_group("sample_1/geometry_1").create_dataset("translation", data=-probe_at)
        for group in (entry["data_1"], detector):
            group["translation"] = h5py.SoftLink("/entry_1/sample_1/geometry_1/translation")
    return path


@pytest.fixture
def scan(scan_of) -> Scan:
    return replace(scan_of(), object_guess=None)


def test_what_cdtools_writes_is_read(scan, tmp_path) -> None:
    good = ~np.eye(scan.pattern_size, k=2, dtype=bool)
    found = read_scan(as_cdtools_writes(tmp_path / "theirs.cxi", scan, good))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.bad_pixels, ~good)
    assert np.ptp(found.positions_px - scan.positions_px, axis=0).max() < 1e-5
    assert found.pixel_size_m == pytest.approx(object_pixel_m(scan.pattern_size), rel=1e-5)


@pytest.mark.optional("cdtools")
def test_cdtools_reads_and_writes_the_same(scan, tmp_path) -> None:
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import FancyPtycho
    from cdtools.tools.interactions import translations_to_pixel

    bad = np.eye(scan.pattern_size, k=2, dtype=bool)
    theirs = Ptycho2DDataset.from_cxi(str(write_scan(replace(scan, bad_pixels=bad), tmp_path / "ours.cxi")))
    np.testing.assert_array_equal(theirs.patterns.numpy(), scan.patterns)
    np.testing.assert_array_equal(theirs.mask.numpy(), ~bad)
    model = FancyPtycho.from_dataset(theirs, probe_support_radius=8, dm_rank=None)
    pixels = translations_to_pixel(model.obj_basis, theirs.translations).numpy()
    assert np.ptp(pixels - scan.positions_px, axis=0).max() < 1e-5
    theirs.to_cxi(str(tmp_path / "theirs.cxi"))
    found = read_scan(tmp_path / "theirs.cxi")
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.bad_pixels, bad)
    assert np.ptp(found.positions_px - scan.positions_px, axis=0).max() < 1e-5
