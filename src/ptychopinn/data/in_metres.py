"""A scan from arrays: patterns, positions in metres and the numbers of the experiment."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import Geometry
from ptychopinn.errors import ScanError


def scan_arguments(
    patterns: NDArray[Any], x_m: NDArray[Any], y_m: NDArray[Any], geometry: Geometry, source: str
) -> dict[str, Any]:
    r"""Fields of a `Scan` that follow from positions in metres; see `Scan.from_metres`.

    Args:
        patterns: (N, H, H).
        x_m: (N,), growing with the columns of the object.
        y_m: (N,), growing with its rows.
        geometry: energy, distance and detector pixel.
        source: for messages.

    Raises:
        ScanError: the number of the geometry, an array that is no list, pixels that are not square.
    """
    x, y = (_column(name, values, source) for name, values in (("x_m", x_m), ("y_m", y_m)))
    if x.shape != y.shape:
        raise ScanError(f"{source}: x_m and y_m must have the same length, got {len(x)} and {len(y)}; drop the rest")
    size = int(np.shape(patterns)[-1]) if np.ndim(patterns) == 3 else 0
    pixel = geometry.far_field_pixel_m(size) if size else None
    if pixel is None:
        raise ScanError(f"{source}: the patterns must be (N, H, H), got {np.shape(patterns)}; reshape them")
    if pixel[0] != pixel[1]:
        raise ScanError(
            f"{source}: detector_pixel_m must be one length (square pixels), got {geometry.detector_pixel_m}"
        )
    metres = np.stack([y, x], axis=1)
    moved = metres / pixel[0]
    positions = moved - moved.min(axis=0) + size // 2 if len(moved) else moved
    centre = positions - (size // 2 - (size - 1) / 2)
    origin = (metres[0] - centre[0] * pixel[0]).tolist() if len(moved) else [0.0, 0.0]
    return {
        "positions_px": positions,
        "pixel_size_m": pixel[0],
        "geometry": geometry,
        "metadata": {"frame_origin_m": origin},
    }


def _column(name: str, values: Any, source: str) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "uif" or not np.isfinite(array).all():
        raise ScanError(
            f"{source}: {name} must be a list of finite numbers, one for each pattern, got {array.dtype} "
            f"{array.shape}; correct or drop what is none"
        )
    return array.astype(np.float64)
