"""Scans from files of arrays, through `convert` and `Scan.from_metres`."""

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ptychopinn.cli import app
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.io.arrays import read_patterns
from ptychopinn.data.io.position_table import PositionTable
from ptychopinn.errors import PtychoPINNError, ScanError

N, ENERGY_EV, DISTANCE_M, PIXEL_M = 32, 8800.0, 1.9, 75e-6
OBJECT_PIXEL_M = 6.62607015e-34 * 299792458 / (ENERGY_EV * 1.602176634e-19) * DISTANCE_M / (N * PIXEL_M)
NUMBERS = ["--energy-kev", "8.8", "--distance-m", "1.9", "--detector-pixel-um", "75"]


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    y, x = np.indices((N, N)) - N // 2
    return np.random.default_rng(0).poisson(900 * np.exp(-(y**2 + x**2) / 40), (12, N, N)).astype(np.uint16)


@pytest.fixture(scope="module")
def steps_px() -> np.ndarray:
    """(12, 2), (y, x)."""
    return np.stack(np.meshgrid(5.5 * np.arange(3), 4.25 * np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.fixture
def folder(tmp_path: Path, counts, steps_px) -> Path:
    np.save(tmp_path / "patterns.npy", counts)
    y, x = (steps_px * OBJECT_PIXEL_M * 1e6).T
    rows = "\n".join(f"{a!r},{b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    (tmp_path / "positions.csv").write_text(f"x_um,y_um\n{rows}\n")
    probe = np.exp(-np.square(np.indices((N, N)) - N // 2).sum(axis=0) / 30) * 30 + 0j
    np.save(tmp_path / "probe.npy", probe)
    return tmp_path


def converted(folder: Path, source: str, *words: str) -> Scan:
    given = [str(folder / word) if (folder / word).exists() else word for word in words]
    done = CliRunner().invoke(app, ["convert", str(folder / source), str(folder / "scan.npz"), *given, *NUMBERS])
    assert done.exit_code == 0, done.output
    return read_scan(folder / "scan.npz")


def test_the_command_gives_what_from_metres_gives(folder, counts, steps_px) -> None:
    scan = converted(folder, "patterns.npy", "--positions", "positions.csv", "--probe", "probe.npy")
    y, x = (steps_px * OBJECT_PIXEL_M).T
    same = Scan.from_metres(counts, x, y, ENERGY_EV, DISTANCE_M, PIXEL_M, np.load(folder / "probe.npy"))
    for one in (scan, same):
        np.testing.assert_array_equal(one.patterns, counts)
        np.testing.assert_allclose(one.positions_px, steps_px + N // 2, atol=1e-6)
        assert one.pixel_size_m == pytest.approx(OBJECT_PIXEL_M, rel=1e-9)
        assert one.geometry.energy_eV == pytest.approx(ENERGY_EV)
        assert one.domain == "counts"
    np.testing.assert_array_equal(scan.probe, same.probe)


def test_the_positions_in_metres_survive_a_conversion_to_cxi(folder, counts, steps_px) -> None:
    import h5py

    from ptychopinn.data import write_scan

    y, x = (steps_px * OBJECT_PIXEL_M + 3e-6).T
    scan = Scan.from_metres(counts, x, y, ENERGY_EV, DISTANCE_M, PIXEL_M, np.load(folder / "probe.npy"))
    with h5py.File(write_scan(scan, folder / "scan.cxi")) as file:
        stored = file["entry_1/sample_1/geometry_1/translation"][()]
    assert np.abs(np.abs(stored[:, :2]) - np.stack([x, y], axis=1)).max() < 1e-3 * OBJECT_PIXEL_M


def test_stacks_folders_and_lists_of_frames_are_the_same_patterns(folder, counts) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(folder / "stack.tif", counts)
    frames = folder / "frames"
    frames.mkdir()
    for number, frame in enumerate(counts):  # frame_10 comes after frame_9
        tifffile.imwrite(frames / f"frame_{number}.tif", frame)
    (folder / "list.txt").write_text("# in order\n" + "\n".join(f"frames/frame_{i}.tif" for i in range(12)))
    for name in ("stack.tif", "frames", "list.txt", "patterns.npy"):
        np.testing.assert_array_equal(read_patterns(folder / name), counts, err_msg=name)
    scan = converted(folder, "stack.tif", "--positions", "positions.csv")
    np.testing.assert_array_equal(scan.patterns, counts)


@pytest.mark.parametrize(
    ("text", "unit", "x_m", "y_m"),
    [
        ("x_um,y_um\n1,2\n3,4\n", "auto", [1e-6, 3e-6], [2e-6, 4e-6]),
        ("y [mm]; x [mm]\n1; 2\n3; 4\n", "auto", [2e-3, 4e-3], [1e-3, 3e-3]),
        ("# x_nm y_nm\n1 2\n3 4\n", "auto", [1e-9, 3e-9], [2e-9, 4e-9]),
        ("1\t2\n3\t4\n", "um", [1e-6, 3e-6], [2e-6, 4e-6]),
        ("index,x,y\n0,1,2\n1,3,4\n", "m", [1.0, 3.0], [2.0, 4.0]),
        ("x (µm),y (µm)\n1,2\n3,4\n", "auto", [1e-6, 3e-6], [2e-6, 4e-6]),
        ("x (microns),y (microns)\n1,2\n3,4\n", "um", [1e-6, 3e-6], [2e-6, 4e-6]),
        ("stage_x_angstrom,stage_y_nm\n1,2\n3,4\n", "auto", [1e-10, 3e-10], [2e-9, 4e-9]),
        ("X [micrometer],Y [millimetres]\n1,2\n3,4\n", "auto", [1e-6, 3e-6], [2e-3, 4e-3]),
    ],
)
def test_tables_of_positions(tmp_path, text, unit, x_m, y_m) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    x, y = PositionTable.read(tmp_path / "p.csv").metres(unit)
    np.testing.assert_allclose(x, x_m)
    np.testing.assert_allclose(y, y_m)


def test_a_unit_in_the_header_and_another_one_by_the_user_are_refused(tmp_path) -> None:
    for header, unit in (
        ("x_px,y_px", "um"),
        ("x_um,y_um", "px"),
        ("x_um,y_um", "mm"),
        ("x [pixels],y [pixels]", "nm"),
    ):
        (tmp_path / "p.csv").write_text(f"{header}\n1,2\n3,4\n")
        stated = "px" if "p" in header else "um"
        with pytest.raises(ScanError, match=f"must be one, got {stated} in the header and --position-unit {unit}"):
            PositionTable.read(tmp_path / "p.csv").is_in_px(unit)
    (tmp_path / "p.csv").write_text("x_px,y_um\n1,2\n3,4\n")
    with pytest.raises(ScanError, match="got px for x and um for y"):
        PositionTable.read(tmp_path / "p.csv").is_in_px("auto")


def test_a_pipe_as_the_table_is_refused(tmp_path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(ScanError, match=r"p\.csv"):
        PositionTable.read(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y\n1,2\n", "states no unit.*--position-unit"),
        ("a_um,b_um\n1,2\n", "needs a column x, got a_um, b_um"),
        ("x_um,y_um\n1,2\n3,lost\n", "row 3 must hold numbers"),
        ("x_um,y_um\n1,2\n3\n", "rows of two numbers"),
        ("", "got 0 rows"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, words) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ScanError, match=words):
        PositionTable.read(tmp_path / "p.csv").metres()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy_eV": -1.0}, "energy_eV must be a positive"),
        ({"x_m": np.zeros(3)}, "same length, got 3 and 12"),
        ({"x_m": np.full(12, np.nan)}, "x_m must be a list of finite numbers"),
        ({"patterns": np.ones((12, N))}, r"patterns must be \(N, H, H\)"),
        ({"detector_pixel_m": (75e-6, 55e-6)}, "square pixels"),
        ({"x_m": 1e9 * np.arange(12.0)}, "positions must lie close enough"),
    ],
)
def test_from_metres_refuses(counts, steps_px, change, words) -> None:
    y, x = (steps_px * OBJECT_PIXEL_M).T
    given = {"patterns": counts, "x_m": x, "y_m": y, "energy_eV": ENERGY_EV, "distance_m": DISTANCE_M} | {
        "detector_pixel_m": PIXEL_M
    }
    with pytest.raises(ScanError, match=words):
        Scan.from_metres(**given | change)


def test_a_part_of_the_numbers_is_refused(folder) -> None:
    words = ["convert", str(folder / "patterns.npy"), str(folder / "s.npz"), "--energy-kev", "8.8"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "needs --positions" in " ".join(done.output.split())


def test_an_array_alone_names_the_command(folder) -> None:
    with pytest.raises(PtychoPINNError, match=r"ptychopinn convert patterns\.npy scan\.npz --positions FILE"):
        read_scan(folder / "patterns.npy")
