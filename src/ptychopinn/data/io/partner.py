"""Scans in two files: a product with probe, object and positions, and the patterns beside it, paired by number."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

_PRODUCT, _DIFFRACTION = "product", "diffraction"
_SUFFIXES = "_para", "_dp"
"""Ends of the names of the two files of fold_slice and of training data of ptychodus."""


def partner_beside(parts: Hdf5Parts) -> Path | None:
    """The file in the same folder that should hold what this one lacks; none where there is none.

    `product` in the name becomes `diffraction` or the other way round, and the plain names that ptychodus
    gives are tried: `product.h5`, `diffraction.h5`, and with `.cxi`. A file that neither ptychodus wrote nor
    such a name belongs to has no partner. `NAME_dp` and `NAME_para` belong together too.
    """
    mine, other = (_DIFFRACTION, _PRODUCT) if parts.frames is not None else (_PRODUCT, _DIFFRACTION)
    path = Path(parts.source)
    end, other_end = reversed(_SUFFIXES) if parts.frames is not None else _SUFFIXES
    if path.stem.endswith(end):
        beside = path.with_name(path.stem.removesuffix(end) + other_end + path.suffix)
        return beside if beside.is_file() else None
    if mine not in path.name and not parts.layout.startswith("ptychodus"):
        return None
    names = [path.name.replace(mine, other), *(f"{other}{suffix}" for suffix in (path.suffix, ".h5", ".cxi"))]
    found = (path.with_name(name) for name in names if name != path.name)
    return next((candidate for candidate in found if candidate.is_file()), None)


def joined(product: Hdf5Parts, diffraction: Hdf5Parts) -> Hdf5Parts:
    """Patterns of the one with probe, object and positions of the other.

    Raises:
        ScanError: the second one holds no patterns.
    """
    if diffraction.frames is None:
        raise diffraction.missing("patterns")
    one, other = product.geometry, diffraction.geometry
    return replace(
        product,
        frames=diffraction.frames,
        domain=diffraction.domain,
        frame_index=diffraction.frame_index,
        bad_pixels=diffraction.bad_pixels,
        dark=diffraction.dark,
        notes=(*product.notes, *(f"{diffraction.source}: {note}" for note in diffraction.notes)),
        geometry=replace(
            one,
            energy_eV=one.energy_eV or other.energy_eV,
            distance_m=one.distance_m or other.distance_m,
            detector_pixel_m=other.detector_pixel_m or one.detector_pixel_m,
            stated_wavelength_m=one.stated_wavelength_m or other.stated_wavelength_m,
        ),
    )


def paired(parts: Hdf5Parts) -> tuple[Hdf5Parts, NDArray[np.int64] | None]:
    """The parts with one position for each pattern, and the rows of those patterns (none for all of them).

    As ptychodus does it: patterns that were never filled are left out, positions of the same number averaged,
    positions between two known numbers interpolated, patterns outside the known numbers left out. Files
    without numbers are taken in their order.

    Raises:
        ScanError: no pattern has a position.
    """
    positions = parts.positions_m if parts.positions_px is None else parts.positions_px
    frames = parts.frames
    if frames is None or positions is None or (parts.frame_index is None and parts.position_index is None):
        return parts, None
    frame_index = _index(parts, parts.frame_index, len(frames), "patterns")
    known, placed = _averaged(_index(parts, parts.position_index, len(positions), "positions"), positions)
    rows = np.flatnonzero((frame_index >= max(known[0], 0)) & (frame_index <= known[-1]))
    if len(rows) == 0:
        raise ScanError(
            f"{parts.source}: no pattern has a position: the patterns are numbered {frame_index.min()} to "
            f"{frame_index.max()} and the positions {known[0]} to {known[-1]}; give the files of one scan"
        )
    wanted = frame_index[rows]
    between = int((~np.isin(wanted, known)).sum())
    if between or len(rows) < len(frames):
        logger.warning(
            "%s: %d of %d patterns have a position; %d positions are interpolated",
            parts.source,
            len(rows),
            len(frames),
            between,
        )
    at = np.stack([np.interp(wanted, known, placed[:, axis]) for axis in (0, 1)], axis=1)
    in_metres = parts.positions_px is None
    chosen = replace(
        parts,
        positions_m=at if in_metres else parts.positions_m,
        positions_px=None if in_metres else at,
        bad_pixels=_rows(parts, rows),
        frame_index=None,
        position_index=None,
    )
    return chosen, rows


def _index(parts: Hdf5Parts, index: NDArray[np.int64] | None, n: int, name: str) -> NDArray[np.int64]:
    """The numbers of patterns or positions; from 0 where the file gives none."""
    if index is None:
        return np.arange(n)
    if len(index) != n:
        raise ScanError(
            f"{parts.source}: there are {n} {name} but {len(index)} numbers for them; there must be one number for each"
        )
    return index


def _averaged(
    index: NDArray[np.int64], positions: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each number once, in order, with the mean of its positions."""
    known, where, counts = np.unique(index, return_inverse=True, return_counts=True)
    sums = [np.bincount(where, weights=positions[:, axis]) for axis in (0, 1)]
    return known, np.stack(sums, axis=1) / counts[:, None]


def _rows(parts: Hdf5Parts, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    bad, frames = parts.bad_pixels, parts.frames
    if bad is None or bad.ndim < 3 or frames is None or len(bad) != len(frames):
        return bad
    return bad[rows]
