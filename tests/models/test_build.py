"""From scan to model: probe, intensity scale, statistics, labels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import ModelConfig, ProbeConfig, Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.models import (
    PatchModel,
    build_model,
    fit_statistics,
    labels_for,
    needs_labels,
    prepare_probe,
    scan_scale,
    with_labels,
)
from ptychopinn.physics import FarField, detect_patches

MakeModel = Callable[..., PatchModel]
WithTruth = Callable[[PatchModel, ScanTensors, Batch], PatchModel]


def scale_of(scan: Scan, rule: str) -> float:
    recipe = Recipe().with_overrides([f"model.intensity_scale={rule}"])
    return scan_scale(recipe, ScanTensors(scan), torch.from_numpy(scan.probe))[0]


def counts_of_flat_object(scan: Scan, scale: float) -> float:
    flat = torch.ones(scan.patterns.shape[1:], dtype=torch.complex64)
    return float(detect_patches(flat, scale * torch.from_numpy(scan.probe), FarField()).sum())


def test_a_calibrated_probe_keeps_its_scale(scan: Scan) -> None:
    assert scale_of(scan, "auto") == scale_of(scan, "probe") == 1.0


@pytest.mark.parametrize("factor", [0.01, 30.0])
@pytest.mark.parametrize("rule", ["auto", "data", "trainable"])
def test_an_uncalibrated_probe_is_scaled_to_the_counts(scan: Scan, factor: float, rule: str) -> None:
    wrong = replace(scan, probe=scan.probe * np.float32(factor))
    mean = float(scan.patterns.sum((1, 2)).mean())
    assert counts_of_flat_object(wrong, scale_of(wrong, rule)) == pytest.approx(mean, rel=1e-4)
    assert counts_of_flat_object(wrong, scale_of(wrong, "probe")) != pytest.approx(mean, rel=0.5)


def test_a_rescaled_probe_makes_the_model_agree_with_the_counts(scan: Scan, make_model: MakeModel) -> None:
    wrong = replace(scan, probe=scan.probe * np.float32(0.01))
    batch = ScanTensors(wrong).gather(np.arange(len(scan))[:, None])
    expected = make_model(wrong)(batch).expected.detach().sum()
    assert float(expected) == pytest.approx(float(batch.amplitude.square().sum()), rel=1e-4)


@pytest.mark.parametrize("per_pattern", [False, True])
def test_light_behind_bad_pixels_does_not_lower_the_scale(scan: Scan, per_pattern: bool) -> None:
    bad = np.zeros(scan.patterns.shape if per_pattern else (16, 16), bool)
    bad[..., :9] = True  # more than half of the light
    masked = replace(scan, bad_pixels=bad)
    hidden = 1 - ScanTensors(masked).mean_counts_per_pattern() / ScanTensors(scan).mean_counts_per_pattern()
    assert hidden > 0.4
    assert scale_of(masked, "data") == pytest.approx(scale_of(scan, "data"), rel=0.1)
    assert scale_of(masked, "auto") == 1.0


def test_a_mask_that_hides_all_light_of_the_probe_leaves_only_its_own_scale(scan: Scan) -> None:
    bad = np.abs(np.fft.fftshift(np.fft.fft2(scan.probe[0]))) > 1e-6
    bad[0, 0] = False
    masked = replace(scan, bad_pixels=bad)
    with pytest.raises(ScanError, match="intensity_scale=probe"):
        scale_of(masked, "auto")
    assert scale_of(masked, "probe") == 1.0


def test_the_prepared_probe_is_what_the_recipe_says(scan: Scan) -> None:
    same = prepare_probe(scan.probe, ProbeConfig())
    np.testing.assert_array_equal(same, scan.probe)
    assert not np.shares_memory(same.numpy(), scan.probe)
    assert prepare_probe(scan.probe, ProbeConfig(modes=3)).shape == (3, 16, 16)
    np.testing.assert_allclose(prepare_probe(scan.probe, ProbeConfig(scale=2.0)), 2 * scan.probe)
    masked = prepare_probe(scan.probe, ProbeConfig(mask_radius=0.5))
    y, x = np.indices((16, 16)) - 8
    np.testing.assert_array_equal(masked[0] != 0, (y**2 + x**2 < 16) & (scan.probe[0] != 0))
    smooth = prepare_probe(scan.probe, ProbeConfig(smoothing_px=1.5))
    assert np.abs(np.diff(smooth[0].abs())).sum() < np.abs(np.diff(np.abs(scan.probe[0]))).sum()


def test_a_model_has_a_probe_of_its_own(scan: Scan) -> None:
    probe = torch.from_numpy(scan.probe)
    recipe = Recipe().with_overrides(["model.probe.trainable=true"])
    first, second = build_model(recipe, probe), build_model(recipe, probe)
    with torch.no_grad():
        first.probe_parts += 1
    assert not torch.equal(first.probe, second.probe)
    with torch.no_grad():
        second.probe_parts += 1
    np.testing.assert_array_equal(probe, scan.probe)
    assert second.probe_parts.requires_grad


@pytest.mark.parametrize("kind", ["back_projected", "log_counts", "amplitude"])
def test_statistics_are_those_of_the_training_patterns(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, kind: str
) -> None:
    bad = np.zeros((16, 16), bool)
    bad[3:5] = True
    scan = replace(scan, bad_pixels=bad)
    tensors, model = ScanTensors(scan), make_model(scan, f"model.generator.input={kind}")
    raw = model.generator.network_input(model.view(tensors.gather(groups))).detach()
    fitted = fit_statistics(model, [(tensors, groups)])
    assert fitted.n_patterns == 12
    assert fitted.pattern_size == 16
    assert fitted.mean_count == pytest.approx(float(scan.patterns[:12][:, ~bad].mean()), rel=1e-5)
    assert fitted.input_mean == pytest.approx(0 if kind == "back_projected" else float(raw.mean()), abs=1e-6)
    assert fitted.input_deviation == pytest.approx(float(raw.std(correction=0)), rel=1e-4)
    normalised = model.generator.network_input(model.view(tensors.gather(groups)))
    assert float(normalised.std()) == pytest.approx(1, rel=1e-3)


def test_an_input_without_any_contrast_is_refused(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    flat = replace(scan, patterns=np.ones_like(scan.patterns), source="flat.npz")
    model = make_model(flat, "model.generator.input=amplitude")
    with pytest.raises(ScanError, match=r"flat\.npz: every input of the network is the same number"):
        fit_statistics(model, [(ScanTensors(flat), groups)])


def test_labels_are_the_scans_own(scan: Scan) -> None:
    own = np.full((len(scan), 16, 16), 0.5j, np.complex64)
    assert labels_for(replace(scan, truth_patches=own)) is own


@pytest.mark.parametrize("size", [16, 17])
def test_labels_are_cut_from_the_object_guess_at_the_rounded_positions(
    noise_free: Callable[..., Scan], size: int
) -> None:
    scan = noise_free(size)
    labels = labels_for(scan)
    whole = np.floor(scan.positions_px + 0.5).astype(int) - size // 2
    expected = np.stack([scan.object_guess[y : y + size, x : x + size] for y, x in whole])
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(with_labels(scan).truth_patches, expected)


def test_labels_of_a_bilinear_model_lie_at_the_exact_positions(
    scan: Scan, groups: np.ndarray, make_model: MakeModel
) -> None:
    y, x = np.indices(scan.object_guess.shape)
    ramp = replace(scan, object_guess=(y + 1j * x).astype(np.complex64))
    labels = labels_for(ramp, "bilinear")
    np.testing.assert_allclose(labels[:, 8, 8].real, scan.positions_px[:, 0], rtol=1e-5)
    np.testing.assert_allclose(labels[:, 8, 8].imag, scan.positions_px[:, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"object_guess": None}, "neither Y nor objectGuess"),
        ({"object_guess": np.ones((52, 52), np.complex64)}, "objectGuess is flat"),
        ({"object_guess": np.arange(400, dtype=np.complex64).reshape(20, 20)}, "leave the canvas of 20x20"),
    ],
)
def test_scans_without_usable_labels_are_refused(scan: Scan, changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ScanError, match=rf"file\.npz: .*{rule}"):
        labels_for(replace(scan, source="file.npz", **changes))


def test_which_recipes_need_labels() -> None:
    def needs(**loss: float) -> bool:
        return needs_labels(ModelConfig.model_validate({"loss": loss}))

    assert not needs()
    assert not needs(realspace_mae_weight=1.0)
    assert not needs(realspace_weight=1.0)
    assert needs(realspace_mae_weight=1.0, realspace_weight=1.0)
    assert needs_labels(ModelConfig(kind="supervised"))


def test_supervised_compares_with_labels_where_there_is_light(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, with_truth: WithTruth
) -> None:
    tensors = ScanTensors(with_labels(scan))
    batch = tensors.gather(groups)
    model = with_truth(make_model(scan, "model.kind=supervised"), tensors, batch)
    assert float(model.losses(batch, 1.0)["realspace_mae"].detach()) == 0
    power = model.view(batch).probes.abs().square().sum(-3).detach()
    dark = power < 1e-7 * power.amax((-2, -1), keepdim=True)
    shifted = replace(batch, labels=torch.where(dark, batch.labels, batch.labels + 0.25j))
    assert float(model.losses(shifted, 1.0)["realspace_mae"].detach()) == pytest.approx(0.25, rel=1e-4)


def test_supervised_without_labels_is_refused(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    model = make_model(scan, "model.kind=supervised")
    with pytest.raises(ScanError, match=r"model\.kind=pinn"):
        model.losses(ScanTensors(scan).gather(groups), 1.0)


def test_supervised_gradients_reach_the_network_only(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    model = make_model(scan, "model.kind=supervised", "model.probe.trainable=true")
    model.losses(ScanTensors(with_labels(scan)).gather(groups), 1.0)["realspace_mae"].backward()
    assert model.generator.network.head.weight.grad.abs().max() > 0
    assert model.probe_parts.grad is None
