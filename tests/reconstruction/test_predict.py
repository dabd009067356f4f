"""From a model and a scan to one image: with a generator that knows the truth, the truth."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe, ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError
from ptychopinn.models import PatchModel, build_model
from ptychopinn.physics import DiffractionModel
from ptychopinn.reconstruction import predict
from ptychopinn.reconstruction.predict import predict_and_stitch
from ptychopinn.simulation import record_patterns

MakeModel = Callable[..., PatchModel]


def alone(scan: Scan) -> np.ndarray:
    return np.arange(len(scan))[:, None]


def in_groups(scan: Scan) -> np.ndarray:
    """(N, 4): every pattern with three others, in an order of their own."""
    return np.random.default_rng(0).permuted(np.tile(np.arange(len(scan)), (4, 1)), axis=1).T


def image_of(scan: Scan, model: PatchModel, groups: np.ndarray, **settings: object) -> Reconstruction:
    config = ReconstructionConfig.model_validate(settings)
    return predict_and_stitch(model, ScanTensors(scan), groups, config)[0]


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("table", [alone, in_groups])
def test_true_patches_give_the_true_object(
    noise_free: Callable[..., Scan],
    make_model: MakeModel,
    size: int,
    modes: int,
    table: Callable[[Scan], np.ndarray],
) -> None:
    scan = noise_free(size, modes)
    groups = table(scan)
    image = image_of(scan, make_model(scan, truth_of=groups), groups)
    assert image.covered.sum() > 300
    np.testing.assert_allclose(image.object_[image.covered], scan.object_guess[image.covered], atol=1e-5)
    assert (image.object_[~image.covered] == 1).all()
    assert image.probe.shape == (modes, size, size)


@pytest.mark.parametrize("weight", ["probe", "uniform", "central"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_neither_weights_nor_batches_change_the_truth(
    scan: Scan, make_model: MakeModel, weight: str, batch_size: int
) -> None:
    groups = in_groups(scan)
    model = make_model(scan, truth_of=groups)
    image = image_of(scan, model, groups, weight=weight, batch_size=batch_size)
    np.testing.assert_allclose(image.object_[image.covered], scan.object_guess[image.covered], atol=1e-5)


@pytest.mark.parametrize("grouping", ["single", "stacked"])
def test_batch_sizes_agree_for_a_network(scan: Scan, make_model: MakeModel, grouping: str) -> None:
    groups, model = in_groups(scan), make_model(scan, f"model.generator.grouping={grouping}")
    images = [image_of(scan, model, groups, batch_size=size).object_ for size in (4, 28, 1000)]
    assert np.abs(images[0] - 1).max() > 0.01
    np.testing.assert_allclose(images[1], images[0], atol=1e-5)
    np.testing.assert_allclose(images[2], images[0], atol=1e-5)


def test_single_patterns_need_only_groups_of_one(scan: Scan, make_model: MakeModel) -> None:
    model = make_model(scan)
    np.testing.assert_allclose(
        image_of(scan, model, alone(scan)).object_, image_of(scan, model, in_groups(scan)).object_, atol=1e-5
    )


def test_bilinear_patches_are_stitched_at_their_exact_positions(scan: Scan, make_model: MakeModel) -> None:
    y, x = np.indices(scan.object_guess.shape) / 3
    smooth = (1 - 0.2 * np.sin(x) + 0.2j * np.sin(y + x / 2)).astype(np.complex64)
    scan = replace(scan, object_guess=smooth)
    overrides = ("model.subpixel=bilinear",)
    image = image_of(scan, make_model(scan, *overrides, truth_of=alone(scan)), alone(scan), weight="uniform")
    error = np.abs(image.object_ - smooth)[image.coverage > 0.2]
    assert error.mean() < 0.01
    whole_pixels = make_model(scan, *overrides, truth_of=alone(scan))
    whole_pixels.physics = DiffractionModel("probe")
    rounded = image_of(scan, whole_pixels, alone(scan), weight="uniform")
    assert np.abs(rounded.object_ - smooth)[image.coverage > 0.2].mean() > 2 * error.mean()


def test_the_canvas_is_that_of_the_object_guess(scan: Scan, make_model: MakeModel) -> None:
    image = image_of(scan, make_model(scan), alone(scan))
    assert image.object_.shape == image.coverage.shape == scan.object_guess.shape
    assert image.origin_px.tolist() == [0, 0]
    np.testing.assert_array_equal(image.positions_px, scan.positions_px)
    np.testing.assert_array_equal(image.probe, scan.probe)


@pytest.mark.parametrize("shift", [0, -300])
def test_without_object_guess_the_canvas_holds_the_windows_and_knows_its_place(
    scan: Scan, make_model: MakeModel, shift: int
) -> None:
    model = make_model(scan, truth_of=alone(scan))
    moved = replace(scan, object_guess=None, positions_px=scan.positions_px + shift)
    image = image_of(moved, model, alone(scan), weight="uniform")
    whole = np.floor(moved.positions_px + 0.5)
    assert image.origin_px.tolist() == (whole.min(axis=0) - 8 - 1).tolist()
    assert image.object_.shape == tuple((np.ptp(whole, axis=0) + 16 + 2).astype(int))
    rows, columns = np.nonzero(image.covered)
    truth = scan.object_guess[rows + image.origin_px[0] - shift, columns + image.origin_px[1] - shift]
    np.testing.assert_allclose(image.object_[image.covered], truth, atol=1e-5)


def test_patches_beyond_the_object_guess_are_cropped_and_told(
    scan: Scan, make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model(scan, truth_of=alone(scan))
    small = replace(scan, object_guess=scan.object_guess[:30, :28])
    image = image_of(small, model, alone(scan))
    assert image.object_.shape == (30, 28)
    np.testing.assert_allclose(image.object_[image.covered], small.object_guess[image.covered], atol=1e-5)
    assert "covered pixels lie outside the frame of objectGuess and are cropped" in caplog.text


def test_nothing_is_told_when_nothing_is_cropped(
    scan: Scan, make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    image_of(scan, make_model(scan), alone(scan))
    assert caplog.text == ""


def test_scans_that_make_no_single_image_are_refused_before_the_work(scan: Scan, make_model: MakeModel) -> None:
    told: list[int] = []
    model = make_model(scan)
    for wrong in (
        replace(scan, scan_index=np.arange(len(scan)) % 2),
        replace(scan, positions_px=scan.positions_px + 1000),
    ):
        with pytest.raises(ScanError):
            predict_and_stitch(
                model, ScanTensors(wrong), alone(scan), ReconstructionConfig(), lambda done, of: told.append(done)
            )
    assert told == []


def test_progress_and_timing(scan: Scan, make_model: MakeModel) -> None:
    told: list[tuple[int, int]] = []
    groups, n = in_groups(scan), len(scan)
    config = ReconstructionConfig(batch_size=32)
    _, timing = predict_and_stitch(
        make_model(scan), ScanTensors(scan), groups, config, lambda done, of: told.append((done, of))
    )
    assert told == [(min(start + 8, n), n) for start in range(0, n, 8)]
    assert timing.predict_s > 0
    assert timing.stitch_s > 0
    assert timing.patterns == n
    assert timing.patterns_per_s == pytest.approx(n / (timing.predict_s + timing.stitch_s))


def test_the_network_is_not_in_training_mode_and_keeps_no_gradient(scan: Scan, make_model: MakeModel) -> None:
    model = make_model(scan).train()
    image_of(scan, model, alone(scan))
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def expected_counts(*arguments: Any) -> torch.Tensor:
    """Photons (N, H, W): all batches together."""
    return torch.cat([photons for _, photons in predict.expected_counts(*arguments)])


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("batch_size", [5, 64])
def test_expected_counts_of_the_true_object_are_the_patterns(
    noise_free: Callable[..., Scan], make_model: MakeModel, size: int, modes: int, batch_size: int
) -> None:
    scan = noise_free(size, modes)
    truth = Reconstruction(
        scan.object_guess, np.ones(scan.object_guess.shape), np.zeros(2), scan.positions_px, scan.probe
    )
    expected = expected_counts(make_model(scan), ScanTensors(scan), truth, batch_size)
    peak = scan.patterns.max()
    np.testing.assert_allclose(expected, scan.patterns, atol=1e-4 * peak)
    shifted = replace(truth, origin_px=np.array([1, 0]))
    wrong = expected_counts(make_model(scan), ScanTensors(scan), shifted, batch_size)
    assert np.abs(wrong.numpy() - scan.patterns).max() > 0.01 * peak


def test_expected_counts_take_the_scale_of_the_model(scan: Scan, make_model: MakeModel) -> None:
    model, tensors = make_model(scan), ScanTensors(scan)
    image = image_of(scan, make_model(scan, truth_of=alone(scan)), alone(scan))
    once = expected_counts(model, tensors, image)
    stronger = build_model(Recipe(), torch.from_numpy(scan.probe), 3.0)
    torch.testing.assert_close(expected_counts(stronger, tensors, image), 9 * once, rtol=1e-3, atol=1e-2)


def test_expected_counts_of_a_bilinear_model(scan: Scan, make_model: MakeModel) -> None:
    y, x = np.indices(scan.object_guess.shape) / 3
    smooth = (1 - 0.2 * np.sin(x) + 0.2j * np.sin(y + x / 2)).astype(np.complex64)
    patterns = record_patterns(smooth, scan.probe, scan.positions_px, None)
    truth = Reconstruction(smooth, np.ones(smooth.shape), np.zeros(2), scan.positions_px, scan.probe)
    model = make_model(scan, "model.subpixel=bilinear")
    expected = expected_counts(model, ScanTensors(scan), truth).numpy()
    misfit = np.abs(np.sqrt(expected) - np.sqrt(patterns)).sum() / np.sqrt(patterns).sum()
    assert misfit < 0.005
