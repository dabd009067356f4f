"""Positions with a dataset for each axis, in NeXus and CXI files without a dataset `translation`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.config import DataConfig
from ptychopinn.data import read_scan
from ptychopinn.errors import ScanError

DETECTOR = "scan_7/beamline/camera"
STORED = "scan_7/thing/geometry/translation"
UM = {"units": "um"}
WriteAxes = Callable[..., Path]


@pytest.fixture
def write(scan_of, nexus_of, write_hdf5) -> WriteAxes:
    """Write a NeXus file with x and y of the sample, um, under other names.

    Args of what it returns: a function of (x, y), each (N,), that gives datasets; attributes of them; classes.
    """

    def write_file(
        datasets: Callable[[Any, Any], dict[str, Any]], attributes: Any = None, raster: bool = False
    ) -> Path:
        parts, told = nexus_of(scan_of(object_guess=None))
        told = {place: values for place, values in told.items() if place != STORED}
        x, y = parts.pop(STORED)[:, :2].T
        if raster:
            x, y = np.arange(7) * 2.0, np.arange(2) * 3.0
            parts[f"{DETECTOR}/data"] = parts[f"{DETECTOR}/data"].reshape(2, 7, 16, 16)
        return write_hdf5(parts | datasets(x, y), "scan.nxs", told | (attributes or {}))

    return write_file


def moved_um(path: Path, **options: Any) -> np.ndarray:
    """(N, 2), (y, x): positions that were read, um, from the first one on."""
    scan = read_scan(path, **options)
    return (scan.positions_px - scan.positions_px[0]) * scan.pixel_size_m * 1e6


@pytest.fixture
def expected(scan_of) -> np.ndarray:
    """(N, 2), (y, x), um, from the first position on."""
    scan = scan_of(object_guess=None)
    return (scan.positions_px - scan.positions_px[0]) * scan.pixel_size_m * 1e6


NAMES = [
    ("scan_7/data/x", "scan_7/data/y"),
    ("scan_7/data/x_translation", "scan_7/data/y_translation"),
    ("scan_7/data/SampleX_value", "scan_7/data/SampleY_value"),
    ("scan_7/thing/samx", "scan_7/thing/samy"),
    ("scan_7/thing/positioner_x/value", "scan_7/thing/positioner_y/value"),
    ("scan_7/beamline/lab_sxy/lab_sx", "scan_7/beamline/lab_sxy/lab_sy"),
    ("scan_7/beamline/x_stage/x_readback", "scan_7/beamline/y_stage/y_readback"),
    ("scan_7/beamline/piezo_horizontal", "scan_7/beamline/piezo_vertical"),
    ("scan_7/posx", "scan_7/posy"),
]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("unit", ["um", "mm", ""])
def test_names_that_differ_by_x_and_y(names: tuple[str, str], unit: str, write: WriteAxes, expected) -> None:
    factor = {"um": 1.0, "mm": 1e-3, "": 1e-6}[unit]
    attributes = {name: {"units": unit} for name in names} if unit else {}
    path = write(lambda x, y: {names[0]: x * factor, names[1]: y * factor}, attributes)
    np.testing.assert_allclose(moved_um(path), expected, atol=1e-6)


def test_a_note_says_where_positions_were_read(write: WriteAxes) -> None:
    path = write(lambda x, y: {"scan_7/data/x": x, "scan_7/data/y": y}, {"scan_7/data/x": UM, "scan_7/data/y": UM})
    notes = read_scan(path).notes
    assert any("positions are those of /scan_7/data/x and /scan_7/data/y" in note for note in notes)


def test_units_may_differ_between_axes(write: WriteAxes, expected) -> None:
    path = write(
        lambda x, y: {"scan_7/data/x": x, "scan_7/data/y": y * 1e3},
        {"scan_7/data/x": UM, "scan_7/data/y": {"units": "nanometers"}},
    )
    np.testing.assert_allclose(moved_um(path), expected, atol=1e-6)


def test_an_unstated_unit_is_given_by_an_option(write: WriteAxes, expected) -> None:
    path = write(lambda x, y: {"scan_7/data/x": x, "scan_7/data/y": y})
    np.testing.assert_allclose(moved_um(path, position_unit="um"), expected, atol=1e-6)
    with pytest.raises(ScanError, match=r"extends over .* or give --position-unit or --position-scale"):
        read_scan(write(lambda x, y: {"scan_7/data/x": x * 1e3, "scan_7/data/y": y * 1e3}))


def test_transformations_of_the_sample_go_along_their_vectors(write: WriteAxes, expected) -> None:
    """One of them points against x, another one along the beam; the positions of the detector are others."""
    place = "scan_7/thing/transformations"

    def along(*vector: float) -> dict[str, Any]:
        return {"transformation_type": "translation", "vector": vector, "units": "um"}

    path = write(
        lambda x, y: {f"{place}/a": -x, f"{place}/b": y, f"{place}/c": 5 * y, "scan_7/data/x": y, "scan_7/data/y": x},
        {f"{place}/a": along(-1.0, 0, 0), f"{place}/b": along(0, 1.0, 0), f"{place}/c": along(0, 0, 1.0)},
    )
    np.testing.assert_allclose(moved_um(path), expected, atol=1e-6)


@pytest.mark.parametrize("more", [{}, {"axes": ["y", "x", ".", "."]}, {"axes": "y:x"}])
def test_axes_of_a_raster(more: dict[str, Any], write: WriteAxes) -> None:
    path = write(
        lambda x, y: {"scan_7/data/x": x, "scan_7/data/y": y},
        {"scan_7/data/x": UM, "scan_7/data/y": UM, "scan_7/data": more},
        raster=True,
    )
    rows, columns = np.divmod(np.arange(14), 7)
    np.testing.assert_allclose(moved_um(path), np.stack([rows * 3.0, columns * 2.0], axis=1), atol=1e-9)


@pytest.mark.parametrize(("axes", "slow"), [(["y", "x", ".", "."], "y"), (["x", "y"], "x")])
def test_axes_of_a_square_raster_follow_the_attribute(
    scan_of, nexus_of, write_hdf5, axes: list[str], slow: str
) -> None:
    parts, told = nexus_of(scan_of(object_guess=None))
    del parts[STORED], told[STORED]
    parts[f"{DETECTOR}/data"] = parts[f"{DETECTOR}/data"][:9].reshape(3, 3, 16, 16)
    parts |= {"scan_7/data/x": np.arange(3) * 2.0, "scan_7/data/y": np.arange(3) * 5.0}
    path = write_hdf5(parts, "scan.nxs", told | {"scan_7/data/x": UM, "scan_7/data/y": UM})
    with pytest.raises(ScanError, match="holds no positions"):  # which of the two is the slow one is not known
        read_scan(path)
    with h5py.File(path, "a") as file:
        file["scan_7/data"].attrs["axes"] = axes
    first, second = np.divmod(np.arange(9), 3)
    y, x = (first, second) if slow == "y" else (second, first)
    np.testing.assert_allclose(moved_um(path), np.stack([y * 5.0, x * 2.0], axis=1), atol=1e-9)


def test_the_sample_comes_before_other_motors(write: WriteAxes, expected) -> None:
    path = write(
        lambda x, y: {
            "scan_7/beamline/optics_x": y,
            "scan_7/beamline/optics_y": x,
            "scan_7/thing/x": x,
            "scan_7/thing/y": y,
        },
        {
            name: UM
            for name in ("scan_7/beamline/optics_x", "scan_7/beamline/optics_y", "scan_7/thing/x", "scan_7/thing/y")
        },
    )
    np.testing.assert_allclose(moved_um(path), expected, atol=1e-6)


def test_what_a_stage_reached_comes_before_where_it_was_sent(write: WriteAxes, expected) -> None:
    def datasets(x: Any, y: Any) -> dict[str, Any]:
        sent = {"scan_7/data/sam_x_set": np.round(x), "scan_7/data/sam_y_set": np.round(y)}
        return sent | {"scan_7/data/sam_x": x, "scan_7/data/sam_y": y}

    names = [f"scan_7/data/sam_{axis}{end}" for axis in "xy" for end in ("", "_set")]
    np.testing.assert_allclose(moved_um(write(datasets, dict.fromkeys(names, UM))), expected, atol=1e-6)


def test_several_pairs_that_differ_are_chosen_by_an_option(write: WriteAxes, expected) -> None:
    def datasets(x: Any, y: Any) -> dict[str, Any]:
        return {"scan_7/beamline/a_x": y, "scan_7/beamline/a_y": x, "scan_7/beamline/b_x": x, "scan_7/beamline/b_y": y}

    path = write(datasets, {f"scan_7/beamline/{one}_{axis}": UM for one in "ab" for axis in "xy"})
    with pytest.raises(ScanError, match=r"a_x and .*a_y, or of .*b_x and .*b_y; choose by --position-names"):
        read_scan(path)
    for names in ("beamline/b_x,beamline/b_y", "b_x, b_y", "/scan_7/beamline/b_x,/scan_7/beamline/b_y"):
        np.testing.assert_allclose(moved_um(path, position_names=names), expected, atol=1e-6)
    with pytest.raises(ScanError, match=r"must name datasets, got 'c_x'; lists of numbers in /scan_7 are .*a_x"):
        read_scan(path, position_names="c_x,b_y")


def test_the_option_names_motors_of_any_name_and_wins(write: WriteAxes, expected) -> None:
    place = "scan_7/beamline"
    path = write(
        lambda x, y: {f"{place}/m7/value": x, f"{place}/fast": y, STORED: np.stack([y, x, x], axis=1)},
        {f"{place}/m7/value": UM, f"{place}/fast": UM, STORED: UM},
    )
    np.testing.assert_allclose(moved_um(path, position_names="beamline/m7,fast"), expected, atol=1e-6)


@pytest.mark.parametrize("names", [("theta_x", "theta_y"), ("bpm_x", "bpm_y"), ("x_pixel", "y_pixel")])
def test_what_is_no_position_is_not_read(names: tuple[str, str], write: WriteAxes) -> None:
    with pytest.raises(ScanError, match="holds no positions"):
        read_scan(write(lambda x, y: {f"scan_7/beamline/{names[0]}": x, f"scan_7/beamline/{names[1]}": y}))


@pytest.mark.parametrize("unit", ["deg", "V", "counts"])
def test_other_units_are_no_positions(unit: str, write: WriteAxes) -> None:
    names = ("scan_7/data/x", "scan_7/data/y")
    path = write(lambda x, y: dict(zip(names, (x, y), strict=True)), {name: {"units": unit} for name in names})
    with pytest.raises(ScanError, match="name two datasets by --position-names"):
        read_scan(path)


def test_more_positions_than_patterns_need_the_option_that_leaves_them_out(write: WriteAxes, expected) -> None:
    names = ("scan_7/data/x", "scan_7/data/y")
    path = write(
        lambda x, y: {names[0]: np.append(x, [1.0, 2.0]), names[1]: np.append(y, [3.0, 4.0])}, dict.fromkeys(names, UM)
    )
    with pytest.raises(ScanError, match="holds no positions"):
        read_scan(path)
    np.testing.assert_allclose(moved_um(path, drop_frames=("unpaired",)), expected, atol=1e-6)


def test_cxi(scan_of, cxi_of, write_hdf5, expected) -> None:
    parts = cxi_of(scan_of(object_guess=None))
    x, y = parts.pop("entry_1/sample_1/geometry_1/translation")[:, :2].T
    found = moved_um(write_hdf5(parts | {"entry_1/data_1/x_translation": x, "entry_1/data_1/y_translation": y}))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("names", ["x", "x,", "x,y,z"])
def test_the_option_is_two_names(names: str) -> None:
    with pytest.raises(ValueError, match="must be two names with a comma"):
        DataConfig(position_names=names)
