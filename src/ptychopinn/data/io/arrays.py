"""Patterns in files of their own: NPY, TIFF, HDF5 stacks, lists of frames."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import check_regular_file, read_npy
from ptychopinn.data.io.source_file import container_of
from ptychopinn.errors import ConfigError, PtychoPINNError, ScanError

LIST_SUFFIXES = (".txt", ".lst")
"""Of text files with the path of one frame in each line."""
PATTERN_SUFFIXES = (".npy", ".tif", ".tiff", *LIST_SUFFIXES, ".h5", ".hdf5", ".mat")
"""Of files that `read_patterns` reads, beside folders."""
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
    return _three_axes(read_array_file(path), path)


def frames_in(folder: Path) -> list[Path]:
    """The NPY and TIFF files of a folder in natural order, without tables of positions."""
    return sorted((one for one in folder.iterdir() if _is_frame(one) and "positions" not in one.stem), key=_natural)


def frames_listed(path: Path) -> list[Path]:
    """The paths in a text file, one in each line, relative to its folder; lines that begin with # are left out.

    Raises:
        ScanError: no text.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [path.parent / line for line in lines if line and not line.startswith("#")]


def read_array_file(path: Path) -> NDArray[Any]:
    """The array in an NPY or TIFF file.

    Raises:
        ScanError: no such file, damaged, or Python objects.
    """
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


def read_text(path: Path) -> str:
    """The text in a file.

    Raises:
        ScanError: no such file, a pipe or device, or no UTF-8.
    """
    check_regular_file(path, "give the path of a table or list")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScanError(f"{path}: cannot be read as text ({error}); save it as text in UTF-8") from None


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in (".npy", *_TIFF) and path.is_file()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _stacked(files: Sequence[Path], path: Path) -> NDArray[Any]:
    if not files:
        raise ScanError(f"{path}: must hold NPY or TIFF frames, got none; give the patterns as one array or stack")
    frames = [read_array_file(one) for one in files]
    frames = [frame[0] if frame.ndim == 3 and len(frame) == 1 else frame for frame in frames]
    for one, frame in zip(files, frames, strict=True):
        if frame.ndim != 2 or frame.shape != frames[0].shape:
            raise ScanError(
                f"{one}: each frame must be {frames[0].shape}, as the first one, got {frame.shape}; leave it out, or "
                "give a stack of all frames instead"
            )
    return np.stack(frames)


def tifffile_for(path: Path, error: type[PtychoPINNError] = ConfigError) -> Any:
    """The package `tifffile`, which an installation of scikit-image brings along.

    Raises:
        ConfigError: or the other error that is given: it is not installed; the message names the file.
    """
    try:
        import tifffile
    except ImportError:
        raise error(f"{path}: TIFF files need the package tifffile; install it with: pip install tifffile") from None
    return tifffile


def _tiff(path: Path) -> Any:
    tifffile = tifffile_for(path)
    try:
        return tifffile.imread(path)
    except tifffile.TiffFileError as error:
        raise ScanError(f"{path}: cannot be read as TIFF ({error}); export it again") from error


def _three_axes(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.ndim != 3:
        raise ScanError(f"{path}: the patterns must be (N, H, W), got {values.shape}; reshape them")
    return values
