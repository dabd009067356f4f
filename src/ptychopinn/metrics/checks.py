"""Checks that all metrics share: equal shapes, finite values, masks that hold something."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_pair(
    image: NDArray[Any], reference: NDArray[Any], *, names: tuple[str, str] = ("image", "reference")
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two finite (Y, X) arrays of one shape, in double precision.

    Raises:
        ValueError: another rank, unequal shapes, or values that are not finite.
    """
    arrays = tuple(_checked_image(array, name) for array, name in zip((image, reference), names, strict=True))
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"{names[0]} has shape {arrays[0].shape} and {names[1]} {arrays[1].shape}; "
            "both must lie in one frame, so crop or pad one of them"
        )
    return arrays[0], arrays[1]


def checked_real_pair(image: NDArray[Any], reference: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """As `checked_pair`, for measures that are defined on real images only.

    Raises:
        ValueError: also where one of them is complex.
    """
    for name, array in (("image", image), ("reference", reference)):
        if np.iscomplexobj(array):
            raise ValueError(f"{name} is complex; this measure needs real images, so give amplitude or phase")
    return checked_pair(image, reference)


def checked_mask(mask: NDArray[Any] | None, shape: tuple[int, ...], name: str = "mask") -> NDArray[np.bool_]:
    """A boolean array of `shape` with at least one True; all True where `mask` is None.

    Raises:
        ValueError: another shape, another type, or nothing selected.
    """
    if mask is None:
        return np.ones(shape, dtype=bool)
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ValueError(f"{name} has type {array.dtype}; must be boolean, True where a pixel counts")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape} but the images {shape}; give it in their frame")
    if not array.any():
        raise ValueError(f"{name} selects no pixel; at least one must count")
    return array


def _checked_image(array: NDArray[Any], name: str) -> NDArray[Any]:
    values = np.asarray(array)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; must be one image (Y, X); select a slice")
    values = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise ValueError(f"{name} holds {bad} values that are not finite; a score of them would mean nothing")
    return values
