"""The grid-lines simulator by itself: seeds, layout, dose, objects."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ptychopinn.errors import ConfigError
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import GridLinesData, make_grid_lines, record_amplitudes
from ptychopinn.studies.grid_lines.files import write_grid_lines
from ptychopinn.studies.grid_lines.layout import GridLayout, tile_middles
from ptychopinn.studies.grid_lines.scene import GridScene, draw_lines

SMALL = GridLinesConfig(N=16, size=48, gridsize=2, nimgs_train=2, nimgs_test=2, nphotons=1e4, set_phi=True)


@pytest.fixture(scope="module")
def data() -> GridLinesData:
    return make_grid_lines(SMALL)


def digests(folder: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in write_grid_lines(make_grid_lines(SMALL), folder)]


def test_the_same_seed_gives_the_same_files_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from ptychopinn.studies.grid_lines.data import make_grid_lines\n"
        "from ptychopinn.studies.grid_lines.config import GridLinesConfig\n"
        "from ptychopinn.studies.grid_lines.files import write_grid_lines\n"
        "config = GridLinesConfig.model_validate_json(sys.argv[1])\n"
        "write_grid_lines(make_grid_lines(config), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, SMALL.model_dump_json(), str(tmp_path / "other")], check=True)
    made = sorted((tmp_path / "other").rglob("*.npz"), reverse=True)
    assert [path.name for path in made] == ["train.npz", "test.npz"]
    first = digests(tmp_path / "here")
    assert first == digests(tmp_path / "here")
    assert first == [hashlib.sha256(path.read_bytes()).hexdigest() for path in made]


def test_another_seed_gives_other_objects_and_counts_and_the_same_positions(data: GridLinesData) -> None:
    other = make_grid_lines(SMALL.changed(seed=1))
    assert not np.array_equal(other.train.scene.objects, data.train.scene.objects)
    assert not np.array_equal(other.train.amplitudes, data.train.amplitudes)
    np.testing.assert_array_equal(other.train.scene.positions_px, data.train.scene.positions_px)


def test_all_objects_differ(data: GridLinesData) -> None:
    objects = [*data.train.scene.objects, *data.test.scene.objects]
    for number, first in enumerate(objects):
        assert all(np.abs(first - second).max() > 0.05 for second in objects[:number])


def test_the_test_part_does_not_depend_on_how_many_objects_are_trained_on(data: GridLinesData) -> None:
    other = make_grid_lines(SMALL.changed(nimgs_train=1))
    np.testing.assert_array_equal(other.test.scene.objects, data.test.scene.objects)


def test_the_expected_dose_is_the_mean_over_the_training_patterns(data: GridLinesData) -> None:
    train = data.train
    expected = record_amplitudes(train.scene, train.probe, train.norm, train.intensity_scale, None)
    counts = np.square(train.intensity_scale * expected.astype(np.float64)).sum(axis=(2, 3))
    assert counts.mean() == pytest.approx(1e4, rel=1e-4)


def test_noise_free_amplitudes_follow_the_equation(data: GridLinesData) -> None:
    """|F[P O / norm]| by numpy alone, pattern by pattern, for windows cut by hand."""
    test = data.test
    expected = record_amplitudes(test.scene, test.probe, test.norm, test.intensity_scale, None)
    for group in (0, 5, len(test) - 1):
        for channel in range(4):
            y, x = test.scene.positions_px[group, channel].astype(int) - 8
            window = test.scene.objects[test.scene.object_index[group], y : y + 16, x : x + 16]
            wave = np.fft.fft2(np.fft.ifftshift(test.probe * window / test.norm), norm="ortho")
            np.testing.assert_allclose(expected[group, channel], np.abs(np.fft.fftshift(wave)), atol=1e-5)


def test_counts_are_whole(data: GridLinesData) -> None:
    counts = np.square(data.train.intensity_scale * data.train.amplitudes.astype(np.float64))
    assert np.abs(counts - np.rint(counts)).max() < 1e-3
    assert counts.max() > 10


def test_the_norm_is_the_mean_over_groups_of_their_maxima(data: GridLinesData) -> None:
    for part in (data.train, data.test):
        largest = np.abs(part.patches()).max(axis=(1, 2, 3))
        assert largest.mean() == pytest.approx(1, rel=1e-6)


def test_groups_are_shuffled_with_their_positions(data: GridLinesData) -> None:
    straight = make_grid_lines(SMALL.changed(shuffle_seed=None)).train
    order = np.random.RandomState(0).permutation(len(straight))
    np.testing.assert_array_equal(data.train.scene.positions_px, straight.scene.positions_px[order])
    np.testing.assert_array_equal(data.train.scene.object_index, straight.scene.object_index[order])
    np.testing.assert_array_equal(data.train.patches(), straight.patches()[order])
    assert np.all(np.diff(straight.scene.object_index) >= 0)


def test_phase_only_where_asked() -> None:
    plain, phased = (make_grid_lines(SMALL.changed(set_phi=phi)).test.scene.objects for phi in (False, True))
    np.testing.assert_array_equal(np.angle(plain), 0)
    np.testing.assert_allclose(np.abs(plain), np.abs(phased), rtol=1e-6)
    assert np.ptp(np.angle(phased)) > 0.01


def test_lines_are_drawn_from_the_stream_alone() -> None:
    """400 lines take 1600 numbers; the second object goes on where the first ended."""
    state, skipped = np.random.RandomState(5), np.random.RandomState(5)
    draw_lines(24, state)
    skipped.rand(1600)
    np.testing.assert_array_equal(draw_lines(24, state), draw_lines(24, skipped))


def test_probe_from_a_file_and_by_hand(tmp_path: Path) -> None:
    probe = np.exp(-(np.linspace(-2, 2, 12) ** 2) + 0.3j)[:, None] * np.ones(12)
    np.savez(tmp_path / "probe.npz", probeGuess=probe[None])
    by_file = make_grid_lines(SMALL.changed(probe_npz=str(tmp_path / "probe.npz"))).train
    by_hand = make_grid_lines(SMALL, probe[..., None]).train
    np.testing.assert_array_equal(by_file.probe, by_hand.probe)
    np.testing.assert_array_equal(by_file.amplitudes, by_hand.amplitudes)
    assert by_hand.metadata["additional_parameters"]["probe_source"] == "custom"
    assert np.abs(by_hand.probe_guess).max() == pytest.approx(np.abs(probe).max(), rel=0.05)


def test_the_scale_of_a_given_probe_does_not_matter() -> None:
    first, second = (make_grid_lines(SMALL, scale * np.ones((8, 8))).train for scale in (1, 7))
    np.testing.assert_allclose(first.probe, second.probe, rtol=1e-6)


def test_several_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"shape \(2, 16, 16\); grid-lines data have one mode"):
        make_grid_lines(SMALL, np.ones((2, 16, 16)))


def test_a_probe_beside_the_middle_is_refused() -> None:
    corner = np.zeros((16, 16))
    corner[0, 0] = 1
    with pytest.raises(ConfigError, match="zero in the middle of the window"):
        make_grid_lines(SMALL.changed(probe_smoothing_sigma=0.0), corner)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 27}, "raise size to 28 or more"),
        ({"outer_offset_test": 40}, "leaves gaps; lower the outer offset to 32"),
        ({"outer_offset_train": 15}, "multiple of 2"),
        ({"nphotons": 0}, "greater than 0"),
        ({"probe_scale_mode": "zoom"}, "pad_extrapolate"),
        ({"nimages": 3}, "Extra inputs"),
    ],
)
def test_settings_that_break_a_rule_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GridLinesConfig(**{"N": 16, "size": 64, "gridsize": 2} | settings)


@pytest.mark.parametrize(("size", "gridsize", "stride"), [(49, 1, 4), (48, 1, 5), (52, 2, 3), (60, 3, 8)])
def test_tiled_windows_are_the_truth(size: int, gridsize: int, stride: int) -> None:
    """The first window of every group, its middle side by side: a part of the object, for odd borders too."""
    layout = GridLayout(16, gridsize, 2, stride, size)
    object_ = np.random.default_rng(0).standard_normal((1, size, size)).astype(np.complex64)
    scene = GridScene.of_objects(layout, object_)
    patches = scene.windows()[:, 0].reshape(1, layout.steps, layout.steps, 16, 16)
    image = tile_middles(patches, stride)
    low = (16 - stride + 1) // 2
    np.testing.assert_array_equal(image[0], object_[0, low : low + len(image[0]), low : low + len(image[0])])
    if gridsize == 1:
        np.testing.assert_array_equal(image[0], object_[0][layout.truth_region])


@pytest.mark.parametrize(("size", "gridsize", "stride"), [(49, 1, 4), (48, 1, 5), (52, 2, 3), (60, 3, 8)])
def test_the_truth_lies_within_what_was_scanned(size: int, gridsize: int, stride: int) -> None:
    layout = GridLayout(16, gridsize, 2, stride, size)
    seen = np.zeros((size, size), bool)
    for y, x in layout.positions_px().reshape(-1, 2).astype(int) - 8:
        seen[y : y + 16, x : x + 16] = True
    assert seen[layout.truth_region].all()
    assert seen[layout.truth_region].shape == (layout.steps * stride,) * 2
