"""Positions that are fitted together with the network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.api.model_files import load_model
from ptychopinn.api.train import Trained
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ConfigError
from ptychopinn.models import build_model
from ptychopinn.models.positions import PositionShifts
from ptychopinn.training import prepare

FITTED = ["model.positions.trainable=true", "model.generator.width=2", "model.generator.levels=1", "training.epochs=2"]


def test_a_shift_moves_the_probe_as_its_position_does(scan: Scan) -> None:
    """The expected photons at shifted positions, and a gradient to every pattern of the batch and to no other."""
    recipe = Recipe().with_overrides(FITTED)
    moved = scan.positions_px + np.array([0.3, -0.2])
    model = build_model(recipe, torch.from_numpy(scan.probe))
    index = np.array([[2, 5, 7, 11]])
    there = model.view(ScanTensors(replace(scan, positions_px=moved)).gather(index))
    shifts = model.fit_positions(len(scan))
    with torch.no_grad():
        shifts.raw[index[0]] = torch.atanh(torch.tensor([0.3, -0.2]) / 2)
    batch = ScanTensors(scan).gather(index)
    same = (batch.whole_px == ScanTensors(replace(scan, positions_px=moved)).gather(index).whole_px).all(-1)
    mean = 4 / len(scan) * np.array([0.3, -0.2])
    again = build_model(recipe, torch.from_numpy(scan.probe))
    there = again.view(ScanTensors(replace(scan, positions_px=moved - mean)).gather(index))
    assert same.any()
    torch.testing.assert_close(model.view(batch).probes[same], there.probes[same], rtol=1e-3, atol=1e-3)
    model.view(batch).probes.abs()[..., :5].sum().backward()
    assert (shifts.raw.grad[index[0]].abs().sum(-1) > 1e-4).all()


def test_the_mean_shift_is_none_and_the_limit_holds() -> None:
    shifts = PositionShifts(5, limit_px=1.5)
    with torch.no_grad():
        shifts.raw.copy_(torch.tensor([[9.0, 0], [-9, 1], [9, 0], [0, 0], [0, 2]]))
    found = shifts(torch.arange(5)).detach().numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    assert np.ptp(found, axis=0).max() <= 3


@pytest.fixture(scope="module")
def trained(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    folder = tmp_path_factory.mktemp("positions")
    return ptychopinn.train(scan, folder, overrides=FITTED), folder


def test_the_bundle_keeps_positions_and_uses_them_for_the_same_scan(scan: Scan, trained: tuple[Trained, Path]) -> None:
    made, folder = trained
    shifts, trained_shifts = load_model(folder).network.shifts, made.model.network.shifts
    found, known = trained_shifts.of(scan)
    moved = found.numpy()
    assert known == len(scan)
    assert np.abs(moved).max() > 1e-3
    np.testing.assert_array_equal(shifts.raw.detach(), trained_shifts.raw.detach())
    image = ptychopinn.reconstruct(scan, folder).reconstruction
    np.testing.assert_allclose(image.positions_px, scan.positions_px + moved, atol=1e-6)
    part = scan.select(np.arange(3, len(scan), 2))
    found, known = shifts.of(part)
    assert known == len(part)
    np.testing.assert_allclose(found, moved[3::2], atol=1e-6)


def test_another_scan_at_the_same_positions_is_not_moved(scan: Scan, trained: tuple[Trained, Path]) -> None:
    other = replace(scan, patterns=scan.patterns[::-1].copy())
    image = ptychopinn.reconstruct(other, trained[1]).reconstruction
    known = np.all(image.positions_px == scan.positions_px, axis=1)
    assert known.mean() > 0.9


@pytest.mark.parametrize("also", ["training.mirror=true", "a second scan"])
def test_positions_of_one_unmirrored_scan_alone_are_fitted(scan: Scan, also: str) -> None:
    several = also == "a second scan"
    recipe = Recipe().with_overrides([*FITTED, *([] if several else [also])])
    with pytest.raises(ConfigError, match=r"fits the positions of one scan"):
        prepare([scan, scan] if several else scan, recipe)


def test_labels_do_not_fit_positions(make_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(ConfigError, match="labels say nothing of the positions"):
        make_recipe("model.kind=supervised", "model.positions.trainable=true")
