"""Groups: patterns whose patches overlap and are reconstructed together."""

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.draw import draw_subsets
from ptychopinn.data.neighbors import Candidates, find_candidates
from ptychopinn.errors import ScanError


@dataclass(frozen=True, eq=False)
class Groups:
    """A table of groups.

    >>> groups = Groups(np.array([[0, 1]]))
    >>> positions = np.array([[0.0, 0.0], [0.0, 4.0]])
    >>> groups.center_px(positions).tolist(), groups.relative_px(positions).tolist()
    ([[0.0, 2.0]], [[[0.0, -2.0], [0.0, 2.0]]])
    """

    index: NDArray[np.int64]
    """(n_groups, G), into the scan; the seed point stands first."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def group_size(self) -> int:
        """G, patterns per group."""
        return int(self.index.shape[1])

    def center_px(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_groups, 2), (y, x): mean position of each group."""
        return positions_px[self.index].mean(axis=1)

    def relative_px(self, positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_groups, G, 2), (y, x): positions minus the centre of their group."""
        return positions_px[self.index] - self.center_px(positions_px)[:, None]


def make_groups(
    positions_px: NDArray[np.float64],
    config: DataConfig,
    rng: np.random.Generator,
    *,
    scan_index: NDArray[np.int64] | None = None,
    seeds: NDArray[np.int64] | None = None,
) -> Groups:
    """Group every seed point with G - 1 of its K candidate neighbours.

    With K = G - 1, the default, these are all its candidates; with more, they are drawn at random, and the
    groups of one seed point are different sets (K choose C oversampling). Without `n_groups` every seed
    point has `groups_per_pattern` groups. With it so many groups are made in all, of different seed points
    as far as these reach. The sampler `sequential` draws nothing: the first seed points in scan order, the
    best candidates.

    Args:
        positions_px: (N, 2), (y, x).
        config: group size, candidates, rule, distances, sampler and number of groups.
        rng: source of the draws.
        scan_index: (N,); a group never holds patterns of different objects.
        seeds: positions that may be seed points; by default all.

    Raises:
        ScanError: too few positions, too few neighbours within reach, or more groups than different sets.
    """
    n, size = len(positions_px), config.group_size
    if n < size:
        raise ScanError(f"group_size is {size} but the scan has only {n} positions; lower group_size")
    k = min(config.neighbors or size - 1, n - 1)
    candidates = find_candidates(positions_px, config, k, scan_index)
    chosen = np.arange(n) if seeds is None else np.asarray(seeds, np.int64)
    chosen = _able_seeds(chosen, candidates, config)
    draws = None if config.sampler == "sequential" else rng
    seed, repeat = _seed_list(chosen, config, draws)
    return Groups(_members(seed, repeat, candidates, config, draws))


def legacy_groups(
    positions_px: NDArray[np.float64],
    *,
    group_size: int,
    neighbors: int,
    n_groups: int,
    random_state: np.random.RandomState,
    sequential: bool = False,
    oversample: bool = False,
) -> NDArray[np.int64]:
    """The index table that the earlier implementation makes, from the same stream of random numbers.

    Seed points are chosen without replacement, with no draw when all are used; each group is G of the K
    nearest neighbours of its seed point, which itself is never a member. Groups of one are the seed points.
    `sequential` takes the first seed points and sets the stream to seed 0. At most as many groups as
    positions are made, unless `oversample` asks for several different ones for a seed point; those follow
    the same rules with other draws.

    Args:
        positions_px: (N, 2), (y, x).
        group_size: G.
        neighbors: K, at least G.
        n_groups: wanted.
        random_state: the legacy stream; left where the earlier implementation leaves it.
        sequential: take the first seed points.
        oversample: allow more groups than positions.

    Returns:
        (n_groups, G) int64.

    Raises:
        ScanError: fewer positions than the group size, K below G, or more groups than positions or different
        sets.
    """
    n = len(positions_px)
    _check_legacy(n, group_size, neighbors, n_groups, oversample)
    if sequential:
        random_state.seed(0)
    if group_size > 1 and n_groups > n:
        return _legacy_oversampled(positions_px, group_size, neighbors, n_groups, random_state)
    seeds = np.arange(min(n_groups, n))
    if not sequential and n_groups < n:
        seeds = random_state.choice(n, size=n_groups, replace=False)
    if group_size == 1:
        return seeds[:, None].astype(np.int64)
    nearest = _legacy_neighbors(positions_px, seeds, neighbors)
    return np.array([random_state.choice(row, size=group_size, replace=False) for row in nearest], np.int64)


def _able_seeds(seeds: NDArray[np.int64], candidates: Candidates, config: DataConfig) -> NDArray[np.int64]:
    """Seed points with enough neighbours: all of them, unless `n_groups` leaves a choice."""
    needed = config.group_size - 1
    able = seeds[candidates.count[seeds] >= needed]
    wanted = len(seeds) if config.n_groups is None else min(config.n_groups, len(seeds))
    if len(able) < wanted or not len(able):
        raise ScanError(
            f"group_size is {config.group_size} but only {len(able)} of {len(seeds)} positions have {needed} "
            f"neighbours{_reach(config)}; {_remedy(config)}"
        )
    return able


def _reach(config: DataConfig) -> str:
    far, near = (
        config.max_distance_px,
        config.min_distance_px if config.neighbor_rule == "min_distance" else 0,
    )
    if near and far is not None:
        return f" between {near:g} and {far:g} px away"
    if far is not None:
        return f" within {far:g} px"
    return f" at least {near:g} px away" if near else " in the same object"


def _remedy(config: DataConfig) -> str:
    ways = ["raise max_distance_px"] if config.max_distance_px is not None else []
    if config.neighbor_rule == "min_distance" and config.min_distance_px > 0:
        ways.append("lower min_distance_px")
    return " or ".join([*ways, "lower group_size"])


def _seed_list(
    seeds: NDArray[np.int64], config: DataConfig, rng: np.random.Generator | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n_groups,) seed point of each group, and (n_groups,) which of the groups of that seed point it is."""
    if config.n_groups is None:
        repeats = config.groups_per_pattern
        return np.repeat(seeds, repeats), np.tile(np.arange(repeats), len(seeds))
    rounds, rest = divmod(config.n_groups, len(seeds))
    last = seeds[:rest] if rng is None else rng.choice(seeds, size=rest, replace=False)
    return (
        np.concatenate([np.tile(seeds, rounds), last]),
        np.concatenate([np.repeat(np.arange(rounds), len(seeds)), np.full(rest, rounds)]),
    )


def _members(
    seed: NDArray[np.int64],
    repeat: NDArray[np.int64],
    candidates: Candidates,
    config: DataConfig,
    rng: np.random.Generator | None,
) -> NDArray[np.int64]:
    """(n_groups, G): the seed point, then the drawn candidates, best first."""
    needed, repeats = config.group_size - 1, int(repeat.max()) + 1
    points, place = np.unique(seed, return_inverse=True)
    count = candidates.count[points]
    _check_enough_sets(int(count.min()), needed, repeats)
    subsets = np.empty((len(points), repeats, needed), np.int64)
    for pool in np.unique(count):
        rows = count == pool
        subsets[rows] = draw_subsets(int(rows.sum()), int(pool), needed, repeats, rng)
    others = np.take_along_axis(candidates.index[seed], subsets[place, repeat], axis=1)
    return np.concatenate([seed[:, None], others], axis=1)


def _check_enough_sets(pool: int, needed: int, repeats: int) -> None:
    if comb(pool, needed) < repeats:
        raise ScanError(
            f"{repeats} groups for one seed point are wanted, but {needed} of {pool} neighbours make only "
            f"{comb(pool, needed)} different sets; raise neighbors, or lower groups_per_pattern or n_groups"
        )


def _check_legacy(n: int, group_size: int, neighbors: int, n_groups: int, oversample: bool) -> None:
    if n < group_size:
        raise ScanError(f"the group size is {group_size} but the scan has only {n} positions; lower gridsize")
    if group_size == 1:
        return
    if neighbors < group_size:
        raise ScanError(f"K is {neighbors} but a group of {group_size} is drawn from K neighbours; raise K")
    if n_groups > n and not oversample:
        raise ScanError(
            f"{n_groups} groups are wanted from {n} positions; enable oversampling with K above the group "
            "size, or ask for fewer groups"
        )


def _legacy_neighbors(positions_px: NDArray[np.float64], seeds: NDArray[np.intp], neighbors: int) -> NDArray[np.int64]:
    from scipy.spatial import KDTree

    xy = np.ascontiguousarray(positions_px[:, ::-1])
    k = min(neighbors + 1, len(xy))
    return np.asarray(KDTree(xy).query(xy[seeds], k=k)[1], np.int64)[:, 1:]


def _legacy_oversampled(
    positions_px: NDArray[np.float64],
    group_size: int,
    neighbors: int,
    n_groups: int,
    random_state: np.random.RandomState,
) -> NDArray[np.int64]:
    n = len(positions_px)
    nearest = _legacy_neighbors(positions_px, np.arange(n), neighbors)
    repeats = -(-n_groups // n)
    _check_enough_sets(nearest.shape[1], group_size, repeats)
    rng = np.random.default_rng(random_state.randint(0, 2**31 - 1))
    subsets = draw_subsets(n, nearest.shape[1], group_size, repeats, rng)
    table = np.take_along_axis(nearest[:, None], subsets, axis=2)
    return table.transpose(1, 0, 2).reshape(-1, group_size)[:n_groups]
