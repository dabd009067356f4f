"""Axes and pixels of a detector, and the beam positions that follow from them; the same in CXI and NeXus."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import PixelSize, same_pixel
from ptychopinn.data.io.hdf5 import array, find_dataset, place
from ptychopinn.data.io.limits import DETECTOR_PIXEL
from ptychopinn.data.io.quantities import number_at, scale_of, values_of
from ptychopinn.errors import ScanError

LARGEST_EXTENT_M = 1.0
"""Extent of the positions above which they cannot be metres. Stages of ptychography move by 0.1 m at most."""
_NO_STEP = 1e-9
"""Part of a direction below which it does not contribute; rounding of a rotation gives less."""


def detector_basis(detector: Any) -> NDArray[np.float64]:
    """(2, 3): steps along rows and columns of the detector, in laboratory coordinates, m.

    Unit steps along -y and -x, as CXI does by default, where the file does not say.

    Raises:
        ScanError: `basis_vectors` of another shape than (3, 2) or (2, 3), or without a direction.
    """
    stored = None if detector is None else find_dataset(detector, "basis_vectors")
    if stored is None:
        return np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    basis = np.squeeze(values_of(stored, "length"))
    basis = basis.T if basis.shape == (3, 2) else basis
    if basis.shape != (2, 3) or not np.isfinite(basis).all() or not np.linalg.norm(basis, axis=1).all():
        raise ScanError(
            f"{place(stored)} is {basis.tolist()}; must be one step along rows and one along columns, as (3, 2), "
            "correct it or drop it"
        )
    return basis


def directions(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3): the steps of the detector with length 1."""
    unit: NDArray[np.float64] = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    return np.where(np.abs(unit) < _NO_STEP, 0.0, unit)


def beam_positions(translation: h5py.Dataset, basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2), (y, x): where the beam was on the sample, along rows and columns, m.

    CXI keeps the movement of the sample, minus that of the beam. A column along which the detector has no axis, z as a
    rule, is not used, whatever it holds.

    Raises:
        ScanError: another shape, an unknown unit, or an extent that no stage has.
    """
    moved = array(translation)
    if moved.ndim > 2 and moved.size:
        moved = moved.reshape(-1, moved.shape[-1])
    if moved.ndim != 2 or moved.shape[1] not in (2, 3) or moved.dtype.kind not in "uif":
        raise ScanError(
            f"{place(translation)} has shape {moved.shape} and type {moved.dtype}; must be (N, 3), x y z in metres"
        )
    along = directions(basis)[:, : moved.shape[1]]
    moved = np.asarray(moved, np.float64) * scale_of(translation, "length", columns=along.any(axis=0))
    positions = np.zeros((len(moved), 2))
    for axis, column in zip(*np.nonzero(along), strict=True):
        positions[:, axis] -= moved[:, column] * along[axis, column]
    _check_extent(positions, translation)
    return positions


def detector_pixel(detector: Any, basis: NDArray[np.float64], checked: bool = True) -> PixelSize | None:
    """(y, x) of the detector, m: the lengths of its basis vectors, else `y_pixel_size` and `x_pixel_size`.

    Args:
        detector: its group, or none.
        basis: of `detector_basis`.
        checked: refuse what no detector has.

    Raises:
        ScanError: an impossible size, or basis vectors and pixel sizes that differ by more than a hundredth.
    """
    if detector is None:
        return None
    limits = DETECTOR_PIXEL if checked else None
    y, x = number_at(detector, "y_pixel_size", limits), number_at(detector, "x_pixel_size", limits)
    stated = (y or x, x or y)
    stored = find_dataset(detector, "basis_vectors")
    if stored is None:
        return None if stated[0] is None or stated[1] is None else (stated[0], stated[1])
    rows, columns = (float(length) for length in np.linalg.norm(basis, axis=1))
    if stated[0] is not None and stated[1] is not None and not same_pixel((rows, columns), (stated[0], stated[1])):
        raise ScanError(
            f"{place(stored)} has steps of {rows:.6g} m and {columns:.6g} m, but y_pixel_size and x_pixel_size are "
            f"{stated[0]:.6g} m and {stated[1]:.6g} m; they must agree: correct one, or give the pixel by "
            "--detector-pixel (data.detector_pixel_m)"
        )
    if checked:
        for length in (rows, columns):
            DETECTOR_PIXEL.check(length, place(stored), f"a step of {length:.6g}")
    return rows, columns


def fitting(stored: Sequence[h5py.Dataset], frames: tuple[int, ...] | None) -> h5py.Dataset | None:
    """The first list of positions with one for each pattern, else the first one."""
    for one in stored:
        if frames is not None and one.shape and int(np.prod(one.shape[:-1])) == frames[0]:
            return one
    return stored[0] if stored else None


def _check_extent(positions: NDArray[np.float64], translation: h5py.Dataset) -> None:
    finite = positions[np.isfinite(positions).all(axis=1)]
    extent = np.ptp(finite, axis=0) if len(finite) else np.zeros(2)
    # Single lost encoder values are judged elsewhere, so the extent of most positions counts.
    bulk = np.ptp(np.percentile(finite, [5, 95], axis=0), axis=0) if len(finite) else extent
    if bulk.max(initial=0) > LARGEST_EXTENT_M:
        raise ScanError(
            f"{place(translation)} extends over {extent[0]:.4g} x {extent[1]:.4g} m; the positions of a scan must lie "
            f"within {LARGEST_EXTENT_M:g} m: correct the numbers or the attribute units, such as 'um'"
        )
