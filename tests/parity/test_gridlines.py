"""Grid-lines data, probe transforms, objects and stitching against the numbers of the earlier implementation.

Tolerance: 1e-4 of each value plus 1e-5 of the largest; coordinates, shapes and types exact. Objects by the seeds 1 and
2, which the earlier implementation always takes; the recorded shuffle is that of our default.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.simulation.probe_transforms import ideal_disk, prepare_probe
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import (
    GridLinesData,
    GridLinesSplit,
    make_grid_lines,
    record_amplitudes,
    scans_of,
)
from ptychopinn.studies.grid_lines.files import file_arrays
from ptychopinn.studies.grid_lines.layout import GridLayout, tile_middles
from ptychopinn.studies.grid_lines.reader import read_grid_lines
from ptychopinn.studies.grid_lines.scene import draw_lines

pytestmark = pytest.mark.shared_data

CASES = ("N64_gs1_interp_mask_phi", "N64_gs1_padpreserve", "N64_gs2_padextrap")
PARTS = ("train", "test")
Arrays = dict[str, NDArray[Any]]


class Case:
    """One recorded data set, and ours of the same settings."""

    def __init__(self, folder: Path, name: str) -> None:
        self.about = json.loads((folder / f"{name}.json").read_text())
        self.theirs = load(folder / f"{name}.npz")
        settings = self.about["config"] | {"object_seeds": (1, 2)}
        self.data: GridLinesData = make_grid_lines(GridLinesConfig(**settings), self.theirs["probe_input"])
        self.ours = {part: file_arrays(getattr(self.data, part)) for part in PARTS}


def load(path: Path) -> Arrays:
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


@pytest.fixture
def folder(shared_dir: Path) -> Path:
    return shared_dir / "parity" / "gridlines"


@cache
def made(folder: Path, name: str) -> Case:
    """Simulated once for all tests."""
    return Case(folder, name)


@pytest.fixture(params=CASES)
def case(folder: Path, request: pytest.FixtureRequest) -> Case:
    return made(folder, request.param)


def same(ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(np.abs(theirs).max()))


@pytest.mark.parametrize(("seed", "size"), [(1, 64), (2, 64), (1, 96)])
def test_objects_of_a_legacy_stream(folder: Path, seed: int, size: int) -> None:
    ours = draw_lines(size, np.random.RandomState(seed))
    np.testing.assert_array_equal(ours.astype(np.float32), load(folder / "lines_objects.npz")[f"seed{seed}_size{size}"])


def test_the_global_random_stream_is_left_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_grid_lines(GridLinesConfig(N=16, size=32, nimgs_train=1))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("number", range(7))
def test_probe_transforms(folder: Path, number: int) -> None:
    arrays = load(folder / "probe_transforms.npz")
    about = json.loads(str(arrays["meta_json"]))[number]
    ours = prepare_probe(
        arrays[f"in_{number}"],
        about["target_N"],
        scale_mode=about["probe_scale_mode"],
        smoothing_sigma=about["smoothing_sigma"] or 0,
        pipeline=about["pipeline"],
        mask_diameter=about["mask_diameter"],
    )
    same(ours.probe, arrays[f"out_{number}"])
    assert ours.pipeline == about["normalized_pipeline"]
    assert ours.steps == about["steps"]


def test_ideal_disk_and_mask(folder: Path) -> None:
    arrays = load(folder / "probe_transforms.npz")
    same(ideal_disk(64), arrays["ideal_disk_64"])
    ours = prepare_probe(np.ones((64, 64)), 64, mask_diameter=40)
    np.testing.assert_array_equal(ours.probe, arrays["disk_mask_64_40"])


def test_probe_transform_errors(folder: Path) -> None:
    """The same type with the same sentence in front; ours goes on with the way out."""
    for case in json.loads((folder / "probe_transform_errors.json").read_text()):
        given = case["input"]
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            prepare_probe(
                np.ones(given["probe_shape"]["__tuple__"]),
                given["target_N"],
                scale_mode=given["probe_scale_mode"],
                smoothing_sigma=given["probe_smoothing_sigma"],
                pipeline=given["probe_transform_pipeline"],
            )
        assert isinstance(caught.value, ConfigError)
        assert str(caught.value).startswith(case["message"])
        assert len(str(caught.value)) > len(case["message"])


@pytest.mark.parametrize("part", PARTS)
def test_keys_shapes_and_types(case: Case, part: str) -> None:
    """`_metadata` is text in ours, see the test of the files."""
    theirs = {key: (tuple(entry["shape"]), entry["dtype"]) for key, entry in case.about[part]["npz_keys"].items()}
    ours = {key: (array.shape, array.dtype.name) for key, array in case.ours[part].items()}
    assert ours == {key: entry for key, entry in theirs.items() if key != "_metadata"}


def test_shuffle(case: Case) -> None:
    index = case.theirs["train_shuffle_indices"]
    canonical = np.tile(case.data.train.scene.layout.positions_px(), (case.data.config.nimgs_train, 1, 1))
    np.testing.assert_array_equal(case.data.train.scene.positions_px, canonical[index])


BOTH = [(part, key) for part in PARTS for key in ("YY_full", "Y_I", "Y_phi", "coords_nominal")]


@pytest.mark.parametrize(("part", "key"), [*BOTH, ("test", "YY_ground_truth"), ("test", "norm_Y_I")])
def test_what_no_noise_enters(case: Case, part: str, key: str) -> None:
    theirs = case.theirs[f"{part}__{key}"]
    same(case.ours[part][key] if theirs.ndim == 0 else case.ours[part][key][: len(theirs)], theirs)


def test_true_coordinates_equal_the_nominal_ones(case: Case) -> None:
    assert case.about["coords_true_equals_nominal"]
    for part in PARTS:
        np.testing.assert_array_equal(case.ours[part]["coords_true"], case.ours[part]["coords_nominal"])


def test_coordinates_of_the_test_part(case: Case) -> None:
    np.testing.assert_array_equal(case.ours["test"]["coords_offsets"], case.theirs["test__coords_offsets"])


def test_probe(case: Case) -> None:
    for key in ("probeGuess", "probe_simulated"):
        same(case.ours["train"][key], case.theirs[f"train__{key}"])
        same(case.ours["test"][key], case.theirs[f"train__{key}"])


def test_photon_scale(case: Case) -> None:
    assert case.data.train.intensity_scale == pytest.approx(case.about["intensity_scale"], rel=1e-5)
    assert case.data.test.intensity_scale == case.data.train.intensity_scale


def expected_counts(split: GridLinesSplit) -> NDArray[np.float64]:
    """(s A)^2, (B, N, N, C)."""
    amplitudes = record_amplitudes(split.scene, split.probe, split.norm, split.intensity_scale, None)
    return np.moveaxis(np.square(split.intensity_scale * amplitudes.astype(np.float64)), 1, -1)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_patterns_are_poisson_counts_of_the_same_expectation(case: Case, part: str, whose: str) -> None:
    """X is the root of whole counts over s; their mean, variance and sum are those of our expectation."""
    split: GridLinesSplit = getattr(case.data, part)
    kept = case.theirs[f"{part}__diffraction"]
    amplitudes = kept if whose == "theirs" else case.ours[part]["diffraction"]
    expected = expected_counts(split)[: len(amplitudes)]
    counts = np.square(split.intensity_scale * amplitudes.astype(np.float64))
    few = counts < 100
    assert np.abs(counts - np.rint(counts))[few].max() < 1e-3
    bright = expected > 5
    deviation = ((counts - expected)[bright] / np.sqrt(expected[bright])).ravel()
    assert abs(deviation.mean()) < 5 / np.sqrt(deviation.size)
    assert np.square(deviation).mean() == pytest.approx(1, abs=5 * np.sqrt(2.5 / deviation.size))
    total, mean = counts.sum(), expected.sum()
    assert abs(total - mean) < 5 * np.sqrt(mean)


def test_contrast(case: Case) -> None:
    """Standard deviation over mean of the object, in what reconstructions are compared with."""
    ours, theirs = (np.abs(arrays) for arrays in (case.data.test.truth, case.theirs["test__YY_ground_truth"]))
    assert ours.std() / ours.mean() == pytest.approx(theirs.std() / theirs.mean(), rel=1e-4)


@pytest.mark.parametrize("part", PARTS)
def test_metadata(case: Case, part: str) -> None:
    """All that describes the data; ours says more, and leaves out what describes a training."""
    ours, theirs = getattr(case.data, part).metadata, case.about[part]["metadata"]
    assert ours["schema_version"] == theirs["schema_version"]
    for key in ("nphotons", "gridsize", "N"):
        assert ours["physics_parameters"][key] == theirs["physics_parameters"][key]
    more = theirs["additional_parameters"]
    assert {key: ours["additional_parameters"][key] for key in more} == more | {"probe_npz": None}


def test_divergence_metadata_name_neither_time_nor_machine(case: Case) -> None:
    """The same seed shall give the same file."""
    assert {"timestamp", "hostname"} <= set(case.about["train"]["metadata"]["creation_info"])
    assert set(case.data.train.metadata["creation_info"]) == {"script", "ptychopinn_version"}


def coordinates_show_patterns(arrays: Arrays, offsets: NDArray[Any], objects: NDArray[np.int64]) -> bool:
    """Whether every `Y_I` is the window at its `coords_offsets`, but for one factor."""
    illuminated, probe = arrays["Y_I"], np.abs(arrays["probe_simulated"])
    for image, pairs, number in zip(illuminated, offsets, objects, strict=False):
        for channel in range(image.shape[-1]):
            y, x = (pairs[0, :, channel] - 31.5).astype(int)
            window = np.abs(arrays["YY_full"][number, y : y + 64, x : x + 64, 0]) * probe
            factor = image[..., channel].sum() / window.sum()
            if np.abs(image[..., channel] - factor * window).max() > 1e-4:
                return False
    return True


def test_defect_3_coordinates_follow_their_patterns(case: Case) -> None:
    """Theirs stay in scan order when patterns are shuffled, and count objects within positions, not outside."""
    train = case.data.train
    arrays, objects = case.ours["train"], train.scene.object_index
    assert coordinates_show_patterns(arrays, arrays["coords_offsets"], objects)
    theirs = case.theirs["train__coords_offsets"]
    kept = {key: arrays[key] for key in ("YY_full", "probe_simulated")} | {"Y_I": case.theirs["train__Y_I"]}
    assert not coordinates_show_patterns(kept, theirs, objects)
    straight = np.repeat(train.scene.layout.positions_px(), case.data.config.nimgs_train, axis=0)[: len(theirs)] - 0.5
    np.testing.assert_array_equal(theirs[:, 0].transpose(0, 2, 1), straight)


def test_defect_2_truth_patches_are_cut_where_the_patterns_are(folder: Path) -> None:
    """A group of four: each label is the window under its own pattern, not the one mirrored at the group's centre."""
    split = made(folder, "N64_gs2_padextrap").data.test
    (scan,) = scans_of(split, truth_patches=True)
    first = split.scene.objects[0] / np.float32(split.norm)
    assert scan.truth_patches is not None
    for label, (y, x) in zip(scan.truth_patches, scan.positions_px.astype(int) - 32, strict=True):
        np.testing.assert_array_equal(label, first[y : y + 64, x : x + 64])
    mirrored = scan.truth_patches.reshape(-1, 4, 64, 64)[:, ::-1].reshape(-1, 64, 64)
    assert np.abs(mirrored - scan.truth_patches).max() > 0.05


def test_defect_9_objects_follow_the_seed() -> None:
    """Theirs come from the seeds 1 and 2, whatever seed is set."""
    drawn = [make_grid_lines(GridLinesConfig(N=16, size=32, nimgs_train=1, seed=seed)) for seed in (3, 4, 3)]
    for part in PARTS:
        objects = [getattr(data, part).scene.objects for data in drawn]
        assert np.abs(objects[0] - objects[1]).max() > 0.1
        np.testing.assert_array_equal(objects[0], objects[2])


@pytest.mark.parametrize(("gridsize", "size"), [(1, 87), (2, 81)])
def test_region_of_the_truth(folder: Path, gridsize: int, size: int) -> None:
    arrays = load(folder / f"stitch_gs{gridsize}.npz")
    about = json.loads(str(arrays["meta_json"]))
    region = GridLayout(64, gridsize, about["offset"], about["outer_offset_test"] // 2, size).truth_region
    assert region[0].start == about["clip_sizes_borderL_borderR_clipL_clipR"][2]
    np.testing.assert_array_equal(arrays["in_full_object"][0][region], arrays["out_clipped_object"][0])


def tiled(arrays: Arrays) -> NDArray[Any]:
    """Theirs: the patterns of a group are tiled as if they were groups of an image."""
    patches = np.moveaxis(arrays["in_pred"], -1, 1)
    steps = arrays["out_amp"].shape[1] // 10
    return 1.7 * tile_middles(patches.reshape(-1, steps, steps, 64, 64), 10)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_stitching(folder: Path, gridsize: int) -> None:
    arrays = load(folder / f"stitch_gs{gridsize}.npz")
    ours = tiled(arrays)
    same(ours, arrays["out_complex"][..., 0])
    same(np.abs(ours), arrays["out_amp"][..., 0])


def test_divergence_the_norm_does_not_multiply_the_phase(folder: Path) -> None:
    """Their image of the phase is norm_Y_I times the phase of their complex image."""
    arrays = load(folder / "stitch_gs1.npz")
    phase = np.angle(tiled(arrays))
    same(phase, np.angle(arrays["out_complex"][..., 0]))
    same(1.7 * phase, arrays["out_phase"][..., 0])


def test_the_baseline_pairs_as_it_was_shuffled(shared_dir: Path) -> None:
    """Training patterns of the earlier simulator without coordinates: found from what they show."""
    path = shared_dir / "parity" / "baseline_dataset.npz"
    split = read_grid_lines(path, "train")
    canonical = split.scene.layout.positions_px()
    np.testing.assert_array_equal(split.scene.positions_px, canonical[load(path)["train_shuffle_indices"]])


@pytest.mark.parametrize("part", PARTS)
def test_the_baseline_is_a_scan(shared_dir: Path, part: Any) -> None:
    """Whole counts about what object, probe and positions predict; the truth is the one in the file."""
    path = shared_dir / "parity" / "baseline_dataset.npz"
    split, theirs = read_grid_lines(path, part), load(path)
    (scan,) = scans_of(split)
    assert scan.patterns.shape == theirs[f"{part}__diffraction"].shape[:-1]
    counts, expected = scan.counts().astype(np.float64), np.moveaxis(expected_counts(split), -1, 1)[:, 0]
    few = counts < 1000
    assert np.abs(counts - np.rint(counts))[few].max() < 0.01
    bright = expected > 5
    assert (np.square(counts - expected)[bright] / expected[bright]).mean() == pytest.approx(1, abs=0.05)
    assert split.norm == pytest.approx(float(theirs["test__norm_Y_I"]), rel=1e-6 if part == "test" else 0.05)
    if part == "test":
        np.testing.assert_array_equal(split.truth[0], theirs["test__YY_ground_truth"][..., 0])
