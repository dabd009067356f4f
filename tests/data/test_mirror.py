"""Mirrored experiments are experiments: the same model explains them as well, or as badly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.mirror import MIRRORS, Mirror
from ptychopinn.models import PtychoPINN
from ptychopinn.simulation import make_object, make_positions, make_probe, position_bounds, record_patterns
from ptychopinn.training.loader import GroupLoader


def asymmetric_scan(size: int) -> Scan:
    """Two different modes, a marked corner of the detector, labels, positions all over the place."""
    rng = np.random.default_rng(size)
    object_ = make_object("dead_leaves", (3 * size, 3 * size + 5), rng)
    probe = make_probe("zone_plate", size, modes=2, photons_per_pattern=1e4)
    probe = probe * np.exp(0.1j * np.arange(size)[:, None]) * np.linspace(0.5, 1, size)
    bounds = position_bounds(object_.shape, (size, size))
    positions = make_positions("jittered_grid", bounds, rng, step_px=size / 4, jitter_px=1.5)[:12]
    patterns = record_patterns(object_, probe, positions, rng)
    bad = np.zeros((size, size), dtype=bool)
    bad[1:4, 2:9] = True
    labels = rng.normal(size=(*patterns.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return Scan.create(patterns, positions, probe, domain="counts", bad_pixels=bad, truth_patches=labels)


def batch_of(scan: Scan) -> Batch:
    return ScanTensors(scan).gather(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
@pytest.mark.parametrize("mirror", MIRRORS[1:])
def test_the_loss_of_the_first_object_is_the_same(size: int, subpixel: str, mirror: Mirror) -> None:
    scan = asymmetric_scan(size)
    recipe = Recipe().with_overrides([f"model.subpixel={subpixel}", "data.group_size=4"])
    model = PtychoPINN(recipe, torch.from_numpy(scan.probe))
    batch = batch_of(scan)
    before, after = (float(model.losses(one, 1.0)["poisson"]) for one in (batch, mirror.batch(batch)))
    assert after == pytest.approx(before, rel=1e-4)
    still = replace(mirror.batch(batch), mirrored=None)  # the probe as it was does not belong to the mirrored patterns
    assert float(model.losses(still, 1.0)["poisson"]) != pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("mirror", MIRRORS)
def test_merged_labels_are_the_mirrored_merge(size: int, mirror: Mirror) -> None:
    scan = asymmetric_scan(size)
    scan = replace(scan, positions_px=np.round(scan.positions_px))
    probe = torch.from_numpy(scan.probe).clone()
    probe[..., 0, :] = probe[..., :, 0] = 0  # the lines that wrap at even sizes weigh nothing
    model = PtychoPINN(Recipe().with_overrides(["data.group_size=4"]), probe)

    def merged(batch: Batch) -> torch.Tensor:
        return model.detect(batch, model.view(batch), batch.labels).merged_patches[..., 2:-1, 2:-1]

    batch = batch_of(scan)
    expected = mirror.image(model.detect(batch, model.view(batch), batch.labels).merged_patches)[..., 2:-1, 2:-1]
    torch.testing.assert_close(merged(mirror.batch(batch)), expected, rtol=1e-3, atol=1e-3)


def test_the_loader_mirrors_when_asked_and_repeats_itself() -> None:
    tensors = ScanTensors(asymmetric_scan(16))
    groups = np.tile(np.arange(12).reshape(3, 4), (16, 1))

    def epoch(number: int, mirror: bool) -> list[Batch]:
        return list(GroupLoader(tensors, groups, 4, seed=1, epoch=lambda: number, mirror=mirror))

    plain, first, again, second = epoch(0, False), epoch(0, True), epoch(0, True), epoch(1, True)
    assert [one.index.tolist() for one in plain] == [one.index.tolist() for one in first]
    assert all(torch.equal(a.amplitude, b.amplitude) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.amplitude, b.amplitude) for a, b in zip(plain, first, strict=True))
    assert not all(torch.equal(a.amplitude, b.amplitude) for a, b in zip(first, second, strict=True))
