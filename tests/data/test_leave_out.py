"""Frames that cannot be used are left out by one setting, and listed."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import Recipe, simulate
from ptychopinn.api.inputs import as_scan
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.leave_out import outlying, without_unusable
from ptychopinn.errors import ScanError

SMALL = ["simulation.object_size_px=96", "simulation.probe_size_px=32", "simulation.photons_per_pattern=1e5"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(overrides=SMALL).scan


@pytest.fixture
def saved(tmp_path, scan):
    """Write arrays as NPZ, some replaced."""

    def write(**change):
        y, x = scan.positions_px.T
        arrays = {"diff3d": scan.patterns, "xcoords": x, "ycoords": y, "probeGuess": scan.probe[0]} | change
        np.savez(tmp_path / "scan.npz", **arrays, _metadata='{"measurement_domain": "counts"}')
        return tmp_path / "scan.npz"

    return write


@pytest.mark.parametrize("far", [1500.0, 1e5, 1e9, -1e4])
def test_a_lost_encoder_value_is_left_out_and_named(saved, scan, far, caplog) -> None:
    caplog.set_level("INFO")
    x = scan.positions_px[:, 1].copy()
    x[7] = far
    read = read_scan(saved(xcoords=x))
    assert len(read) == len(scan) - 1
    np.testing.assert_array_equal(read.positions_px, np.delete(scan.positions_px, 7, axis=0))
    np.testing.assert_array_equal(read.patterns, np.delete(scan.patterns, 7, axis=0))
    assert "outlying: frame 7" in read.notes[0]
    assert "--drop-frames none" in read.notes[0]
    assert read.notes[0] in caplog.text


def test_outliers_are_kept_on_request_or_refused_where_no_image_fits(saved, scan) -> None:
    x = scan.positions_px[:, 1].copy()
    x[7] = 1500
    assert len(read_scan(saved(xcoords=x), drop_frames="none")) == len(scan)
    y = scan.positions_px[:, 0].copy()
    x[7] = y[7] = 1e5
    with pytest.raises(ScanError, match=r"positions must lie close.*1e\+05 x 1e\+05 px.*GB.*--drop-frames outlying"):
        read_scan(saved(xcoords=x, ycoords=y), drop_frames="none")


def test_several_lost_values_at_one_place_are_outlying_but_half_a_scan_is_not() -> None:
    grid = np.stack(np.meshgrid(5.0 * np.arange(10), 5.0 * np.arange(10)), axis=-1).reshape(-1, 2)
    lost = grid.copy()
    lost[[3, 50, 51]] = 4000
    assert np.flatnonzero(outlying(lost, 32)).tolist() == [3, 50, 51]
    apart = grid.copy()
    apart[50:] += 4000
    assert not outlying(apart, 32).any()
    assert not outlying(grid, 32).any()


def test_positions_in_another_unit_are_refused_with_the_size_of_the_image(saved, scan) -> None:
    y, x = 1e3 * scan.positions_px.T
    with pytest.raises(ScanError, match=r"positions must lie close enough .*--position-unit"):
        read_scan(saved(xcoords=x, ycoords=y))


def test_dark_frames_are_refused_with_the_setting_that_drops_them(saved, scan) -> None:
    dark = scan.patterns.copy()
    dark[4] = 0
    with pytest.raises(ScanError, match=r"no counts at all in 1 of .* \(index 4\).*--drop-frames dark"):
        read_scan(saved(diff3d=dark))
    read = read_scan(saved(diff3d=dark), drop_frames="dark")
    assert len(read) == len(scan) - 1
    assert read.notes == (f"1 of {len(scan)} frames are dropped as dark: frame 4.",)


def test_a_frame_with_a_hundredth_of_the_photons_is_dark(scan) -> None:
    weak = scan.patterns.copy()
    weak[[1, 9]] = weak[[1, 9]] // 100
    kept = without_unusable(replace(scan, patterns=weak), ("dark",))
    assert len(kept) == len(scan) - 2
    assert "frames 1, 9" in kept.notes[0]


def test_saturated_frames_are_left_out_but_not_for_a_pixel_that_always_is(scan) -> None:
    counts = scan.patterns.astype(np.uint32)
    counts[:, 3, 3] = 60000  # a hot pixel: it belongs into the mask
    counts[[2, 5], 10:13, 10:13] = 60000
    kept = without_unusable(replace(scan, patterns=counts), ("saturated",))
    assert "frames 2, 5" in kept.notes[0]
    assert len(kept) == len(scan) - 2


def test_duplicated_patterns_are_left_out_once(scan) -> None:
    index = np.r_[np.arange(len(scan)), 3, 8]
    kept = without_unusable(scan.select(index), ("duplicated",))
    np.testing.assert_array_equal(kept.patterns, scan.patterns)
    np.testing.assert_array_equal(kept.positions_px, scan.positions_px)


def test_frames_without_a_position_are_left_out_on_request(saved, scan) -> None:
    y, x = scan.positions_px[:-2].T
    with pytest.raises(ScanError):
        read_scan(saved(xcoords=x, ycoords=y))
    read = read_scan(saved(xcoords=x, ycoords=y), drop_frames="unpaired")
    np.testing.assert_array_equal(read.patterns, scan.patterns[:-2])
    x = scan.positions_px[:, 1].copy()
    x[6] = np.nan
    read = read_scan(saved(xcoords=x), drop_frames="unpaired")
    np.testing.assert_array_equal(read.positions_px, np.delete(scan.positions_px, 6, axis=0))


def test_the_same_holds_for_hdf5_files(tmp_path, scan) -> None:
    moved = scan.positions_px.copy()
    moved[11] = -3e6
    path = write_scan(replace(scan, positions_px=moved, object_guess=None), tmp_path / "scan.cxi")
    read = read_scan(path)
    assert len(read) == len(scan) - 1
    assert "frame 11" in read.notes[0]


def test_a_scan_in_memory_is_treated_like_a_file(scan) -> None:
    moved = scan.positions_px.copy()
    moved[3] = 2000
    given = Scan.create(scan.patterns, moved, scan.probe, domain="counts")
    assert len(as_scan(given, Recipe())) == len(scan) - 1
    assert len(as_scan(given, Recipe().with_overrides(["data.drop_frames=none"]))) == len(scan)


def test_no_frame_left_is_an_error(scan) -> None:
    dark = replace(scan, patterns=np.zeros_like(scan.patterns))
    with pytest.raises(ScanError, match=r"all .* frames are dark"):
        without_unusable(dark, ("dark",))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Exception, match="drop_frames"):
        Recipe().with_overrides(["data.drop_frames=dim"])
