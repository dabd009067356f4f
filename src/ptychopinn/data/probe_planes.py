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
        ScanError: two real planes that may as well be amplitude and phase, or two modes of two planes of which it is
            not clear which are which.
    """
    probe = np.asarray(values)
    if probe.dtype.names is not None and len(probe.dtype.names) == 2:
        first, second = probe.dtype.names
        return np.asarray(probe[first] + 1j * probe[second])
    if probe.dtype.kind not in "ifc" or np.iscomplex(probe).any():
        return probe
    if not (probe.real < 0).any():
        if probe.dtype.kind != "c":
            logger.warning(
                "%s: the probe %s is real, so that its phase is 0 everywhere; check that it was saved as complex "
                "numbers",
                where,
                probe.shape,
            )
        return probe.astype(np.result_type(probe.dtype, np.complex64))
    real, axis = probe.real, _axis_of_planes(probe.real, where)
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


def _axis_of_planes(real: NDArray[Any], where: str) -> int | None:
    """The axis of the planes: the first, the last, or the second of (M, 2, H, W); what remains must be square.

    Two modes of two planes leave two possibilities. The two parts of a mode hold about as much, two modes do not.
    """
    possible = [0, real.ndim - 1, *([1] if real.ndim > 3 else [])] if real.ndim > 2 else []
    rests = {axis: (*real.shape[:axis], *real.shape[axis + 1 :]) for axis in possible if real.shape[axis] == 2}
    square = [axis for axis, rest in rests.items() if rest[-1] == rest[-2]] or list(rests)
    if len(square) < 2:
        return square[0] if square else None
    spread = {axis: _spread(real, axis) for axis in square}
    first, second = sorted(square, key=lambda axis: spread[axis])[:2]
    if _CLEARLY * spread[first] > spread[second]:
        raise ScanError(
            f"{where}: the probe must be complex, got real numbers {real.shape} that may be two modes of two parts in "
            "either order; save it as complex numbers"
        )
    return first


_CLEARLY = 1.5
"""Ratio of two ratios of power from which the larger one is taken for that of two modes."""


def _spread(real: NDArray[Any], axis: int) -> float:
    """Power of the stronger half along an axis of two, over that of the weaker one."""
    power = np.square(np.moveaxis(real, axis, 0), dtype=np.float64).reshape(2, -1).sum(axis=1)
    return float(power.max() / max(power.min(), np.finfo(np.float64).tiny))
