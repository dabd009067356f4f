"""Reading a reconstructed object, or a probe alone, from HDF5 files of any layout that is known."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.contents import Contents
from ptychopinn.data.io.hdf5 import open_hdf5
from ptychopinn.data.io.instrument import is_square
from ptychopinn.data.io.layouts import read_contents
from ptychopinn.data.io.rules import position_offset_px
from ptychopinn.data.io.stored_object import StoredObject
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

LEAST_LIT = 1e-3
"""Part of the largest weight below which a pixel of a foreign object counts as not covered."""


def read_hdf5_object(path: str | Path) -> StoredObject:
    """The object of a product, CXI, NeXus or training file, with probe and positions in its frame.

    Files of other programs tell no coverage: it is the probe's intensity, summed over the positions.

    Raises:
        ScanError: damaged, a layout that is not known, or no object, probe or positions.
    """
    with open_hdf5(path) as file:
        contents = read_contents(file)
    return stored_object_of(contents)


def read_hdf5_probe(path: str | Path) -> NDArray[Any]:
    """The probe of a file, (H, W) or (M, H, W).

    Raises:
        ScanError: damaged, a layout that is not known, or no probe.
    """
    with open_hdf5(path) as file:
        contents = read_contents(file)
    if contents.probe is None:
        raise contents.missing("probe")
    return contents.probe


def holds_patterns(path: str | Path) -> bool:
    """Whether a file has patterns of its own.

    Raises:
        ScanError: damaged, or a layout that is not known.
    """
    with open_hdf5(path) as file:
        return read_contents(file).frames is not None


def stored_object_of(contents: Contents) -> StoredObject:
    """The reconstructed object among the contents of a file.

    Raises:
        ScanError: a part is missing or has a wrong shape.
    """
    own, pixel = contents.own, contents.object_pixel_m or contents.pixel_m()
    if contents.object_ is None or (own is not None and own.empty_object):
        raise contents.missing("object")
    if contents.probe is None:
        raise contents.missing("probe")
    centres = contents.centres_px(pixel)
    probe = contents.probe.reshape(-1, *contents.probe.shape[-2:])
    positions = centres + position_offset_px(probe.shape[-1], "centre", {}, True, contents.source)
    if not np.isfinite(positions).all():
        raise ScanError(f"{contents.source}: positions that are not finite; correct the file")
    told = contents.metadata | contents.instrument.metadata()
    if own is None:
        coverage = _lit(probe, positions, contents.object_.shape)
        known, metadata, origin = pixel, told, np.zeros(2)
    else:
        coverage = own.arrays.get("coverage", _lit(probe, positions, contents.object_.shape))
        known = None if "pixel_size_m" in own.nominal else pixel
        metadata, origin = own.metadata, own.origin_px
    if known is not None and contents.positions_m is not None:
        frame_m = contents.positions_m[0] - (centres[0] + origin) * known
        metadata = {"frame_origin_m": frame_m.tolist()} | metadata
    return StoredObject(
        object_=contents.object_.astype(np.complex64),
        coverage=coverage,
        origin_px=np.rint(origin).astype(np.int64),
        positions_px=positions + origin,
        probe=probe.astype(np.complex64),
        pixel_size_m=float(known[0]) if known is not None and is_square(known) else None,
        metadata=metadata,
    )


def _lit(probe: NDArray[Any], positions: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(Y, X): how much light fell on each pixel, relative to the largest, 0 below `LEAST_LIT`."""
    power = np.square(np.abs(probe), dtype=np.float64).sum(axis=0)
    light = np.zeros(shape)
    height, width = power.shape
    for y, x in np.floor(positions + 0.5).astype(np.int64) - [height // 2, width // 2]:
        rows, columns = slice(max(y, 0), max(y + height, 0)), slice(max(x, 0), max(x + width, 0))
        part = light[rows, columns]
        part += power[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]]
    light /= max(float(light.max()), np.finfo(np.float64).tiny)
    return np.where(light >= LEAST_LIT, light, 0).astype(np.float32)
