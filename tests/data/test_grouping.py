"""Groups of neighbouring patterns."""

import time
from math import comb

import numpy as np
import pytest

from ptychopinn.config import DataConfig
from ptychopinn.data import Groups, make_groups
from ptychopinn.data.draw import draw_subsets
from ptychopinn.errors import ScanError


def grid(rows: int = 8, columns: int = 9, jitter: float = 0.8, step: float = 6.0) -> np.ndarray:
    """(N, 2) a jittered grid."""
    rng = np.random.default_rng(5)
    y, x = np.divmod(np.arange(rows * columns), columns)
    return step * np.stack([y, x], axis=1) + rng.uniform(-jitter, jitter, (rows * columns, 2))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def distances(positions: np.ndarray) -> np.ndarray:
    return np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))


def test_centre_and_relative_positions() -> None:
    positions = grid()
    groups = make_groups(positions, DataConfig(group_size=4), rng())
    center, relative = groups.center_px(positions), groups.relative_px(positions)
    assert center.shape == (72, 2)
    assert relative.shape == (72, 4, 2)
    np.testing.assert_allclose(relative + center[:, None], positions[groups.index])
    np.testing.assert_allclose(relative.sum(axis=1), 0, atol=1e-12)
    assert (len(groups), groups.group_size) == (72, 4)


@pytest.mark.parametrize("size", [1, 4, 9, 16, 64])
def test_by_default_every_pattern_has_its_nearest_neighbours(size) -> None:
    positions = grid()
    groups = make_groups(positions, DataConfig(group_size=size), rng())
    assert groups.index.dtype == np.int64
    np.testing.assert_array_equal(groups.index[:, 0], np.arange(72))
    nearest = np.argsort(distances(positions), axis=1)[:, :size]
    np.testing.assert_array_equal(groups.index, nearest)


def test_the_default_draws_nothing() -> None:
    generator = rng(3)
    make_groups(grid(), DataConfig(group_size=9), generator)
    assert generator.random() == rng(3).random()


def test_members_are_drawn_from_the_candidates() -> None:
    positions = grid()
    config = DataConfig(group_size=4, neighbors=8)
    groups = make_groups(positions, config, rng(1))
    nearest = np.argsort(distances(positions), axis=1)
    drawn = set()
    for row in groups.index:
        candidates = nearest[row[0], 1:9].tolist()
        places = [candidates.index(member) for member in row[1:]]
        assert places == sorted(set(places)), "distinct, nearest first"
        drawn.add(tuple(places))
    assert len(drawn) > 20, "not everyone draws the same ones"
    again = make_groups(positions, config, rng(1))
    np.testing.assert_array_equal(groups.index, again.index)
    assert not np.array_equal(groups.index, make_groups(positions, config, rng(2)).index)


@pytest.mark.parametrize(("size", "k", "repeats"), [(4, 6, 20), (4, 7, 9), (9, 24, 5), (16, 30, 40), (4, 3, 1)])
def test_groups_of_one_seed_are_different_sets(size, k, repeats) -> None:
    config = DataConfig(group_size=size, neighbors=k, groups_per_pattern=repeats)
    groups = make_groups(grid(), config, rng())
    assert groups.index.shape == (72 * repeats, size)
    np.testing.assert_array_equal(groups.index[:, 0], np.repeat(np.arange(72), repeats))
    sets = np.sort(groups.index, axis=1).reshape(72, repeats, size)
    assert all(len(np.unique(of_one, axis=0)) == repeats for of_one in sets)


def test_more_groups_than_different_sets_are_refused() -> None:
    config = DataConfig(group_size=4, neighbors=6, groups_per_pattern=21)
    with pytest.raises(ScanError, match=r"21 groups .* 3 of 6 neighbours make only 20 different sets; raise neigh"):
        make_groups(grid(), config, rng())
    with pytest.raises(ScanError, match=r"2 groups .* 0 of 0 neighbours make only 1 different sets"):
        make_groups(grid(), DataConfig(group_size=1, groups_per_pattern=2), rng())


@pytest.mark.parametrize("n_groups", [1, 30, 72, 100, 144, 200])
def test_the_number_of_groups(n_groups) -> None:
    groups = make_groups(grid(), DataConfig(group_size=4, neighbors=6, n_groups=n_groups), rng())
    assert groups.index.shape == (n_groups, 4)
    times = np.bincount(groups.index[:, 0], minlength=72)
    assert times.max() - times.min() <= 1, "seed points are used evenly"
    assert len({(row[0], *sorted(row)) for row in groups.index.tolist()}) == n_groups


def test_the_sequential_sampler_takes_the_first_in_scan_order() -> None:
    config = DataConfig(group_size=4, neighbors=8, n_groups=10, sampler="sequential")
    generator = rng(4)
    groups = make_groups(grid(), config, generator)
    nearest = make_groups(grid(), DataConfig(group_size=4), rng())
    np.testing.assert_array_equal(groups.index, nearest.index[:10])
    assert generator.random() == rng(4).random()


def test_given_seeds_are_the_only_ones() -> None:
    seeds = np.array([3, 50, 7])
    groups = make_groups(grid(), DataConfig(group_size=4), rng(), seeds=seeds)
    np.testing.assert_array_equal(groups.index[:, 0], seeds)


def test_objects_are_never_mixed() -> None:
    positions = np.concatenate([grid(4, 5), grid(4, 5) + 0.1])
    scan_index = np.tile([7, 2], 20)
    groups = make_groups(positions, DataConfig(group_size=9, neighbors=12), rng(), scan_index=scan_index)
    assert (scan_index[groups.index] == scan_index[groups.index[:, :1]]).all()
    mixed = make_groups(positions, DataConfig(group_size=9, neighbors=12), rng())
    assert (scan_index[mixed.index] != scan_index[mixed.index[:, :1]]).any()


def test_an_object_with_too_few_patterns_is_refused() -> None:
    scan_index = (np.arange(72) > 69).astype(int)
    with pytest.raises(ScanError, match=r"only 70 of 72 positions have 3 neighbours in the same object; lower group"):
        make_groups(grid(), DataConfig(group_size=4), rng(), scan_index=scan_index)


def test_a_lone_pattern_of_an_object_can_be_a_group_of_one() -> None:
    scan_index = (np.arange(72) > 70).astype(int)
    assert len(make_groups(grid(), DataConfig(group_size=1), rng(), scan_index=scan_index)) == 72


def test_min_distance() -> None:
    positions = grid()
    config = DataConfig(group_size=4, neighbor_rule="min_distance", min_distance_px=9.0)
    groups = make_groups(positions, config, rng())
    table = distances(positions)
    for row in groups.index:
        allowed = [i for i in np.argsort(table[row[0]]) if table[row[0], i] >= 9][:3]
        assert row[1:].tolist() == allowed


def test_four_quadrants_surround_the_seed() -> None:
    positions = grid(jitter=0.0)
    config = DataConfig(group_size=9, neighbor_rule="four_quadrants")
    y, x = np.divmod(np.arange(72), 9)
    inner = (y > 1) & (y < 6) & (x > 1) & (x < 7)
    groups = make_groups(positions, config, rng())
    offset = positions[groups.index[:, 1:]] - positions[groups.index[:, :1]]
    quarter = np.floor(np.arctan2(offset[..., 0], offset[..., 1]) / (np.pi / 2)).astype(int) % 4
    for quadrant in range(4):
        assert ((quarter[inner] == quadrant).sum(axis=1) == 2).all()


def test_four_quadrants_on_a_stretched_scan_beat_the_nearest() -> None:
    positions = grid(8, 40, jitter=0.0) * np.array([1.0, 0.3])
    seed = np.array([4 * 40 + 20])
    spread = {}
    for rule in ("nearest", "four_quadrants"):
        groups = make_groups(positions, DataConfig(group_size=4, neighbor_rule=rule), rng(), seeds=seed)
        spread[rule] = np.ptp(positions[groups.index[0], 0])
    assert spread["nearest"] < 1
    assert spread["four_quadrants"] > 5


def test_four_quadrants_at_the_edge_fall_back_to_what_is_there() -> None:
    groups = make_groups(grid(), DataConfig(group_size=16, neighbor_rule="four_quadrants"), rng())
    assert len(groups) == 72
    assert all(len(set(row)) == 16 for row in groups.index.tolist())


@pytest.mark.parametrize("rule", ["nearest", "min_distance", "four_quadrants"])
def test_max_distance_holds_for_every_rule(rule) -> None:
    positions = grid()
    config = DataConfig(group_size=4, neighbors=40, neighbor_rule=rule, min_distance_px=3, max_distance_px=14)
    groups = make_groups(positions, config, rng())
    reach = np.hypot(*(positions[groups.index] - positions[groups.index[:, :1]]).transpose(2, 0, 1))
    assert reach.max() <= 14
    assert reach.max() > 12, "the candidates farther than the nearest are used"


REACH = [
    (
        {"max_distance_px": 5.0},
        r"only \d+ of 72 positions have 3 neighbours within 5 px; raise max_distance_px or low",
    ),
    (
        {"neighbor_rule": "min_distance", "min_distance_px": 30.0, "max_distance_px": 31.0},
        r"between 30 and 31 px away; raise max_distance_px or lower min_distance_px or lower group_size",
    ),
    (
        {"neighbor_rule": "min_distance", "min_distance_px": 45.0},
        r"at least 45 px away; lower min_distance_px or lower group_size",
    ),
]


@pytest.mark.parametrize(("change", "message"), REACH)
def test_too_few_neighbours_within_reach(change, message) -> None:
    with pytest.raises(ScanError, match=rf"group_size is 4 but .*{message}"):
        make_groups(grid(), DataConfig(group_size=4, **change), rng())


def test_with_a_number_of_groups_lonely_positions_are_no_seeds() -> None:
    positions = np.concatenate([grid(), [[500.0, 500.0]]])
    config = DataConfig(group_size=4, max_distance_px=20)
    with pytest.raises(ScanError, match=r"only 72 of 73 positions"):
        make_groups(positions, config, rng())
    groups = make_groups(positions, config.changed(n_groups=72), rng())
    assert 72 not in groups.index
    with pytest.raises(ScanError, match=r"only 72 of 73 positions"):
        make_groups(positions, config.changed(n_groups=73), rng())


def test_fewer_positions_than_a_group() -> None:
    with pytest.raises(ScanError, match=r"group_size is 16 but the scan has only 9 positions; lower group_size"):
        make_groups(grid(3, 3), DataConfig(group_size=16), rng())


def test_the_whole_scan_may_be_one_group() -> None:
    groups = make_groups(grid(3, 3), DataConfig(group_size=9, neighbors=30), rng())
    assert (np.sort(groups.index, axis=1) == np.arange(9)).all()


def test_repeated_positions_are_neighbours_and_never_their_own() -> None:
    positions = np.zeros((20, 2))
    groups = make_groups(positions, DataConfig(group_size=9), rng())
    assert all(len(set(row)) == 9 and row[0] == i for i, row in enumerate(groups.index.tolist()))


def test_chunks_change_nothing(monkeypatch) -> None:
    config = DataConfig(group_size=9, neighbor_rule="four_quadrants")
    whole = make_groups(grid(), config, rng())
    monkeypatch.setattr("ptychopinn.data.neighbors._CHUNK", 700)
    np.testing.assert_array_equal(make_groups(grid(), config, rng()).index, whole.index)


def test_ten_thousand_positions_take_less_than_a_second() -> None:
    positions = grid(100, 100)
    config = DataConfig(group_size=16, neighbors=24)
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        make_groups(positions, config, rng())
        best = min(best, time.process_time() - start)
    assert best < 1


@pytest.mark.parametrize(("pool", "size", "repeats"), [(5, 2, 10), (5, 2, 3), (12, 6, 30), (4, 0, 1), (3, 3, 1)])
def test_subsets_are_distinct_and_in_order(pool, size, repeats) -> None:
    for generator in (None, rng(9)):
        subsets = draw_subsets(50, pool, size, repeats, generator)
        assert subsets.shape == (50, repeats, size)
        assert (np.diff(subsets, axis=2) > 0).all()
        assert all(len({tuple(one) for one in row}) == repeats for row in subsets.tolist())
        assert subsets.max(initial=0) < pool


def test_all_subsets_are_equally_likely() -> None:
    subsets = draw_subsets(20_000, 6, 2, 1, rng(0))[:, 0]
    _, counts = np.unique(subsets, axis=0, return_counts=True)
    assert len(counts) == comb(6, 2)
    assert np.abs(counts / 20_000 * comb(6, 2) - 1).max() < 0.15


def test_groups_are_a_plain_table() -> None:
    assert len(Groups(np.zeros((3, 4), np.int64))) == 3
