"""Pieces of a scan that is being measured: some of its patterns, of its positions, or of both, with frame numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import open_npz
from ptychopinn.errors import ScanError

NUMBERS, PATTERNS, COORDINATES = "frames", "diffraction", ("ycoords", "xcoords")
"""Keys of the NPZ file."""


@final
@dataclass(frozen=True, eq=False)
class Piece:
    """Patterns, positions or both of some frames."""

    frames: NDArray[np.int64]
    """(n,): number of each frame in the scan."""
    patterns: NDArray[Any] | None = None
    """(n, H, H), finite and not negative."""
    positions_px: NDArray[np.float64] | None = None
    """(n, 2), (y, x), finite."""


def read_piece(path: str | Path) -> Piece:
    """A piece in an NPZ file: `frames` (n,), with `diffraction` (n, H, H), with `xcoords` and `ycoords` (n,), or both.

    Raises:
        ScanError: the file is damaged or not finished, or an array is missing or has a wrong shape, type or value.
    """
    with open_npz(path) as file:
        known = [key for key in (NUMBERS, PATTERNS, *COORDINATES) if key in file.files]
        return piece_of({key: file[key] for key in known}, str(path))


def piece_of(arrays: Mapping[str, NDArray[Any]], where: str) -> Piece:
    """A piece from its arrays by name.

    Args:
        arrays: `frames`, with `diffraction`, with `xcoords` and `ycoords`, or both.
        where: of messages.

    Raises:
        ScanError: an array is missing or has a wrong shape, type or value.
    """
    has_patterns, has_positions = PATTERNS in arrays, all(key in arrays for key in COORDINATES)
    if NUMBERS not in arrays or not (has_patterns or has_positions):
        raise ScanError(
            f"{where}: a piece of a scan must hold {NUMBERS}, and {PATTERNS} or xcoords with ycoords; add what is "
            "missing"
        )
    frames = np.asarray(arrays[NUMBERS])
    if frames.ndim != 1 or frames.dtype.kind not in "iu" or (frames.size and int(frames.min()) < 0):
        raise ScanError(f"{where}: {NUMBERS} must be whole numbers (n,) from 0, got {frames.dtype} {frames.shape}")
    if len(np.unique(frames)) < len(frames):
        raise ScanError(f"{where}: {NUMBERS} holds a number twice; each frame must be in a piece once")
    patterns = _patterns(arrays[PATTERNS], len(frames), where) if has_patterns else None
    positions = _positions([arrays[key] for key in COORDINATES], len(frames), where) if has_positions else None
    return Piece(frames.astype(np.int64), patterns, positions)


def _patterns(patterns: NDArray[Any], count: int, where: str) -> NDArray[Any]:
    shape = patterns.shape
    if len(shape) != 3 or shape[0] != count or shape[1] != shape[2] or patterns.dtype.kind not in "iuf":
        raise ScanError(
            f"{where}: {PATTERNS} must be numbers ({count}, H, H), a pattern for each frame, got {patterns.dtype} "
            f"{shape}; write them again"
        )
    if math.prod(shape) and (not np.isfinite(patterns).all() or patterns.min() < 0):
        raise ScanError(f"{where}: {PATTERNS} must be finite and not negative; mark bad pixels with 0")
    return patterns


def _positions(columns: list[NDArray[Any]], count: int, where: str) -> NDArray[np.float64]:
    if any(column.shape != (count,) or column.dtype.kind not in "iuf" for column in columns):
        shapes = ", ".join(f"{column.dtype} {column.shape}" for column in columns)
        raise ScanError(f"{where}: ycoords and xcoords must be numbers ({count},), one for each frame, got {shapes}")
    positions = np.stack(columns, axis=1).astype(np.float64)
    if not np.isfinite(positions).all():
        raise ScanError(f"{where}: ycoords and xcoords must be finite; leave out frames without a position")
    return positions
