"""Probe and object out of HDF5 files: complex arrays, or their real and imaginary parts."""

import logging
from typing import Any

import h5py
from numpy.typing import NDArray

from ptychopinn.data.io.hdf5 import array, find, find_dataset, place
from ptychopinn.data.probe_planes import complex_probe
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

_PAIRS = (("real", "imag"), ("re", "im"), ("Real", "Imag"), ("real", "imaginary"))


def complex_at(group: h5py.Group, *paths: str) -> tuple[NDArray[Any] | None, str]:
    """The array at the first of the paths that is there, and where it stands.

    A real and an imaginary part in two datasets are joined: members `real` and `imag` of a group of that name, or
    datasets `NAME_real` and `NAME_imag`.
    """
    for path in paths:
        item = find(group, path)
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            return array(item), place(item)
        for one, other in _PAIRS:
            parts = (f"{path}/{one}", f"{path}/{other}"), (f"{path}_{one}", f"{path}_{other}")
            for real, imaginary in parts:
                found = find_dataset(group, real), find_dataset(group, imaginary)
                if found[0] is not None and found[1] is not None and found[0].shape == found[1].shape:
                    return array(found[0]) + 1j * array(found[1]), place(found[0])
    return None, ""


def probe_array(probe: NDArray[Any] | None, where: str) -> NDArray[Any] | None:
    """(H, W) or (M, H, W); of (coherent, M, H, W) the first coherent mode."""
    if probe is None:
        return None
    if probe.dtype.kind != "b":
        probe = complex_probe(probe, where)
    while probe.ndim > 4 and probe.shape[0] == 1:
        probe = probe[0]
    if probe.ndim == 4:
        if len(probe) > 1:
            logger.warning("%s: only the first of %d coherent (OPR) modes is used", where, len(probe))
        probe = probe[0]
    if probe.ndim not in (2, 3):
        raise ScanError(f"{where} has shape {probe.shape}; must be (H, W) or (M, H, W)")
    return probe


def object_array(stored: h5py.Dataset | None) -> NDArray[Any] | None:
    """(Y, X), of one layer.

    Raises:
        ScanError: several layers.
    """
    if stored is None:
        return None
    object_ = array(stored)
    layers = object_.shape[:-2]
    if object_.ndim < 2 or any(length != 1 for length in layers) or 0 in object_.shape:
        raise ScanError(f"{place(stored)} has shape {object_.shape}; must be one layer, (Y, X)")
    return object_.reshape(object_.shape[-2:])
