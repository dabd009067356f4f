"""A reconstructed object from the parts of an HDF5 file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.frame import nearest_pixel
from ptychopinn.data.geometry import is_square, plain_pixel
from ptychopinn.data.io.entries import split_entries
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.own import ERROR_BARS
from ptychopinn.data.io.rules import position_offset_px
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

LEAST_LIT = 1e-3
"""Part of the largest weight below which a pixel of a foreign object counts as not covered."""


def reconstruction_of(parts: Hdf5Parts) -> Reconstruction:
    """The reconstructed object among the parts of a file, with probe and positions in its frame.

    Files of other programs state no coverage: it is the probe's intensity, summed over the positions.

    Raises:
        ScanError: a part is missing or has a wrong shape.
    """
    own, pixel = parts.own, parts.object_pixel_m or parts.pixel_m()
    if parts.object_ is None or (own is not None and own.empty_object):
        raise parts.missing("object")
    if parts.probe is None:
        raise parts.missing("probe")
    centres = parts.centres_px(pixel)
    probe = parts.probe.reshape(-1, *parts.probe.shape[-2:])
    positions = centres + position_offset_px(probe.shape[-1], "centre", {}, True, parts.source)
    if not np.isfinite(positions).all():
        raise ScanError(f"{parts.source}: positions that are not finite; correct the file")
    geometry, metadata = parts.geometry, parts.metadata
    bars: dict[str, NDArray[Any]] = {}
    if own is None:
        coverage = _lit(probe, positions, parts.object_.shape)
        known, origin = pixel, np.zeros(2)
    else:
        bars = {name: own.arrays[name] for name in ERROR_BARS if name in own.arrays}
        coverage = own.arrays.get("coverage", _lit(probe, positions, parts.object_.shape))
        known = None if "pixel_size_m" in own.nominal else pixel
        geometry, metadata = split_entries(own.metadata, parts.source)
        origin = own.origin_px
    if known is not None and parts.positions_m is not None:
        frame_m = parts.positions_m[0] - (centres[0] + origin) * known
        metadata = {"frame_origin_m": frame_m.tolist()} | metadata
    if known is not None and not is_square(known):
        metadata = {"object_pixel_m": plain_pixel(known)} | metadata
    return Reconstruction(
        object_=parts.object_.astype(np.complex64),
        coverage=coverage,
        origin_px=np.rint(origin).astype(np.int64),
        positions_px=positions + origin,
        probe=probe.astype(np.complex64),
        pixel_size_m=float(known[0]) if known is not None and is_square(known) else None,
        geometry=geometry,
        metadata=metadata,
        amplitude_error=bars.get("amplitude_error"),
        phase_error=bars.get("phase_error"),
    )


def _lit(probe: NDArray[Any], positions: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(Y, X): how much light fell on each pixel, relative to the largest, 0 below `LEAST_LIT`."""
    power = np.square(np.abs(probe), dtype=np.float64).sum(axis=0)
    light = np.zeros(shape)
    height, width = power.shape
    for y, x in nearest_pixel(positions) - [height // 2, width // 2]:
        rows, columns = slice(max(y, 0), max(y + height, 0)), slice(max(x, 0), max(x + width, 0))
        part = light[rows, columns]
        part += power[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]]
    light /= max(float(light.max()), np.finfo(np.float64).tiny)
    return np.where(light >= LEAST_LIT, light, 0).astype(np.float32)
