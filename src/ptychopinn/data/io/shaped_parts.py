"""The parts of a file, and the geometry, after their patterns were resampled, cropped or padded."""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import PixelSize
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.own import Own
from ptychopinn.data.io.reshape import Reshaped, geometry_with_shape
from ptychopinn.data.io.rules import position_offset_px

logger = logging.getLogger("ptychopinn.data")


def with_shape(parts: Hdf5Parts, shape: Reshaped) -> Hdf5Parts:
    """The parts with the object pixel, and positions in pixels, of patterns that were reshaped.

    An object guess has the old pixel, so it is left out if that changes.
    """
    old, new = parts.pattern_size or 0, shape.patterns.shape[-1]
    pixel, own = parts.object_pixel_m, parts.own
    changed = replace(
        parts,
        geometry=geometry_with_shape(parts.geometry, shape),
        object_pixel_m=None if pixel is None else _over(pixel, shape),
        positions_px=None if parts.positions_px is None else _centres(parts.positions_px, old, new, shape),
        own=None if own is None else _own(own, shape),
        size=new,
    )
    if not shape.is_rescaled or parts.object_ is None:
        return changed
    if own is None or not own.empty_object:
        logger.warning("%s: the object has other pixels than the reshaped patterns; it is not used", parts.source)
    return replace(changed, object_=None, object_centre_m=None)


def _over(pixel: PixelSize, shape: Reshaped) -> PixelSize:
    return pixel[0] / shape.scale[0], pixel[1] / shape.scale[1]


def _centres(centres: NDArray[np.float64], old: int, new: int, shape: Reshaped) -> NDArray[np.float64]:
    """(N, 2): geometric centres in the new pixels; element (H//2, W//2) is the point that scales."""
    before, after = (position_offset_px(size, "centre", {}, True, "") for size in (old, new))
    scaled: NDArray[np.float64] = (centres + before) * np.asarray(shape.scale) - after
    return scaled


def _own(own: Own, shape: Reshaped) -> Own:
    arrays = {name: values for name, values in own.arrays.items() if name not in ("truth_patches", "bad_pixels")}
    if "nominal_positions_px" in arrays:
        arrays["nominal_positions_px"] = arrays["nominal_positions_px"] * np.asarray(shape.scale)
    return replace(
        own, pixel_m=_over(own.pixel_m, shape), origin_px=own.origin_px * np.asarray(shape.scale), arrays=arrays
    )
