"""Axes and pixels of a detector, and the beam positions that follow from them; the same in CXI and NeXus."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.adjust import LENGTHS_M
from ptychopinn.data.geometry import PixelSize, same_pixel
from ptychopinn.data.io.hdf5 import array, as_text, attribute, find_dataset, place
from ptychopinn.data.io.limits import DETECTOR_PIXEL, Limits
from ptychopinn.data.io.quantities import has_unit, number_at, scale_of, values_of
from ptychopinn.errors import ScanError, shown

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


def beam_positions(translation: h5py.Dataset, basis: NDArray[np.float64], unit: str = "auto") -> NDArray[np.float64]:
    """(N, 2), (y, x): where the beam was on the sample, along rows and columns, m.

    CXI keeps the movement of the sample, minus that of the beam. A column along which the detector has no axis, z as a
    rule, is not used, whatever it holds. `unit` is `data.position_unit`, for a file that states none.

    Raises:
        ScanError: another shape, an unknown unit, one that contradicts `unit`, or an extent that no stage has.
    """
    moved = array(translation)
    if moved.ndim > 2 and moved.size:
        moved = moved.reshape(-1, moved.shape[-1])
    if moved.ndim != 2 or moved.shape[1] not in (2, 3) or moved.dtype.kind not in "uif":
        raise ScanError(
            f"{place(translation)} has shape {moved.shape} and type {moved.dtype}; must be (N, 3), x y z in metres"
        )
    along = directions(basis)[:, : moved.shape[1]]
    scale = position_scale(translation, unit, along.any(axis=0))
    return beam_of(np.asarray(moved, np.float64) * scale, basis, place(translation))


def beam_of(moved_m: NDArray[np.float64], basis: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """(N, 2), (y, x): where the beam was, m, from the movement of the sample along x, y and perhaps z, m.

    Raises:
        ScanError: an extent that no stage has.
    """
    along = directions(basis)[:, : moved_m.shape[1]]
    positions = np.zeros((len(moved_m), 2))
    for axis, column in zip(*np.nonzero(along), strict=True):
        positions[:, axis] -= moved_m[:, column] * along[axis, column]
    _check_extent(positions, where)
    return positions


def position_scale(stored: h5py.Dataset, unit: str, columns: Any = None) -> Any:
    """What positions are multiplied by to be in metres.

    Args:
        stored: the positions.
        unit: `data.position_unit`; lengths without a unit in the file are in metres where it is `auto`.
        columns: of the last axis that are used.

    Raises:
        ScanError: an unknown unit, or one that contradicts `unit`.
    """
    if unit == "auto":
        return scale_of(stored, "length", columns=columns)
    given = LENGTHS_M.get(unit)
    scale = scale_of(stored, "length", given or 1.0, columns=columns)
    if given is None or (has_unit(stored) and not np.all(np.isin(scale, (given, 0.0)))):
        raise ScanError(
            f"{place(stored)} holds lengths{_in_unit(stored)}, but --position-unit is {unit} (data.position_unit); "
            "drop the option, or give --position-scale (data.position_scale) to correct the file"
        )
    return scale


def _in_unit(stored: h5py.Dataset) -> str:
    stated = next((attribute(stored, name) for name in ("units", "unit") if name in stored.attrs), None)
    return "" if stated is None else f" in {shown(as_text(stated) if isinstance(stated, str | bytes) else stated)}"


def detector_distance(detector: Any, limits: Limits | None) -> float | None:
    """The distance of the detector, m, or that of its first pixel along the beam where the file states no other.

    Raises:
        ScanError: an impossible number, or two that contradict each other.
    """
    stated = number_at(detector, "distance", limits)
    stored = None if detector is None else find_dataset(detector, "corner_position")
    corner = np.zeros(0) if stored is None else values_of(stored, "length").reshape(-1)
    if stored is None or corner.shape != (3,) or not np.isfinite(corner[2]) or corner[2] == 0:
        return stated
    along = abs(float(corner[2]))
    if stated is None:
        return along if limits is None else limits.check(along, place(stored), f"{along:.6g} along the beam")
    if limits is not None and abs(along - stated) > _LARGEST_TILT * stated:
        raise ScanError(
            f"{place(detector)}/distance is {stated:.6g} m, but {place(stored)} lies {along:.6g} m along the beam; "
            f"they must agree: correct one, or give {limits.option}"
        )
    return stated


_LARGEST_TILT = 0.1
"""Relative difference between the distance of a detector and that of its corner; a tilt makes a few percent."""


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


def _check_extent(positions: NDArray[np.float64], where: str) -> None:
    finite = positions[np.isfinite(positions).all(axis=1)]
    extent = np.ptp(finite, axis=0) if len(finite) else np.zeros(2)
    # Single lost encoder values are judged elsewhere, so the extent of most positions counts.
    bulk = extent
    if len(finite):
        low = np.percentile(finite, 5, axis=0, method="higher")
        bulk = np.percentile(finite, 95, axis=0, method="lower") - low
    if bulk.max(initial=0) > LARGEST_EXTENT_M:
        raise ScanError(
            f"{where} extends over {extent[0]:.4g} x {extent[1]:.4g} m; the positions of a scan must lie "
            f"within {LARGEST_EXTENT_M:g} m: correct the numbers or the attribute units, such as 'um', "
            "or give --position-unit or --position-scale (data.position_unit, data.position_scale)"
        )
