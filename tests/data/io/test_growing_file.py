"""Rows of an HDF5 file that a process is still writing are read once, and not before they are there."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data.io.growing_file import ROWS, GrowingFile
from ptychopinn.errors import ScanError


def made(path: Path, **more: np.ndarray) -> h5py.File:
    """Datasets without a row that can grow, in a file in SWMR mode."""
    file = h5py.File(path, "w", libver="latest")
    file.create_dataset("diffraction", (0, 4, 4), np.uint16, maxshape=(None, 4, 4), chunks=(8, 4, 4))
    for name in ("xcoords", "ycoords"):
        file.create_dataset(name, (0,), np.float64, maxshape=(None,), chunks=(8,), fillvalue=np.nan)
    for name in more:
        file.create_dataset(name, (0,), np.int64, maxshape=(None,), chunks=(8,))
    file.swmr_mode = True
    return file


def append(file: h5py.File, **arrays: np.ndarray) -> None:
    for name, values in arrays.items():
        source = file[name]
        source.resize(len(source) + len(values), axis=0)
        source[-len(values) :] = values
        source.flush()


def patterns(*values: int) -> np.ndarray:
    return np.array(values, np.uint16)[:, None, None] * np.ones((4, 4), np.uint16)


def seen(growing: GrowingFile, *, ended: bool = False) -> tuple[list[int], list[int]]:
    """Frame numbers of the patterns and of the positions that are new."""
    pieces = growing.new(ended=ended)
    with_patterns = [n for piece in pieces if piece.patterns is not None for n in piece.frames.tolist()]
    with_positions = [n for piece in pieces if piece.positions_px is not None for n in piece.frames.tolist()]
    return with_patterns, with_positions


def test_rows_are_read_once_as_they_come(tmp_path: Path) -> None:
    with made(tmp_path / "scan.h5") as file:
        growing = GrowingFile(tmp_path / "scan.h5")
        assert seen(growing) == ([], [])
        append(file, diffraction=patterns(1, 2, 3), xcoords=np.arange(2.0), ycoords=np.ones(1))
        assert seen(growing) == ([0, 1, 2], [0])
        append(file, diffraction=patterns(4), ycoords=np.ones(1))
        assert seen(growing) == ([3], [1])
        assert seen(growing) == ([], [])


def test_rows_far_ahead_of_the_writer_are_waited_for(tmp_path: Path) -> None:
    with made(tmp_path / "scan.h5") as file:
        growing = GrowingFile(tmp_path / "scan.h5")
        file["diffraction"].resize(4 * ROWS, axis=0)
        file["diffraction"][:3] = patterns(1, 2, 3)
        file["diffraction"].flush()
        assert seen(growing) == ([0, 1, 2], [])
        file["diffraction"][3:5] = patterns(4, 5)
        file["diffraction"].flush()
        assert seen(growing) == ([3, 4], [])


def test_rows_that_are_not_written_yet_are_waited_for(tmp_path: Path) -> None:
    with made(tmp_path / "scan.h5") as file:
        growing = GrowingFile(tmp_path / "scan.h5")
        file["diffraction"].resize(4, axis=0)
        file["diffraction"][:2] = patterns(5, 6)
        append(file, xcoords=np.array([1.0, np.nan, 2.0, np.nan]), ycoords=np.array([1.0, np.nan, 2.0, np.nan]))
        file["diffraction"].flush()
        assert seen(growing) == ([0, 1], [0, 2])
        file["diffraction"][3] = 7
        file["diffraction"].flush()
        assert seen(growing) == ([2, 3], [])
        append(file, diffraction=patterns(0))
        assert seen(growing) == ([], [])
        assert seen(growing, ended=True) == ([4], [])


def test_a_long_dark_time_stops_nothing(tmp_path: Path) -> None:
    with made(tmp_path / "scan.h5") as file:
        append(file, diffraction=patterns(*([0] * (ROWS + 10)), 1))
        assert len(seen(GrowingFile(tmp_path / "scan.h5"))[0]) == ROWS + 11


def test_frames_have_the_numbers_that_the_file_gives(tmp_path: Path) -> None:
    numbers = {"frames": np.array([9, 4, 9]), "position_frames": np.array([4, 9])}
    with made(tmp_path / "scan.h5", **numbers) as file:
        append(file, diffraction=patterns(1, 2, 3), frames=numbers["frames"])
        append(file, xcoords=np.ones(2), ycoords=np.ones(2), position_frames=numbers["position_frames"])
        pieces = GrowingFile(tmp_path / "scan.h5").new()
    assert [piece.frames.tolist() for piece in pieces] == [[9, 4], [9], [4, 9]]
    assert pieces[1].patterns is not None
    assert pieces[1].patterns[0, 0, 0] == 3


def test_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["counts"] = np.ones(3)
    with pytest.raises(ScanError, match="must hold diffraction"):
        GrowingFile(tmp_path / "other.h5").new()
    with h5py.File(tmp_path / "open.h5", "w"), pytest.raises(ScanError, match="open"):
        GrowingFile(tmp_path / "open.h5").new()
