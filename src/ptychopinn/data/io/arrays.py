"""Patterns and positions in files of their own: NPY, TIFF, HDF5 stacks, lists of frames, CSV."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.adjust import LENGTHS_M
from ptychopinn.data.io.door import check_regular_file, read_npy
from ptychopinn.data.io.source_file import container_of
from ptychopinn.errors import ConfigError, ScanError

LIST_SUFFIXES = (".txt", ".lst")
"""Of text files with the path of one frame in each line."""
PATTERN_SUFFIXES = (".npy", ".tif", ".tiff", *LIST_SUFFIXES, ".h5", ".hdf5", ".mat")
"""Of files that `read_patterns` reads, beside folders."""
PX = "px"
"""Unit of positions in object pixels."""
_TIFF = (".tif", ".tiff")


def read_patterns(path: str | Path) -> NDArray[Any]:
    """Patterns (N, H, W) from an array, a stack, or one file for each frame.

    Args:
        path: NPY of three axes; a TIFF stack; HDF5 with one data set of patterns, or `frame_1`, `frame_2` and so on; a
            folder of NPY or TIFF frames, which are taken in natural order (frame 2
            before frame 10); or a text file with the path of one frame in each line, relative to the text file.

    Raises:
        ScanError: no such file, damaged, frames of different sizes, or another number of axes.
    """
    path = Path(path)
    if path.is_dir():
        return _stacked(frames_in(path), path)
    if path.suffix.lower() in LIST_SUFFIXES:
        return _stacked(frames_listed(path), path)
    if container_of(path) == "hdf5":
        from ptychopinn.data.io.hdf5_stack import read_stack

        return read_stack(path)
    return _three_axes(_one_file(path), path)


def frames_in(folder: Path) -> list[Path]:
    """The NPY and TIFF files of a folder in natural order, without tables of positions."""
    return sorted((one for one in folder.iterdir() if _is_frame(one) and "positions" not in one.stem), key=_natural)


def frames_listed(path: Path) -> list[Path]:
    """The paths in a text file, one in each line, relative to its folder; lines that begin with # are left out.

    Raises:
        ScanError: no text.
    """
    lines = [line.strip() for line in _text(path).splitlines()]
    return [path.parent / line for line in lines if line and not line.startswith("#")]


def read_positions(path: str | Path, unit: str = "auto") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(x_m, y_m), each (N,), from a table with commas, semicolons, tabs or spaces, or an NPY array (N, 2).

    A header names the columns, with their unit in brackets or after an underscore, as in `x_um,y_um` or `x [mm]`.
    Without
    one the first two columns are x and y. An NPY array holds x in its first column and y in its second.

    Args:
        path: of the table.
        unit: m, mm, um or nm, where the header states none; `auto` refuses such a table.

    Raises:
        ScanError: no such file, no columns x and y, a cell that is no number, or no unit.
    """
    path = Path(path)
    x, y = read_table(path)
    return x[0] * _metres(x[1], unit, path), y[0] * _metres(y[1], unit, path)


def read_table(path: Path) -> tuple[tuple[NDArray[np.float64], str], tuple[NDArray[np.float64], str]]:
    """The columns x and y, each with the unit that the header states (m, mm, um, nm, px), empty without one.

    Raises:
        ScanError: no such file, no columns x and y, or a cell that is no number.
    """
    if path.suffix.lower() == ".npy":
        values, names = _one_file(path), ["x", "y"]
        if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "uif":
            raise ScanError(f"{path}: positions must be real numbers (N, 2), got {values.dtype} {values.shape}")
    else:
        names, values = _table(path)
    found = [_column(names, axis, path) for axis in ("x", "y")]
    x, y = ((values[:, index].astype(np.float64), unit) for index, unit in found)
    return x, y


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in (".npy", *_TIFF) and path.is_file()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _stacked(files: Sequence[Path], path: Path) -> NDArray[Any]:
    if not files:
        raise ScanError(f"{path}: must hold NPY or TIFF frames, got none; give the patterns as one array or stack")
    frames = [_one_file(one) for one in files]
    frames = [frame[0] if frame.ndim == 3 and len(frame) == 1 else frame for frame in frames]
    for one, frame in zip(files, frames, strict=True):
        if frame.ndim != 2 or frame.shape != frames[0].shape:
            raise ScanError(
                f"{one}: each frame must be {frames[0].shape}, as the first one, got {frame.shape}; leave it out, or "
                "give a stack of all frames instead"
            )
    return np.stack(frames)


def _one_file(path: Path) -> NDArray[Any]:
    try:
        check_regular_file(path, "give the path of an array")
        if path.suffix.lower() in _TIFF:
            return np.asarray(_tiff(path))
        return read_npy(path)
    except ScanError:
        raise
    except (ValueError, OSError, EOFError, TypeError, MemoryError) as error:
        detail = " ".join(str(error).split())
        raise ScanError(f"{path}: cannot be read as an array ({detail}); give an NPY or TIFF file") from error


def _tiff(path: Path) -> Any:
    try:
        import tifffile
    except ImportError:
        raise ConfigError(
            f"{path}: TIFF files need the package tifffile; install it with: pip install tifffile"
        ) from None
    try:
        return tifffile.imread(path)
    except tifffile.TiffFileError as error:
        raise ScanError(f"{path}: cannot be read as TIFF ({error}); export it again") from error


def _three_axes(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.ndim != 3:
        raise ScanError(f"{path}: the patterns must be (N, H, W), got {values.shape}; reshape them")
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file; give the path of a table") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScanError(f"{path}: cannot be read as text ({error}); save it as CSV in UTF-8") from None


def _table(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the columns (empty without a header) and their numbers."""
    lines = [line for line in _text(path).splitlines() if line.strip()]
    names: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        cells = _cells(line.lstrip("# \t"))
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if rows or names:
                raise ScanError(f"{path}: row {number} must hold numbers, got {line[:60]!r}; correct it") from None
            names = cells
    if not rows or min(map(len, rows)) < 2 or len({len(row) for row in rows}) > 1:
        raise ScanError(f"{path}: must hold rows of two numbers or more, x and y, got {len(rows)} rows; correct it")
    return names, np.array(rows)


def _cells(line: str) -> list[str]:
    separator = next((one for one in (",", ";", "\t") if one in line), None)
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _column(names: Sequence[str], axis: str, path: Path) -> tuple[int, str]:
    """Number of the column of an axis, and the unit that its name states."""
    if not names:
        return "xy".index(axis), ""
    for index, name in enumerate(names):
        words = re.findall(r"[a-zµμ]+", name.lower())
        if axis in words:
            units = [word.replace("µ", "u").replace("μ", "u") for word in words if word != axis]
            return index, next((unit for unit in units if unit in (*LENGTHS_M, PX)), "")
    raise ScanError(f"{path}: needs a column {axis}, got {', '.join(names)}; name the columns as in x_um,y_um")


def _metres(stated: str, unit: str, path: Path) -> float:
    known = stated or unit
    if known not in LENGTHS_M:
        raise ScanError(
            f"{path}: states no unit of the positions; name the columns as in x_um,y_um, or give --position-unit "
            "m, mm, um or nm"
        )
    return LENGTHS_M[known]
