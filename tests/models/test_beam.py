"""Probe and intensity scale of a model, from a scan."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import ProbeConfig, Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.models import PatchModel, build_model, prepare_probe, scaled_probe, scan_scale
from ptychopinn.physics import FarField, detect_patches

MakeModel = Callable[..., PatchModel]


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


@pytest.mark.parametrize("scale", [1.0, 0.37, 3000.0])
def test_a_scaled_probe_is_that_of_a_model_which_is_built_with_it(scan: Scan, scale: float) -> None:
    """To the last digit: an image does not depend on who holds the probe."""
    probe = torch.from_numpy(scan.probe)
    assert torch.equal(scaled_probe(probe, scale), build_model(Recipe(), probe, scale).probe.detach())


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
