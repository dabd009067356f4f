"""Masks of bad pixels, in whatever type and shape a file keeps them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import changed_frames
from ptychopinn.errors import ScanError

HAS_SIGNAL = 0x1000
"""The one bit of a CXI mask that is not a defect: the pixel has signal."""
EVERY_BIT = 0xFFFFFFFF
_TOO_LARGE = 2.0**53
"""Floats below it hold every whole number."""
CXI_BITS = EVERY_BIT & ~HAS_SIGNAL
"""Bits of a CXI mask that mark a bad pixel, as cdtools and ptychodus read it."""


def bad_pixels_of(
    mask: NDArray[Any], where: str, frames: tuple[int, ...] | None, bits: int = EVERY_BIT
) -> NDArray[np.bool_]:
    """(H, W) or (N, H, W): True where any of the bits is set.

    Args:
        mask: bool, whole numbers of any type (also floats), with axes of one or the axes of a raster.
        where: it stands, for messages.
        frames: (N, H, W) of the patterns, where known.
        bits: that mark a bad pixel.

    Raises:
        ScanError: values that are no whole numbers.
    """

    def marked(values: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray((whole_mask(values, where) & bits) != 0)

    return fitted_mask(changed_frames(mask, marked) if mask.ndim > 2 else marked(mask), frames)


def whole_mask(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """The values of a mask as whole numbers.

    Raises:
        ScanError: other values.
    """
    if values.dtype.kind == "f" and (np.abs(values) < _TOO_LARGE).all() and np.array_equal(values, np.rint(values)):
        values = values.astype(np.int64)
    if values.dtype.kind not in "bui":
        raise ScanError(
            f"{where} must hold whole numbers, 0 where a pixel is good, got {values.dtype} values; export it again"
        )
    return values.astype(np.int64)


def fitted_mask(bad: NDArray[np.bool_], frames: tuple[int, ...] | None) -> NDArray[np.bool_]:
    """A mask as (H, W) or (N, H, W), from one with axes of one or the axes of a raster; others as they are."""
    if bad.ndim > 2 and bad.shape[-1] == 1 and (frames is None or frames[-1] != 1):
        bad = bad[..., 0]
    if bad.ndim < 3 or bad.size == 0:
        return bad
    flat = bad.reshape(-1, *bad.shape[-2:])
    return flat[0] if len(flat) == 1 and (frames is None or frames[0] != 1) else flat
