"""Scans of files in a folder, and of arrays as ptychodus gives them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data import Scan, read_scan
from ptychopinn.data.io.door import zip_names
from ptychopinn.data.io.rules import position_offset_px

logger = logging.getLogger("ptychopinn.data")


def scan_files(place: Path) -> list[Path]:
    """The `*.npz` of a folder by name, or the file itself; results and caches, which hold no patterns, are left out.

    Raises:
        FileNotFoundError: there is none.
    """
    if place.is_file():
        return [place]
    files = [file for file in sorted(place.glob("*.npz")) if _may_be_scan(file)]
    if not files:
        raise FileNotFoundError(f"{place}: holds no *.npz with patterns; export training data into this folder first")
    return files


def scans_of(source: Any) -> list[Scan]:
    """The scans of a folder or file, of a `Scan`, of what has one as its `scan`, or of a list of them.

    Raises:
        ScanError: a file that is no scan, or a container of arrays that came without their scan.
        TypeError: anything else.
    """
    if isinstance(source, str | Path):
        return [read_scan(path) for path in scan_files(Path(source))]
    if isinstance(source, Scan):
        return [source]
    if isinstance(scan := getattr(source, "scan", None), Scan):
        return [scan]
    if isinstance(source, Sequence) and source:
        return [scan for one in source for scan in scans_of(one)]
    raise TypeError(f"a {type(source).__name__} is no data; give a folder, a file, RawData or a container")


def _may_be_scan(file: Path) -> bool:
    """Whether a file holds patterns, or cannot be opened, which is left to the reader."""
    names = zip_names(file)
    found = names is None or bool({"diff3d.npy", "diffraction.npy"} & set(names))
    if not found:
        logger.info("%s: holds no patterns and is left out", file)
    return found


def client_scan(
    patterns: NDArray[Any], probe: NDArray[Any], positions: NDArray[Any], bad_pixels: NDArray[np.bool_] | None = None
) -> Scan:
    """A scan of counts whose positions mean the geometric centre, in the frame of the client's object."""
    reason, source = "given by the client", "the client's patterns"
    scan = Scan.create(
        patterns, positions, probe, domain="counts", domain_reason=reason, bad_pixels=bad_pixels, source=source
    )
    offset = position_offset_px(scan.pattern_size, "centre", {}, True, scan.source)
    return replace(scan, positions_px=scan.positions_px + offset, object_guess=_frame(scan.positions_px))


def _frame(positions: NDArray[np.float64]) -> NDArray[np.complex64] | None:
    """A flat object of the shape of the client's own, if the positions lie in it."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    shape = np.rint(low + high).astype(int) + 1
    if (low < 0).any() or (high > shape - 1).any():
        logger.warning("positions reach from %s to %s px: the image is framed by the patches", low, high)
        return None
    return np.ones(shape, np.complex64)
