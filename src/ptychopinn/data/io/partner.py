"""Scans in two files: a product with probe, object and positions, and the patterns beside it, paired by number."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.contents import Contents
from ptychopinn.data.io.instrument import Instrument
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

_PRODUCT, _DIFFRACTION = "product", "diffraction"


def partner_beside(contents: Contents) -> Path | None:
    """The file in the same folder that should hold what this one lacks; none where there is none.

    `product` in the name becomes `diffraction` or the other way round, and the plain names that ptychodus
    gives are tried: `product.h5`, `diffraction.h5`, and with `.cxi`. A file that neither ptychodus wrote nor
    such a name belongs to has no partner.
    """
    mine, other = (_DIFFRACTION, _PRODUCT) if contents.frames is not None else (_PRODUCT, _DIFFRACTION)
    path = Path(contents.source)
    if mine not in path.name and not contents.layout.startswith("ptychodus"):
        return None
    names = [path.name.replace(mine, other), *(f"{other}{suffix}" for suffix in (path.suffix, ".h5", ".cxi"))]
    found = (path.with_name(name) for name in names if name != path.name)
    return next((candidate for candidate in found if candidate.is_file()), None)


def joined(product: Contents, diffraction: Contents) -> Contents:
    """Patterns of the one with probe, object and positions of the other.

    Raises:
        ScanError: the second one holds no patterns.
    """
    if diffraction.frames is None:
        raise diffraction.missing("patterns")
    one, other = product.instrument, diffraction.instrument
    return replace(
        product,
        frames=diffraction.frames,
        frame_index=diffraction.frame_index,
        bad_pixels=diffraction.bad_pixels,
        instrument=Instrument(
            one.energy_eV or other.energy_eV,
            one.distance_m or other.distance_m,
            other.detector_pixel_m or one.detector_pixel_m,
            one.stated_wavelength_m or other.stated_wavelength_m,
        ),
    )


def paired(contents: Contents) -> tuple[Contents, NDArray[np.int64] | None]:
    """The contents with one position for each pattern, and the rows of those patterns (none for all of them).

    As ptychodus does it: patterns that were never filled are left out, positions of the same number averaged,
    positions between two known numbers interpolated, patterns outside the known numbers left out. Files
    without numbers are taken in their order.

    Raises:
        ScanError: no pattern has a position.
    """
    positions = contents.positions_m if contents.positions_px is None else contents.positions_px
    frames = contents.frames
    if frames is None or positions is None or (contents.frame_index is None and contents.position_index is None):
        return contents, None
    frame_index = _index(contents, contents.frame_index, len(frames), "patterns")
    known, placed = _averaged(_index(contents, contents.position_index, len(positions), "positions"), positions)
    rows = np.flatnonzero((frame_index >= max(known[0], 0)) & (frame_index <= known[-1]))
    if len(rows) == 0:
        raise ScanError(
            f"{contents.source}: no pattern has a position: the patterns are numbered {frame_index.min()} to "
            f"{frame_index.max()} and the positions {known[0]} to {known[-1]}; give the files of one scan"
        )
    wanted = frame_index[rows]
    between = int((~np.isin(wanted, known)).sum())
    if between or len(rows) < len(frames):
        logger.warning(
            "%s: %d of %d patterns have a position; %d positions are interpolated",
            contents.source,
            len(rows),
            len(frames),
            between,
        )
    at = np.stack([np.interp(wanted, known, placed[:, axis]) for axis in (0, 1)], axis=1)
    in_metres = contents.positions_px is None
    chosen = replace(
        contents,
        positions_m=at if in_metres else contents.positions_m,
        positions_px=None if in_metres else at,
        bad_pixels=_rows(contents, rows),
        frame_index=None,
        position_index=None,
    )
    return chosen, rows


def _index(contents: Contents, index: NDArray[np.int64] | None, n: int, name: str) -> NDArray[np.int64]:
    """The numbers of patterns or positions; from 0 where the file gives none."""
    if index is None:
        return np.arange(n)
    if len(index) != n:
        raise ScanError(
            f"{contents.source}: there are {n} {name} but {len(index)} numbers for them; the rule is one each"
        )
    return index


def _averaged(
    index: NDArray[np.int64], positions: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each number once, in order, with the mean of its positions."""
    known, where, counts = np.unique(index, return_inverse=True, return_counts=True)
    sums = [np.bincount(where, weights=positions[:, axis]) for axis in (0, 1)]
    return known, np.stack(sums, axis=1) / counts[:, None]


def _rows(contents: Contents, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    bad, frames = contents.bad_pixels, contents.frames
    if bad is None or bad.ndim < 3 or frames is None or len(bad) != len(frames):
        return bad
    return bad[rows]
