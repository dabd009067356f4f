"""Which entry, detector, mask and positions of a file are read."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.api.scan_info import rows
from ptychopinn.cli.app import app
from ptychopinn.config import Recipe
from ptychopinn.data import read_scan
from ptychopinn.data.io.hdf5 import natural_order
from ptychopinn.errors import ScanError

DETECTOR = "entry_1/instrument_1/detector_1"


@pytest.fixture
def nexus(scan_of, tmp_path: Path):
    """Write a NeXus file with one entry for each name, then change it."""

    def write(change: Any = None, entries: tuple[str, ...] = ("entry",), patterns: Any = None) -> Path:
        scan = scan_of(object_guess=None)
        moved = np.zeros((len(scan), 3))
        moved[:, 1], moved[:, 0] = (scan.positions_px * scan.pixel_size_m * 1e6).T
        with h5py.File(tmp_path / "scan.nxs", "w") as file:
            for name in entries:
                for group, kind in (
                    (name, "NXentry"),
                    (f"{name}/instrument", "NXinstrument"),
                    (f"{name}/instrument/beam", "NXbeam"),
                    (f"{name}/instrument/detector", "NXdetector"),
                    (f"{name}/sample", "NXsample"),
                ):
                    file.require_group(group).attrs["NX_class"] = kind
                for key, value, unit in (
                    ("instrument/beam/incident_energy", 8.8, "keV"),
                    ("instrument/detector/distance", 1750.0, "mm"),
                    ("instrument/detector/x_pixel_size", 75.0, "um"),
                    ("sample/translation", moved, "um"),
                ):
                    file[f"{name}/{key}"] = value
                    file[f"{name}/{key}"].attrs["units"] = unit
                file[f"{name}/instrument/detector/data"] = scan.patterns if patterns is None else patterns
                file[f"{name}/instrument/illumination"] = scan.probe
            if change is not None:
                change(file)
        return tmp_path / "scan.nxs"

    return write


def classed(file: h5py.File, path: str, kind: str) -> h5py.Group:
    group = file.require_group(path)
    group.attrs["NX_class"] = kind
    return group


def check_same(found, scan) -> None:
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)


def test_names_are_in_the_order_of_their_numbers() -> None:
    names = [f"data_{number}" for number in (10, 2, 1, 12, 9)]
    assert sorted(names, key=natural_order) == ["data_1", "data_2", "data_9", "data_10", "data_12"]


@pytest.fixture
def two_entries(scan_of, cxi_of, write_hdf5) -> Path:
    """`entry_2` is complete, `entry_1` holds other patterns only, `entry_10` is empty."""
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    second = {path.replace("entry_1", "entry_2"): value for path, value in parts.items()}
    first = {f"{DETECTOR}/data": scan.patterns[::-1], "entry_10/title": "empty"}
    return write_hdf5(second | first, "scan.cxi")


def test_the_complete_entry_of_a_cxi_file_is_read_and_all_are_named(two_entries, scan_of, caplog) -> None:
    found = read_scan(two_entries)
    check_same(found, scan_of(object_guess=None))
    note = "entry entry_2 is read; entry_1 holds patterns too, choose by --entry (data.entry)"
    assert note in found.notes
    assert caplog.text.count(note) == 1
    assert (found.metadata["entry"], found.metadata["entries"]) == ("entry_2", ["entry_1", "entry_2", "entry_10"])
    shown = dict(rows(ptychopinn.info(two_entries)))
    assert shown["entry"] == "entry_2; also in the file: entry_1, entry_10"


@pytest.mark.parametrize("default", ["entry_1", "/entry_1", "/entry_1/data_1", "entry_1/instrument_1"])
def test_the_default_of_a_cxi_file_decides(two_entries, default: str) -> None:
    """It may be the path of a group below the entry."""
    with h5py.File(two_entries, "a") as file:
        file.attrs["default"] = default
    with pytest.raises(ScanError, match="holds no positions"):
        read_scan(two_entries)


def test_an_entry_that_the_user_names_wins(two_entries) -> None:
    with pytest.raises(ScanError, match="holds no positions"):
        read_scan(two_entries, entry="entry_1")
    with pytest.raises(ScanError, match=r"--entry \(data\.entry\) must be one of entry_1, entry_2, entry_10, got 'x'"):
        read_scan(two_entries, entry="x")


def test_the_command_line_takes_names_as_they_are(nexus, tmp_path, caplog) -> None:
    """2.10 is no number."""

    def change(file: h5py.File) -> None:
        file["2.1/instrument/detector/data"][...] = 7

    path = nexus(change, ("2.1", "2.10"))
    done = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out.npz"), "--entry", "2.10"])
    assert done.exit_code == 0, done.output
    assert read_scan(tmp_path / "out.npz").patterns.max() > 7
    assert Recipe().with_overrides(["data.entry=2.1"]).data.entry == "2.1"
    assert Recipe().with_overrides([f"data.entry={json.dumps('2.10')}"]).data.entry == "2.10"


def test_convert_with_an_option_says_nothing_of_the_choice(two_entries, scan_of, tmp_path, caplog) -> None:
    ptychopinn.convert(two_entries, tmp_path / "out.npz", overrides=["data.entry=entry_2"])
    np.testing.assert_array_equal(read_scan(tmp_path / "out.npz").patterns, scan_of().patterns)
    assert "is read;" not in caplog.text


def test_convert_takes_an_energy_for_an_impossible_one(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    path = write_hdf5(cxi_of(scan_of()) | {"entry_1/instrument_1/source_1/energy": 8800.0})
    done = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out.npz"), "--energy-ev", "8800"])
    assert done.exit_code == 0, done.output
    assert read_scan(tmp_path / "out.npz").geometry.energy_eV == 8800


def test_patterns_that_belong_to_no_detector_are_named(scan_of, cxi_of, write_hdf5, caplog) -> None:
    scan = scan_of(object_guess=None)
    others = {"entry_1/data_2/data": scan.patterns[::-1], "entry_1/data_3/other": np.ones((3, 4, 4))}
    check_same(read_scan(write_hdf5(cxi_of(scan) | {"entry_1/data_1/data": scan.patterns} | others)), scan)
    assert "/entry_1/data_2 holds patterns too, which are not read" in caplog.text


def test_a_file_with_entry_2_only(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None)
    parts = {path.replace("entry_1", "entry_2"): value for path, value in cxi_of(scan).items()}
    found = read_scan(write_hdf5(parts))
    check_same(found, scan)
    assert "entries" not in found.metadata


def test_two_detectors_of_a_cxi_file(scan_of, cxi_of, write_hdf5, caplog) -> None:
    """Patterns, mask, dark image and geometry come from one detector; `data_1` links to the first one."""
    scan, other = scan_of(object_guess=None), "entry_1/instrument_1/detector_2"
    masks = np.zeros((2, 16, 16), np.uint8)
    masks[0, 3], masks[1, 5] = 1, 1
    parts = cxi_of(scan) | {
        f"{DETECTOR}/mask": masks[0],
        f"{other}/data": scan.patterns[::-1] + 1,
        f"{other}/mask": masks[1],
        f"{other}/distance": 3.5,
        f"{other}/x_pixel_size": 150e-6,
        "entry_1/data_1/data": h5py.SoftLink(f"/{DETECTOR}/data"),
        "entry_1/data_2/data": h5py.SoftLink(f"/{other}/data"),
    }
    path = write_hdf5(parts)
    found = read_scan(path)
    check_same(found, scan)
    np.testing.assert_array_equal(found.bad_pixels, masks[0] != 0)
    assert "detector detector_1 is read; detector_2 holds patterns too, choose by --detector" in caplog.text
    second = read_scan(path, detector="detector_2")
    np.testing.assert_array_equal(second.patterns, scan.patterns[::-1] + 1)
    np.testing.assert_array_equal(second.bad_pixels, masks[1] != 0)
    assert (second.geometry.distance_m, second.geometry.detector_pixel_m) == (3.5, (150e-6, 150e-6))
    assert second.metadata["detectors"] == ["detector_1", "detector_2"]


@pytest.mark.parametrize("default", ["2.1", "/2.1", None])
def test_the_default_of_a_nexus_file_decides(nexus, scan_of, caplog, default) -> None:
    def change(file: h5py.File) -> None:
        file["1.1/instrument/detector/data"][...] = 5
        if default is not None:
            file.attrs["default"] = default

    path = nexus(change, ("1.1", "2.1"))
    found = read_scan(path)
    if default is None:
        assert (found.patterns == 5).all()
        assert "entry 1.1 is read; 2.1 holds patterns too" in caplog.text
    else:
        check_same(found, scan_of(object_guess=None))
        assert "is read;" not in caplog.text
    check_same(read_scan(path, entry="2.1"), scan_of(object_guess=None))


def test_an_empty_entry_is_passed_over(nexus, scan_of) -> None:
    def change(file: h5py.File) -> None:
        del file["1.1/instrument"], file["1.1/sample"]
        file.attrs["default"] = "1.1"

    check_same(read_scan(nexus(change, ("1.1", "2.1"))), scan_of(object_guess=None))


def test_the_signal_of_the_default_data_decides(nexus, scan_of) -> None:
    """Also over a dataset `data` that is no signal."""
    scan = scan_of(object_guess=None)

    def change(file: h5py.File) -> None:
        file.move("entry/instrument/detector/data", "entry/instrument/detector/raw")
        group = classed(file, "entry/frames", "NXdata")
        group["data"], group["corrected"] = np.full(scan.patterns.shape, 3), scan.patterns
        group.attrs["signal"] = "corrected"
        other = classed(file, "entry/another", "NXdata")
        other["data"] = np.full(scan.patterns.shape, 4)
        file["entry"].attrs["default"] = "frames"

    check_same(read_scan(nexus(change)), scan)


def test_a_default_that_is_a_curve_does_not_hide_the_patterns(nexus, scan_of) -> None:
    def change(file: h5py.File) -> None:
        group = classed(file, "entry/plot", "NXdata")
        group["sum"] = np.arange(14.0)
        group.attrs["signal"] = "sum"
        file["entry"].attrs["default"] = "plot"

    check_same(read_scan(nexus(change)), scan_of(object_guess=None))


def test_the_mask_of_another_detector_is_not_used(nexus, scan_of) -> None:
    def change(file: h5py.File) -> None:
        camera = classed(file, "entry/instrument/camera", "NXdetector")
        camera["pixel_mask"] = np.eye(16, dtype=np.uint32)
        camera["translation"] = np.zeros((14, 3))
        camera["illumination"] = np.full((16, 16), 1j)
        camera["data_dark"] = np.full((16, 16), 7.0)

    found = read_scan(nexus(change))
    assert found.bad_pixels is None
    check_same(found, scan_of(object_guess=None))
    np.testing.assert_array_equal(found.probe, scan_of().probe)


def test_a_mask_beside_linked_patterns_is_theirs(nexus) -> None:
    def change(file: h5py.File) -> None:
        group = classed(file, "entry/data", "NXdata")
        group["frames"] = h5py.SoftLink("/entry/instrument/detector/data")
        group["mask"] = np.eye(16, dtype=np.uint8)

    np.testing.assert_array_equal(read_scan(nexus(change)).bad_pixels, np.eye(16, dtype=bool))


def test_the_detector_that_fits_the_positions_is_read(nexus, scan_of, caplog) -> None:
    """A fluorescence detector comes first in the alphabet and has three axes too."""

    def change(file: h5py.File) -> None:
        other = classed(file, "entry/instrument/afluo", "NXdetector")
        other["data"] = np.ones((3, 16, 16), np.uint16)
        other["distance"] = 1.0

    path = nexus(change)
    found = read_scan(path)
    check_same(found, scan_of(object_guess=None))
    assert found.metadata["detector"] == "instrument/detector"
    assert "instrument/afluo holds patterns too, choose by --detector" in caplog.text
    with pytest.raises(ScanError, match="object pixel is not known"):
        read_scan(path, detector="afluo")


def test_frames_of_many_parts_are_in_the_order_of_their_numbers(nexus, scan_of) -> None:
    scan = scan_of(object_guess=None)

    def change(file: h5py.File) -> None:
        del file["entry/instrument/detector/data"]
        group = classed(file, "entry/data", "NXdata")
        for number in range(14):
            group[f"data_{number + 1}"] = scan.patterns[number : number + 1]

    check_same(read_scan(nexus(change)), scan)


@pytest.mark.parametrize("link", ["soft", "hard"])
def test_what_has_two_names_is_found_under_each(nexus, scan_of, link: str) -> None:
    mask = np.eye(16, dtype=np.uint32)

    def change(file: h5py.File) -> None:
        file["entry/instrument/detector/pixel_mask"] = mask
        group = classed(file, "entry/data", "NXdata")
        for name, path in (
            ("a_mask", "entry/instrument/detector/pixel_mask"),
            ("a_place", "entry/sample/translation"),
            ("a_beam", "entry/instrument/illumination"),
            ("frames", "entry/instrument/detector/data"),
        ):
            group[name] = h5py.SoftLink(f"/{path}") if link == "soft" else file[path]
        file["entry/a_camera"] = (
            h5py.SoftLink("/entry/instrument/detector") if link == "soft" else file["entry/instrument"]
        )

    found = read_scan(nexus(change))
    check_same(found, scan_of(object_guess=None))
    np.testing.assert_array_equal(found.bad_pixels, mask != 0)
