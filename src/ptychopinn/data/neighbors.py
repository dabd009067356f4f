"""Candidate neighbours of scan positions, best first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig

if TYPE_CHECKING:
    from scipy.spatial import KDTree

_CHUNK = 1 << 21
"""Entries of a table of distances that are held at once."""
_QUADRANT_POOL = 8
"""So many times the wanted candidates are looked at, to find some in every quadrant."""


@dataclass(frozen=True)
class Candidates:
    """K candidates of each position, best first; short rows are padded with -1."""

    index: NDArray[np.int64]
    """(N, K)."""
    count: NDArray[np.int64]
    """(N,): how many of a row are real."""


def find_candidates(
    positions_px: NDArray[np.float64],
    config: DataConfig,
    k: int,
    scan_index: NDArray[np.int64] | None = None,
) -> Candidates:
    """Up to `k` candidate neighbours of every position, by the rule of the configuration.

    `nearest`: the nearest others. `min_distance`: the nearest ones that are at least `min_distance_px` away.
    `four_quadrants`: in turn the nearest one of each quadrant around the position, then the second nearest
    of each, and so on; where the edge of the scan leaves a quadrant empty, the others take its turns. Never
    farther than `max_distance_px`, and never from another object (`scan_index`).

    Args:
        positions_px: (N, 2), (y, x).
        config: rule and distances.
        k: candidates wanted.
        scan_index: (N,), which object a position belongs to.
    """
    n = len(positions_px)
    index, count = np.full((n, k), -1, np.int64), np.zeros(n, np.int64)
    for members in _objects(n, scan_index):
        found, number = _within_one_object(positions_px[members], config, k)
        real = found >= 0
        index[members] = np.where(real, members[np.where(real, found, 0)], -1)
        count[members] = number
    return Candidates(index, count)


def _objects(n: int, scan_index: NDArray[np.int64] | None) -> Iterator[NDArray[np.intp]]:
    if scan_index is None:
        yield np.arange(n)
        return
    for value in np.unique(scan_index):
        yield np.flatnonzero(scan_index == value)


def _within_one_object(
    positions: NDArray[np.float64], config: DataConfig, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from scipy.spatial import KDTree

    n = len(positions)
    index = np.full((n, k), -1, np.int64)
    count = np.zeros(n, np.int64)
    if n < 2:
        return index, count
    tree = KDTree(positions)
    pool = min(n, _pool_size(tree, positions, config, k))
    step = max(1, _CHUNK // pool)
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        table, allowed = _ranked(tree, positions, rows, pool, config)
        kept = min(k, table.shape[1])
        number = np.minimum(allowed.sum(axis=1), k)
        table = table[:, :kept]
        index[rows, :kept] = np.where(np.arange(kept) < number[:, None], table, -1)
        count[rows] = number
    return index, count


def _pool_size(tree: "KDTree", positions: NDArray[np.float64], config: DataConfig, k: int) -> int:
    """How many nearest points must be looked at, the position itself among them."""
    if config.neighbor_rule == "min_distance" and config.min_distance_px > 0:
        close = tree.query_ball_point(positions, config.min_distance_px, return_length=True)
        return int(np.max(close)) + k + 1
    if config.neighbor_rule == "four_quadrants":
        return _QUADRANT_POOL * max(k, 4) + 1
    return k + 1


def _ranked(
    tree: "KDTree", positions: NDArray[np.float64], rows: NDArray[np.intp], pool: int, config: DataConfig
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The nearest `pool` points of some positions, allowed ones first, best first; and which are allowed."""
    distance, table = tree.query(positions[rows], k=np.arange(1, pool + 1))
    allowed = table != rows[:, None]
    if config.neighbor_rule == "min_distance":
        allowed &= distance >= config.min_distance_px
    if config.max_distance_px is not None:
        allowed &= distance <= config.max_distance_px
    rank = np.zeros_like(table)
    if config.neighbor_rule == "four_quadrants":
        rank = _turn(positions[table] - positions[rows][:, None], allowed)
    order = np.argsort(np.where(allowed, rank, pool + 1), axis=1, kind="stable")
    return np.take_along_axis(table, order, axis=1), np.take_along_axis(allowed, order, axis=1)


def _turn(offset: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of each point among those of its own quadrant, nearest first.

    Quadrants are half open, so that the four next neighbours on a square grid lie in four of them.
    """
    quarter = np.floor(np.arctan2(offset[..., 0], offset[..., 1]) / (np.pi / 2)).astype(np.int64) % 4
    turn = np.zeros(quarter.shape, np.int64)
    for quadrant in range(4):
        inside = (quarter == quadrant) & allowed
        turn += np.where(inside, np.cumsum(inside, axis=1) - 1, 0)
    return turn
