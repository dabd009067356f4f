"""The earlier implementation's groups, index by index, and the state in which it leaves the random stream."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.data import legacy_groups
from ptychopinn.errors import ScanError

EXACT = [
    "gs1_all_points",
    "gs1_object_Y",
    "gs1_seed0",
    "gs1_sequential",
    "gs1_uint16",
    "gs2_K4_seed0",
    "gs2_K7_seed42",
    "gs2_K7_sequential",
    "gs2_grid_object_Y",
    "gs2_tiny_dataset",
    "gs2_unseeded_global_state",
]
UNSEEDED = 1234


def load(shared_dir: Path, name: str) -> tuple[dict, dict]:
    with np.load(shared_dir / "parity" / "grouping" / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}, json.loads(str(archive["meta_json"]))


def positions_of(fixture: dict) -> np.ndarray:
    return np.stack([fixture["in_ycoords"], fixture["in_xcoords"]], axis=1)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", EXACT)
def test_indices_and_the_following_draws_are_exact(shared_dir, name) -> None:
    fixture, about = load(shared_dir, name)
    state = np.random.RandomState(UNSEEDED if about["seed"] is None else about["seed"])
    index = legacy_groups(
        positions_of(fixture),
        group_size=about["gridsize"] ** 2,
        neighbors=about["K"],
        n_groups=about["nsamples"],
        random_state=state,
        sequential=about["sequential"],
    )
    np.testing.assert_array_equal(index, fixture["out_nn_indices"])
    np.testing.assert_array_equal(state.uniform(size=3), fixture["np_random_uniform3_after_call"])


@pytest.mark.shared_data
def test_oversampling_keeps_shape_and_invariants(shared_dir) -> None:
    fixture, about = load(shared_dir, "gs2_oversample")
    positions = positions_of(fixture)
    ours = legacy_groups(
        positions,
        group_size=4,
        neighbors=about["pool"],
        n_groups=about["nsamples"],
        random_state=np.random.RandomState(about["seed"]),
        oversample=True,
    )
    assert ours.shape == fixture["out_nn_indices"].shape
    for index in (fixture["out_nn_indices"], ours):
        check_oversampled(positions, index, about["pool"])


def check_oversampled(positions: np.ndarray, index: np.ndarray, pool: int) -> None:
    """Four different members, all among the `pool` nearest of one position, which is not a member."""
    distance = np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))
    nearest = [set(row) for row in np.argsort(distance, axis=1)[:, 1 : pool + 1].tolist()]
    for group in index.tolist():
        assert len(set(group)) == 4
        assert any(set(group) <= around for around in nearest)


def scattered(n: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 60, (n, 2))


def draw(n: int = 20, seed: int = 0, **changes) -> np.ndarray:
    settings = {"group_size": 4, "neighbors": 5, "n_groups": 8} | changes
    return legacy_groups(scattered(n), random_state=np.random.RandomState(seed), **settings)


def test_a_seed_point_is_never_in_its_own_group() -> None:
    index = draw(n_groups=20)
    assert index.shape == (20, 4)
    assert not (index == np.arange(20)[:, None]).any()


def test_oversampled_groups_of_one_seed_point_differ() -> None:
    index = draw(n_groups=100, neighbors=5, oversample=True)
    assert index.shape == (100, 4)
    for seed in range(20):
        sets = np.sort(index[seed::20], axis=1)
        assert len(np.unique(sets, axis=0)) == 5
        assert seed not in sets


def test_sequential_ignores_the_seed() -> None:
    np.testing.assert_array_equal(draw(seed=1, sequential=True), draw(seed=2, sequential=True))
    assert not np.array_equal(draw(seed=1), draw(seed=2))


def test_groups_of_one_are_clipped_to_the_scan() -> None:
    np.testing.assert_array_equal(draw(group_size=1, n_groups=500), np.arange(20)[:, None])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_groups": 50}, r"50 groups are wanted from 20 positions; enable oversampling"),
        ({"n_groups": 50, "oversample": True, "neighbors": 3}, r"K is 3 but a group of 4 is drawn from K"),
        ({"neighbors": 3}, r"K is 3 but a group of 4 is drawn from K neighbours; raise K"),
        ({"n": 3}, r"the group size is 4 but the scan has only 3 positions"),
        ({"n_groups": 101, "oversample": True}, r"6 groups .* make only 5 different sets"),
    ],
)
def test_what_the_earlier_implementation_refused_is_refused(change, message) -> None:
    with pytest.raises(ScanError, match=message):
        draw(**change)


@pytest.mark.shared_data
def test_the_recorded_refusals_are_refusals(shared_dir) -> None:
    cases = json.loads((shared_dir / "parity" / "grouping" / "_errors.json").read_text())
    outcome = {case["label"]: case["ok"] for case in cases}
    assert not outcome["gs2 K<C"]
    assert not outcome["gs2 3 points"]
    assert not outcome["gs2 nsamples>npoints without enable_oversampling"]
    assert not outcome["gs2 oversampling pool<C"]
    assert outcome["gs1 nsamples>npoints"]
