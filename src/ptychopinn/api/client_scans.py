"""Scans of files in a folder, and of arrays as ptychodus gives them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data import Scan, read_scan
from ptychopinn.data.io import read_probe
from ptychopinn.data.io.door import open_npz, zip_names
from ptychopinn.data.io.rules import position_offset_px
from ptychopinn.errors import ScanError

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


def scans_with_probes(place: str | Path, probes: str | Path | None) -> list[Scan]:
    """The scans of a folder, or one file, with the probes of another folder: one for each by name, or one for all.

    Args:
        place: see `scan_files`.
        probes: see `probes_of`; None for the probes of the scans.

    Raises:
        FileNotFoundError: no scan or no probe there.
        ScanError: a file that is none, or neither one probe nor as many as scans.
    """
    files = scan_files(Path(place))
    known: Sequence[Path | None] = [None] if probes is None else _probe_files(Path(probes))
    if len(known) not in (1, len(files)):
        raise ScanError(f"{probes}: must hold one probe, or one for each of {len(files)} scans, got {len(known)}")
    return [read_scan(file, probe=known[number % len(known)]) for number, file in enumerate(files)]


def probes_of(place: str | Path) -> list[NDArray[Any]]:
    """The probes in the `*.npz` and `*.npy` of a folder by name, or in one file.

    Raises:
        FileNotFoundError: there is none.
        ScanError: a file without a probe.
    """
    return [read_probe(file) for file in _probe_files(Path(place))]


def _probe_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files = sorted(file for file in place.glob("*.np[yz]") if file.is_file())
    if not files:
        raise FileNotFoundError(f"{place}: holds no *.npz or *.npy with a probe; save the probe into this folder first")
    return files


def _may_be_scan(file: Path) -> bool:
    """Whether a file holds patterns, or cannot be opened, which is left to the reader."""
    names = zip_names(file)
    found = names is None or bool({"diff3d.npy", "diffraction.npy"} & set(names))
    if not found:
        logger.info("%s: holds no patterns and is left out", file)
    return found


def stored_size(data_file: str | Path) -> int:
    """Rows of the probe of an NPZ scan, or of its patterns where it has none; read from the headers.

    Raises:
        FileNotFoundError: no such file.
        ScanError: it is no NPZ file, or holds no patterns.
    """
    if not Path(data_file).exists():
        raise FileNotFoundError(f"{data_file}: no such scan; give the path of an NPZ file")
    with open_npz(data_file) as archive:
        known = [name for name in ("probeGuess", "diff3d", "diffraction") if name in archive.files]
        if not known:
            raise ScanError(f"{data_file}: holds no patterns (diff3d or diffraction)")
        shape, _ = archive.header(known[0])
    return int(shape[1] if len(shape) == 3 else shape[0])


def client_scan(
    patterns: NDArray[Any], probe: NDArray[Any], positions: NDArray[Any], bad_pixels: NDArray[np.bool_] | None = None
) -> Scan:
    """A scan of counts whose positions mean the geometric centre, in the frame of the client's object.

    That object is centred on the box of all positions: `round(min + max) + 1` pixels on each axis. Where it does not
    hold the positions, the image gets the frame of the patches.

    Args:
        patterns: (N, H, W) counts, in any real type.
        probe: (H, W) or (M, H, W) complex.
        positions: (N, 2), (y, x), object pixels, of the geometric centre of each patch.
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.

    Raises:
        ScanError: arrays that make no scan.
    """
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
