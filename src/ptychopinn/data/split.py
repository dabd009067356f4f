"""Choosing patterns of a scan: a region for validation, or fewer patterns."""

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.scan import Scan

logger = logging.getLogger("ptychopinn.data")


def split_by_place(
    positions_px: NDArray[np.float64], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and validation patterns that see different parts of the sample.

    Validation takes the points nearest to a random one: a compact region, cut by the edge of the scan where
    it meets it. Random patterns would not do, because their neighbours in the training set see the same
    places.

    Args:
        positions_px: (N, 2), (y, x).
        fraction: part of the patterns for validation; rounded, but one at least unless it is 0, and never
        all.
        rng: draws the point.

    Returns:
        Two lists of indices in scan order, without overlap, that together are all patterns.

    >>> positions = np.stack(np.divmod(np.arange(9.0), 3), axis=1)
    >>> train, validation = split_by_place(positions, 0.3, np.random.default_rng(0))
    >>> len(train), len(validation)
    (6, 3)
    """
    n = len(positions_px)
    wanted = 0 if fraction <= 0 else min(max(1, round(fraction * n)), n - 1)
    if wanted <= 0:
        return np.arange(n), np.empty(0, np.int64)
    distance = np.square(positions_px - positions_px[rng.integers(n)]).sum(axis=1)
    order = np.argsort(distance, kind="stable")
    return np.sort(order[wanted:]), np.sort(order[:wanted])


def inside_bounds(
    positions_px: NDArray[np.float64], bounds_y: tuple[float, float], bounds_x: tuple[float, float]
) -> NDArray[np.int64]:
    """Indices of positions (N, 2) between two fractions of the extent of the scan on each axis.

    >>> inside_bounds(np.array([[0.0, 0.0], [5.0, 5.0], [10.0, 10.0]]), (0.0, 0.9), (0.1, 1.0))
    array([1])
    """
    low, high = positions_px.min(axis=0), positions_px.max(axis=0)
    first, last = np.array([bounds_y, bounds_x]).T
    extent = high - low
    inside = (positions_px >= low + first * extent) & (positions_px <= low + last * extent)
    return np.flatnonzero(inside.all(axis=1))


def subsample(scan: Scan, n: int | None, how: Literal["random", "sequential"], rng: np.random.Generator) -> Scan:
    """A scan of `n` patterns, in scan order.

    Args:
        scan: to choose from.
        n: patterns wanted; None, or as many as there are, gives the scan itself, and more than that is
        logged.
        how: at random without repetition, or the first ones.
        rng: draws them.
    """
    if n is not None and n > len(scan):
        logger.warning("%s: n_patterns is %d but the scan has %d patterns; all are used", scan.source, n, len(scan))
    if n is None or n >= len(scan):
        return scan
    if how == "sequential":
        return scan.select(slice(n))
    return scan.select(np.sort(rng.choice(len(scan), size=n, replace=False)))
