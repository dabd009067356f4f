"""Where positions and object lie in metres."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.nominal import Completed
from ptychopinn.data.io.rules import position_offset_px


@dataclass(frozen=True, eq=False)
class MetricFrame:
    """The frame of positions and object, in metres along rows and columns.

    It is that of the file from which a scan came, where the metadata hold it (`frame_origin_m`) and the object
    pixel is known; else the centre of the object is its zero, or element (0, 0) where there is no object.
    """

    positions_m: NDArray[np.float64]
    """(N, 2), (y, x): geometric centre of each patch."""
    centre_m: NDArray[np.float64]
    """(2,), (y, x): geometric centre of the object."""
    zero_m: NDArray[np.float64]
    """(2,), (y, x): element (0, 0) of the frame."""

    def corner_m(self, shape: tuple[int, ...], pixel_m: tuple[float, float]) -> NDArray[np.float64]:
        """(2,), (y, x): element (0, 0) of the object of this shape."""
        return self.centre_m - (np.asarray(shape) - 1) / 2 * np.asarray(pixel_m)


def metric_frame(
    positions_px: NDArray[np.float64],
    pattern_size: int,
    known: Completed,
    metadata: Mapping[str, Any],
    object_px: tuple[Any, tuple[int, ...]] | None,
) -> MetricFrame:
    """Positions in metres.

    Args:
        positions_px: (N, 2), (y, x): patch element (H//2, W//2), as in a scan.
        pattern_size: H.
        known: with the object pixel.
        metadata: of the scan or result.
        object_px: (y, x) of the object's element (0, 0) in the frame, and its shape; none without object.
    """
    middle = np.zeros(2) if object_px is None else np.asarray(object_px[0]) + (np.asarray(object_px[1]) - 1) / 2
    stated = None if "pixel_size_m" in known.nominal else _stated_origin(metadata)
    pixel = np.asarray(known.pixel_m)
    zero = -middle * pixel if stated is None else stated
    centres = positions_px - position_offset_px(pattern_size, "centre", {}, True, "")
    return MetricFrame(zero + centres * pixel, zero + middle * pixel, zero)


def _stated_origin(metadata: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """`frame_origin_m`, if it is two finite numbers."""
    origin = metadata.get("frame_origin_m")
    if not isinstance(origin, list | tuple) or len(origin) != 2:
        return None
    values = np.array([value if isinstance(value, int | float) else np.nan for value in origin], np.float64)
    return values if np.isfinite(values).all() else None
