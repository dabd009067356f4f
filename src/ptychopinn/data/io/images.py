"""Probe and object out of HDF5 files: complex arrays, or their real and imaginary parts."""

import logging
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.hdf5 import array, find, find_dataset, place
from ptychopinn.data.io.quantities import values_of
from ptychopinn.data.probe_planes import complex_probe
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

_PAIRS = (("real", "imag"), ("re", "im"), ("real", "imaginary"), ("r", "i"), ("real_part", "imag_part"))
_POLAR = tuple((one, other) for one in ("amplitude", "abs", "magnitude", "modulus") for other in ("phase", "angle"))


def complex_at(group: h5py.Group, *paths: str) -> tuple[NDArray[Any] | None, str]:
    """The array at the first of the paths that is there, and where it stands.

    Two datasets are joined, see `joined_at`.
    """
    for path in paths:
        item = find(group, path)
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            return array(item), place(item)
        found = joined_at(group, path)
        if found[0] is not None:
            return found
    return None, ""


def joined_at(group: h5py.Group, path: str) -> tuple[NDArray[Any] | None, str]:
    """Real and imaginary part, or amplitude and phase, as one complex array, and where the first one stands.

    They are members of a group of that name, as `NAME/real` and `NAME/imag`, or datasets `NAME_real` and `NAME_imag`,
    in upper or lower case. A phase is in rad, or in its unit.
    """
    above, _, name = path.rpartition("/")
    folder = find(group, above) if above else group
    within = find(group, path)
    places = [(within, ""), (folder, f"{name}_")]
    for inside, start in ((one, start) for one, start in places if isinstance(one, h5py.Group)):
        known = {key.lower(): key for key in inside}
        for first, second in (*_PAIRS, *_POLAR):
            keys = [known.get(f"{start}{part}".lower()) for part in (first, second)]
            one, other = (None if key is None else find_dataset(inside, key) for key in keys)
            if one is not None and other is not None and one.shape == other.shape:
                is_polar = (first, second) in _POLAR
                return _polar(one, other) if is_polar else array(one) + 1j * array(other), place(one)
    return None, ""


def _polar(amplitude: h5py.Dataset, phase: h5py.Dataset) -> NDArray[Any]:
    return np.asarray(array(amplitude) * np.exp(1j * values_of(phase, "angle")))


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
