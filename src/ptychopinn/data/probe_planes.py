"""Probes that were stored without complex numbers: real and imaginary parts as two planes of a real array."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

LARGEST_PHASE_RAD = 2 * np.pi
"""Values above this are an imaginary part. Phases are saved from -pi to pi, or from 0 to 2 pi."""


def complex_probe(values: Any, where: str) -> NDArray[Any]:
    """The probe, with two real planes joined to real + i imaginary.

    Planes are recognised by an axis of two, and by negative values in the first plane, which no amplitude has, or
    values in the second one that are no phase.

    Args:
        values: complex, real, or compound values of two numbers.
        where: source, for messages.

    Raises:
        ScanError: two real planes that may as well be amplitude and phase.
    """
    probe = np.asarray(values)
    if probe.dtype.names is not None and len(probe.dtype.names) == 2:
        first, second = probe.dtype.names
        return np.asarray(probe[first] + 1j * probe[second])
    if probe.dtype.kind not in "ifc" or np.iscomplex(probe).any() or not (probe.real < 0).any():
        return probe
    real, axis = probe.real, _axis_of_two(probe.shape)
    if axis is None:
        logger.warning(
            "%s: the probe %s has negative values but no imaginary part, so that its phase is 0 or pi everywhere; "
            "check that it was saved as complex numbers",
            where,
            probe.shape,
        )
        return probe
    one, other = np.take(real, 0, axis=axis), np.take(real, 1, axis=axis)
    if not (one < 0).any() and np.abs(other).max() <= LARGEST_PHASE_RAD:
        raise ScanError(
            f"{where}: the probe must be complex, got two real planes {probe.shape} of which the second one has "
            "negative values: real and imaginary part, or amplitude and phase; save it as complex numbers"
        )
    logger.warning(
        "%s: the probe %s is real with negative values; its two planes are taken as real and imaginary part",
        where,
        probe.shape,
    )
    return np.asarray(one + 1j * other)


def _axis_of_two(shape: tuple[int, ...]) -> int | None:
    """The axis of the planes: the first, the last, or the second of (M, 2, H, W)."""
    if len(shape) < 3:
        return None
    possible = (0, len(shape) - 1, 1) if len(shape) > 3 else (0, len(shape) - 1)
    return next((axis for axis in possible if shape[axis] == 2), None)
