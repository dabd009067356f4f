"""RawData and its dictionary of groups, against the arrays that the earlier system recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptycho import params
from ptycho.loader import load
from ptycho.raw_data import RawData
from ptychopinn.errors import ScanError

SAME_DRAWS = [
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
COORDINATES = [
    "coords_offsets",
    "coords_relative",
    "coords_nn",
    "coords_start_offsets",
    "coords_start_relative",
    "coords_start_nn",
]


def recorded(shared_dir: Path, name: str) -> tuple[dict, dict]:
    with np.load(shared_dir / "parity" / "grouping" / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}, json.loads(str(archive["meta_json"]))


def raw_of(fixture: dict) -> RawData:
    """As recorded: amplitudes, also where they are whole numbers."""
    return RawData(
        fixture["in_xcoords"],
        fixture["in_ycoords"],
        fixture["in_xcoords_start"],
        fixture["in_ycoords_start"],
        fixture["in_diff3d"],
        fixture["in_probeGuess"],
        np.zeros(len(fixture["in_xcoords"]), int),
        fixture.get("in_objectGuess"),
        domain="amplitude",
    )


def grouped_of(fixture: dict, about: dict):
    """The recorded call; `nsamples` there is the number of groups."""
    np.random.seed(1234 if about["seed"] is None else 99)  # noqa: NPY002
    return raw_of(fixture).generate_grouped_data(
        about["N"],
        K=about["K"],
        n_groups=about["nsamples"],
        seed=about["seed"],
        sequential_sampling=about["sequential"],
        gridsize=about["gridsize"],
        enable_oversampling=about["oversample"],
        neighbor_pool_size=about["pool"],
    )


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SAME_DRAWS)
def test_groups_coordinates_and_the_random_stream_are_exact(shared_dir, name) -> None:
    fixture, about = recorded(shared_dir, name)
    grouped = grouped_of(fixture, about)
    np.testing.assert_array_equal(np.random.uniform(size=3), fixture["np_random_uniform3_after_call"])  # noqa: NPY002
    np.testing.assert_array_equal(grouped["nn_indices"], fixture["out_nn_indices"])
    for key in COORDINATES:
        np.testing.assert_array_equal(grouped[key], fixture[f"out_{key}"], err_msg=key)
        assert grouped[key].dtype == np.float64
    np.testing.assert_array_equal(grouped["diffraction"], fixture["out_diffraction"])
    assert grouped["diffraction"].dtype == fixture["out_diffraction"].dtype
    np.testing.assert_allclose(grouped["X_full"], fixture["out_X_full"], rtol=1e-5)
    assert grouped["X_full"].dtype == np.float32
    for key in about["none_keys"]:
        assert grouped[key] is None
    assert set(grouped) == {*about["dtypes"], *about["none_keys"]}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SAME_DRAWS)
def test_containers_are_those_of_the_earlier_system(shared_dir, name) -> None:
    fixture, about = recorded(shared_dir, name)
    grouped = grouped_of(fixture, about)
    params.set("nphotons", about["nphotons_for_container"])
    container = load(lambda: grouped, fixture["in_probeGuess"])
    assert container.norm_Y_I == pytest.approx(float(fixture["container_norm_Y_I"]), rel=1e-5)
    for values in (container.coords_nominal, container.coords_true, np.asarray(container.local_offsets)):
        np.testing.assert_allclose(values, fixture["container_coords_nominal"], atol=2e-6)
    np.testing.assert_allclose(container.global_offsets, fixture["container_global_offsets"], rtol=1e-6)
    if about["gridsize"] == 1:
        np.testing.assert_allclose(container.Y_I[:2], fixture["container_Y_I_head"], atol=1e-5)
    kinds = {name: getattr(container, name).dtype for name in ("X", "Y_I", "Y_phi", "coords_nominal", "coords_true")}
    assert set(kinds.values()) == {np.dtype(np.float32)}
    assert container.global_offsets.dtype == container.local_offsets.dtype == np.float32
    assert container.Y.dtype == container.probe.dtype == np.complex64
    assert container.Y.shape == container.X.shape == fixture["out_X_full"].shape


@pytest.mark.shared_data
def test_ground_truth_of_single_patterns(shared_dir) -> None:
    fixture, about = recorded(shared_dir, "gs1_object_Y")
    np.testing.assert_allclose(grouped_of(fixture, about)["Y"], fixture["out_Y"], atol=1e-5)


@pytest.mark.shared_data
def test_divergence_ground_truth_of_groups_is_cut_where_the_patterns_are(shared_dir) -> None:
    """The earlier system cuts it at positions mirrored about the mean of the group."""
    fixture, about = recorded(shared_dir, "gs2_grid_object_Y")
    ours = grouped_of(fixture, about)
    centre, members = ours["coords_offsets"][:, 0, :, 0], ours["coords_nn"][:, 0].transpose(0, 2, 1)
    mirrored = (2 * centre[:, None] - members).reshape(-1, 2)
    raw = raw_of(fixture)
    there = RawData(*mirrored.T, None, None, np.ones((len(mirrored), 32, 32)), raw.probeGuess, None, raw.objectGuess)
    theirs = np.moveaxis(fixture["out_Y"], -1, 1).reshape(-1, 32, 32)
    np.testing.assert_allclose(there.generate_grouped_data(32, gridsize=1)["Y"][..., 0], theirs, atol=1e-5)
    alone = raw.generate_grouped_data(32, gridsize=1)["Y"][..., 0]
    np.testing.assert_array_equal(np.moveaxis(ours["Y"], -1, 1), alone[ours["nn_indices"]])
    assert np.abs(ours["Y"] - fixture["out_Y"]).max() > 0.1


@pytest.mark.shared_data
def test_divergence_integers_are_counts(shared_dir) -> None:
    """The earlier system takes every `diff3d` for amplitudes; here only where it is said."""
    fixture, _ = recorded(shared_dir, "gs1_uint16")
    counts = fixture["in_diff3d"]
    raw = RawData(fixture["in_xcoords"], fixture["in_ycoords"], None, None, counts, fixture["in_probeGuess"])
    X = raw.generate_grouped_data(16, gridsize=1)["X_full"][..., 0]
    np.testing.assert_allclose(X * np.sqrt(counts.max()) / X.max(), np.sqrt(counts), rtol=1e-5)


@pytest.mark.shared_data
def test_divergence_oversampling_draws_differently_within_the_same_rules(shared_dir) -> None:
    """Shapes and members' neighbourhood are the same; the draws cannot be derived."""
    fixture, about = recorded(shared_dir, "gs2_oversample")
    grouped = grouped_of(fixture, about)
    for key in ("nn_indices", "X_full", *COORDINATES):
        assert grouped[key].shape == fixture[f"out_{key}"].shape
    positions = raw_of(fixture).scan.positions_px
    nearest = np.argsort(np.linalg.norm(positions[:, None] - positions, axis=-1), axis=1)[:, 1 : about["pool"] + 1]
    for group in grouped["nn_indices"]:
        assert len(set(group)) == 4
        assert any(set(group) <= set(around) for around in nearest)


@pytest.mark.shared_data
def test_recorded_refusals(shared_dir) -> None:
    cases = json.loads((shared_dir / "parity" / "grouping" / "_errors.json").read_text())
    outcome = {case["label"]: case["ok"] for case in cases}
    calls = {
        "gs2 nsamples>npoints without enable_oversampling": lambda: small(20).generate_grouped_data(
            16, gridsize=2, n_groups=50
        ),
        "gs2 oversampling pool<C": lambda: small(20).generate_grouped_data(
            16, gridsize=2, n_groups=50, enable_oversampling=True, neighbor_pool_size=3
        ),
        "gs2 K<C": lambda: small(20).generate_grouped_data(16, K=3, gridsize=2, n_groups=5),
        "gs2 3 points": lambda: small(3).generate_grouped_data(16, gridsize=2, n_groups=2),
        "gs1 nsamples>npoints": lambda: small(20).generate_grouped_data(16, gridsize=1, n_groups=50),
        "coord shape mismatch": lambda: RawData([1, 2], [1], None, None, np.ones((2, 16, 16)), np.ones((16, 16))),
        "diff3d 4d": lambda: RawData([1, 2], [1, 2], None, None, np.ones((2, 16, 16, 1)), np.ones((16, 16))),
    }
    assert set(calls) == set(outcome)
    for label, call in calls.items():
        if outcome[label]:
            call()
        else:
            with pytest.raises(ValueError, match=r".+"):
                call()


def small(n: int = 20, **changes) -> RawData:
    """Random amplitudes of 16 px at random places."""
    rng = np.random.default_rng(4)
    arrays = {
        "xcoords": rng.uniform(20, 60, n),
        "ycoords": rng.uniform(20, 60, n),
        "diff3d": rng.uniform(0.1, 1, (n, 16, 16)).astype(np.float32),
        "probeGuess": np.ones((16, 16), np.complex64),
    }
    return RawData.from_coords(**{**arrays, **changes})


def test_the_whole_scan_is_grouped_with_the_seed_point_first() -> None:
    grouped = small().generate_grouped_data(16, K=6, gridsize=2)
    assert grouped["nn_indices"][:, 0].tolist() == list(range(20))
    assert all(len(set(row)) == 4 for row in grouped["nn_indices"].tolist())


def clients(n: int = 20) -> RawData:
    """The same counts as ptychodus hands them over."""
    raw = small(n)
    counts = np.rint(100 * raw.diff3d).astype(np.uint16)
    return RawData.from_coords_without_pc(raw.xcoords, raw.ycoords, counts, raw.probeGuess[None], None)


def test_nsamples_is_the_number_of_groups() -> None:
    """512 groups of 150 patterns were 5,250 once; only the client's 1 means the whole scan."""
    raw = small(40)
    index = raw.generate_grouped_data(16, K=6, nsamples=9, gridsize=2, seed=3)["nn_indices"]
    assert (index.shape, index.dtype) == ((9, 4), np.int32)
    same = raw.generate_grouped_data(16, K=6, n_groups=9, gridsize=2, seed=3)["nn_indices"]
    np.testing.assert_array_equal(index, same)
    assert len(raw.generate_grouped_data(16, K=6, nsamples=1, gridsize=2)["nn_indices"]) == 40
    with pytest.raises(ScanError, match="oversampling"):
        raw.generate_grouped_data(16, K=6, nsamples=512, gridsize=2)
    more = raw.generate_grouped_data(16, K=6, nsamples=80, gridsize=2, seed=3, enable_oversampling=True)
    assert len(more["nn_indices"]) == 80


def test_nsamples_of_the_client_multiplies() -> None:
    grouped = clients().generate_grouped_data(16, K=6, nsamples=3, gridsize=2)
    assert np.bincount(grouped["nn_indices"][:, 0]).tolist() == [3] * 20
    assert len(np.unique(np.sort(grouped["nn_indices"], axis=1), axis=0)) > 20


@pytest.mark.parametrize(("K", "nsamples", "groups"), [(0, 1, 20), (3, 9, 20), (4, 9, 80), (400, 2, 40)])
def test_impossible_wishes_for_neighbours_and_samples_are_cut_to_what_exists(K, nsamples, groups) -> None:
    """The client offers every number from 0."""
    assert len(clients().generate_grouped_data(16, K=K, nsamples=nsamples, gridsize=2)["nn_indices"]) == groups


def test_seeds_decide_the_groups() -> None:
    first, again, other = (
        small().generate_grouped_data(16, K=8, gridsize=2, seed=seed)["nn_indices"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_another_pattern_size_is_refused_with_both_numbers() -> None:
    with pytest.raises(ScanError, match="N is 32 but the patterns are 16 px"):
        small().generate_grouped_data(32)


def test_neighbor_count_is_another_name_of_K() -> None:
    by_name = small().generate_grouped_data(16, gridsize=2, n_groups=9, seed=3, neighbor_count=7)
    np.testing.assert_array_equal(
        by_name["nn_indices"], small().generate_grouped_data(16, K=7, gridsize=2, n_groups=9, seed=3)["nn_indices"]
    )


def test_groups_are_kept_beside_the_data_and_used_again(tmp_path) -> None:
    path = tmp_path / "scan.npz"
    small().to_file(path)
    first = RawData.from_file(path).generate_grouped_data(16, K=4, gridsize=2, dataset_path=path)
    cache = tmp_path / "scan.g2k4.groups_cache.npz"
    with np.load(cache) as stored:
        np.testing.assert_array_equal(stored["index"], first["nn_indices"])
        changed = {"key": stored["key"], "index": stored["index"][::-1].copy()}
    np.savez(cache, **changed)
    again = RawData.from_file(path).generate_grouped_data(16, K=4, gridsize=2, dataset_path=str(path))
    np.testing.assert_array_equal(again["nn_indices"], changed["index"])


def test_a_folder_that_cannot_be_written_only_costs_the_cache(tmp_path) -> None:
    grouped = small().generate_grouped_data(16, gridsize=2, dataset_path=tmp_path / "missing" / "scan.npz")
    assert len(grouped["nn_indices"]) == 20


def test_a_file_gives_back_what_was_written(tmp_path) -> None:
    truth = np.full((20, 16, 16), 1 + 1j, np.complex64)
    raw = small(xcoords_start=np.arange(20.0), ycoords_start=np.arange(20.0), Y=truth, objectGuess=np.eye(90) + 0j)
    read = RawData.from_file(raw.to_file(tmp_path / "scan.npz"))
    for name in ("xcoords", "ycoords", "xcoords_start", "ycoords_start", "diff3d", "probeGuess", "objectGuess", "Y"):
        np.testing.assert_array_equal(getattr(read, name), getattr(raw, name), err_msg=name)
    assert read.diff3d.dtype == np.float32
    assert not read.scan_index.any()
    assert len(read) == 20
    assert "20 patterns of 16 px, amplitude" in repr(read)


def test_ground_truth_of_the_file_is_grouped() -> None:
    truth = (np.arange(20)[:, None, None] * np.ones((20, 16, 16))).astype(np.complex64)
    grouped = small(Y=truth).generate_grouped_data(16, gridsize=2)
    np.testing.assert_array_equal(grouped["Y"][:, 0, 0].real, grouped["nn_indices"])


def test_a_flat_object_is_no_ground_truth() -> None:
    assert small(objectGuess=np.ones((90, 90), np.complex64)).generate_grouped_data(16, gridsize=1)["Y"] is None


def test_load_splits_a_dictionary() -> None:
    grouped = small().generate_grouped_data(16, gridsize=1)
    parts = [load(lambda: (grouped, 0.7), np.ones((16, 16)), which, True) for which in ("train", "test")]
    assert [len(part) for part in parts] == [14, 6]
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), grouped["X_full"])
    assert parts[1].scan.positions_px.tolist() == small().scan.positions_px[14:].tolist()
    with pytest.raises(ValueError, match="'train' or 'test'"):
        load(lambda: (grouped, 0.7), np.ones((16, 16)), None, True)


def test_a_container_of_plain_arrays_has_no_scan() -> None:
    grouped = small().generate_grouped_data(16, gridsize=1)
    container = load(lambda: dict(grouped), np.ones((16, 16)))
    assert type(container.X) is np.ndarray
    assert type(load(lambda: grouped, np.ones((16, 16))).X) is not np.ndarray
    with pytest.raises(ScanError, match="give RawData instead"):
        _ = container.scan
