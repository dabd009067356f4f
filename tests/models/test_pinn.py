"""The physics-informed model: with the true patches it must say what was measured."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.models import PatchModel, PtychoPINN, build_model
from ptychopinn.simulation import record_patterns

MakeModel = Callable[..., PatchModel]
WithTruth = Callable[[PatchModel, ScanTensors, Batch], PatchModel]
BILINEAR = ("model.subpixel=bilinear",)
MERGE = "model.merge.enabled="


def misfit(expected: torch.Tensor, batch: Batch) -> float:
    """Sum of absolute differences of the amplitudes over their sum."""
    return float((expected.detach().sqrt() - batch.amplitude).abs().sum() / batch.amplitude.sum())


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("merge", ["true", "false"])
def test_true_patches_give_the_measured_intensities(
    noise_free: Callable[..., Scan],
    groups: np.ndarray,
    make_model: MakeModel,
    with_truth: WithTruth,
    size: int,
    modes: int,
    merge: str,
) -> None:
    scan = noise_free(size, modes)
    assert scan.probe.shape == (modes, size, size)
    tensors = ScanTensors(scan)
    batch = tensors.gather(groups)
    model = with_truth(make_model(scan, f"model.merge.enabled={merge}"), tensors, batch)
    prediction = model(batch)
    peak = float(batch.amplitude.square().max())
    counts = batch.amplitude.square()
    torch.testing.assert_close(prediction.expected, counts, atol=1e-4 * peak, rtol=1e-3)
    unshifted = model(replace(batch, remainder_px=torch.zeros_like(batch.remainder_px)))
    assert (unshifted.expected - counts).abs().max() > 0.01 * peak


def with_smooth_object(scan: Scan) -> Scan:
    """The same positions and probe over a slow wave; the probe is Fourier-shifted to the exact positions."""
    y, x = np.indices(scan.object_guess.shape) / 3
    object_ = (1 - 0.2 * np.sin(x)) * np.exp(0.2j * np.sin(y + x / 2))
    object_ = object_.astype(np.complex64)
    patterns = record_patterns(object_, scan.probe, scan.positions_px, None)
    return replace(scan, patterns=patterns, object_guess=object_)


@pytest.mark.parametrize(("merge", "tolerance"), [("false", 0.003), ("true", 0.015)])
def test_bilinear_patches_of_a_smooth_object_give_nearly_the_measured_intensities(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, with_truth: WithTruth, merge: str, tolerance: float
) -> None:
    """Within 0.3 % of the amplitudes; the merge interpolates twice more and costs 1.5 %."""
    scan = with_smooth_object(scan)
    tensors = ScanTensors(scan)
    batch = tensors.gather(groups)
    flipped = replace(batch, remainder_px=-batch.remainder_px)
    exact, wrong = (
        misfit(with_truth(make_model(scan, *BILINEAR, MERGE + merge), tensors, b)(b).expected, batch)
        for b in (batch, flipped)
    )
    assert exact < tolerance
    assert wrong > 0.025


@pytest.mark.parametrize("kind", ["probe", "uniform", "central"])
def test_merge_is_the_weighted_average_of_the_group(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, kind: str
) -> None:
    batch = ScanTensors(scan).gather(groups)
    model = make_model(scan, f"model.merge.weight={kind}")
    patches = torch.randn(3, 4, 16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    view = model.view(batch)
    prediction = model.detect(batch, view, patches)
    total = np.zeros((3, *batch.canvas_shape), np.complex128)
    weight = np.zeros((3, *batch.canvas_shape))
    for g, p in np.ndindex(3, 4):
        y, x = batch.whole_px[g, p].numpy() - 8
        own = np.ones((16, 16))
        if kind == "probe":
            own = np.square(np.abs(view.probes[g, p].detach().numpy())).sum(0)
            own /= own.max()
        elif kind == "central":
            own = np.pad(np.ones((8, 8)), 4)
        total[g, y : y + 16, x : x + 16] += own * patches[g, p].numpy()
        weight[g, y : y + 16, x : x + 16] += own
    lit = weight > 0.01
    np.testing.assert_allclose(prediction.merged.detach().numpy()[lit], (total[lit] / weight[lit]), atol=2e-3)
    assert bool((prediction.merged[torch.from_numpy(weight == 0)] == 1).all())


def test_patches_are_cut_out_of_the_merged_object_or_left_alone(
    scan: Scan, groups: np.ndarray, make_model: MakeModel
) -> None:
    batch = ScanTensors(scan).gather(groups)
    patches = torch.randn(3, 4, 16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    merged, alone = (
        make_model(scan, f"model.merge.enabled={enabled}").detect(batch, make_model(scan).view(batch), patches)
        for enabled in ("true", "false")
    )
    y, x = (batch.whole_px[1, 2] - 8).tolist()
    torch.testing.assert_close(merged.merged_patches[1, 2], merged.merged[1, y : y + 16, x : x + 16])
    assert torch.equal(alone.merged_patches, patches)


@pytest.mark.parametrize("trainable", [True, False])
def test_only_a_trainable_probe_gets_gradients_and_changes(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, trainable: bool
) -> None:
    model = make_model(scan, f"model.probe.trainable={str(trainable).lower()}")
    before = model.probe.detach().clone()
    batch = ScanTensors(scan).gather(groups)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        sum(model.losses(batch, 100.0).values()).backward()
        optimizer.step()
    assert (model.probe_parts.grad is not None) == trainable
    assert bool((model.probe != before).any()) == trainable
    assert np.array_equal(scan.probe, before.numpy())


def test_only_a_trainable_scale_gets_gradients(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    batch = ScanTensors(scan).gather(groups)
    for rule, trainable in (("trainable", True), ("data", False)):
        model = make_model(scan, f"model.intensity_scale={rule}", "model.loss.poisson_weight=1")
        sum(model.losses(batch, 100.0).values()).backward()
        assert (model.log_scale.grad is not None and float(model.log_scale.grad) != 0) == trainable


def test_the_scale_multiplies_the_probe(scan: Scan) -> None:
    model = build_model(Recipe(), torch.from_numpy(scan.probe), 2.5)
    torch.testing.assert_close(model.probe, 2.5 * torch.from_numpy(scan.probe))


def terms(model: PatchModel, batch: Batch) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model.losses(batch, 50.0).items()}


def test_terms_of_weight_zero_are_not_computed(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    batch = ScanTensors(scan).gather(groups)
    off = "model.loss.poisson_weight=0"
    assert set(terms(make_model(scan, off, "model.loss.amplitude_mae_weight=2"), batch)) == {"amplitude_mae"}
    everything = (
        "model.loss.poisson_weight=1",
        "model.loss.amplitude_mae_weight=1",
        "model.loss.total_variation_weight=1",
        "model.loss.mean_deviation_weight=1",
    )
    values = terms(make_model(scan, *everything), batch)
    assert set(values) == {"poisson", "amplitude_mae", "total_variation", "mean_deviation"}
    flat = [values["total_variation"], values["mean_deviation"]]  # as the first object is
    assert flat == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("name", ["poisson", "amplitude_mae", "total_variation", "mean_deviation"])
def test_weights_multiply_their_terms(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, with_truth: WithTruth, name: str
) -> None:
    tensors = ScanTensors(scan)
    batch = tensors.gather(groups)
    models = [make_model(scan, f"model.loss.{name}_weight={weight}") for weight in (1, 3)]
    if name in ("total_variation", "mean_deviation"):  # zero for the flat object of an untrained model
        models = [with_truth(model, tensors, batch) for model in models]
    once, thrice = (terms(model, batch)[name] for model in models)
    assert once != 0
    assert thrice == pytest.approx(3 * once, rel=1e-5)


def test_realspace_mae_compares_merged_patches_with_labels(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, with_truth: WithTruth
) -> None:
    overrides = ("model.loss.realspace_mae_weight=2", "model.loss.realspace_weight=0.5")
    whole = np.floor(scan.positions_px + 0.5).astype(int) - 8
    labels = np.stack([scan.object_guess[y : y + 16, x : x + 16] for y, x in whole])
    tensors = ScanTensors(scan, labels=labels)
    batch = tensors.gather(groups)
    model = with_truth(make_model(scan, *overrides, "model.merge.enabled=false"), tensors, batch)
    assert terms(model, batch)["realspace_mae"] == 0
    doubled = replace(batch, labels=2 * batch.labels)
    expected = float(batch.labels.abs().mean())
    assert terms(model, doubled)["realspace_mae"] == pytest.approx(2 * 0.5 * expected, rel=1e-5)
    assert "realspace_mae" not in terms(model, replace(batch, labels=None))


@pytest.mark.parametrize("per_pattern", [False, True])
@pytest.mark.parametrize("kind", ["back_projected", "log_counts", "amplitude"])
def test_what_bad_pixels_hold_changes_neither_loss_nor_gradient(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, per_pattern: bool, kind: str
) -> None:
    shape = scan.patterns.shape if per_pattern else (16, 16)
    bad = np.random.default_rng(0).random(shape) < 0.3
    results: list[tuple[Any, ...]] = []
    for value in (0.0, 1e30):
        patterns = np.where(bad, np.float32(value), scan.patterns)
        masked = replace(scan, patterns=patterns, bad_pixels=bad)
        model = make_model(
            masked,
            f"model.generator.input={kind}",
            "model.loss.amplitude_mae_weight=1",
            "model.loss.poisson_weight=1",
        )
        loss = sum(model.losses(ScanTensors(masked).gather(groups), 50.0).values())
        loss.backward()
        results.append((float(loss), model.generator.network.head.weight.grad))
    assert results[0][0] == results[1][0]
    assert np.isfinite(results[0][0])
    assert torch.equal(results[0][1], results[1][1])
    assert bool(results[0][1].isfinite().all())


def test_a_generator_reads_the_probe_but_does_not_fit_it(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    model = make_model(scan, "model.probe.trainable=true")
    torch.nn.init.normal_(model.generator.network.head.weight, std=0.1)
    patches = model.patches(ScanTensors(scan).gather(groups))
    assert patches.requires_grad
    patches.abs().sum().backward()
    assert model.probe_parts.grad is None


def test_state_carries_probe_scale_and_statistics(scan: Scan, make_model: MakeModel) -> None:
    model = make_model(replace(scan, probe=3j * scan.probe))
    assert isinstance(model, PtychoPINN)
    model.generator.normalise_by(0.1, 0.7)
    other = make_model(scan)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.probe, model.probe)
    assert float(other.generator.input_deviation) == pytest.approx(0.7)
