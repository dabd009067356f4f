"""The module for one's own Lightning trainer, on batches of the core alone."""

import logging
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import ptychopinn
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training.by_hand import ScanGroups, expected_amplitude
from ptychopinn.training.own_trainer import OwnTrainerModule, untrained

RECIPE = Recipe().with_overrides(["data.group_size=4", "model.generator.width=2", "model.generator.levels=2"])


@pytest.fixture(scope="module")
def scan() -> Scan:
    overrides = ["simulation.object_size_px=44", "simulation.probe_size_px=16", "simulation.step_px=4"]
    return ptychopinn.simulate(overrides=overrides).scan


def fitted(module: OwnTrainerModule, count: int, folder: Path) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plain = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    loader = DataLoader(range(count), batch_size=8)  # type: ignore[arg-type]
    trainer = lightning.Trainer(max_epochs=2, default_root_dir=folder, enable_checkpointing=False, **plain)
    trainer.fit(module, loader)
    assert trainer.callback_metrics["train_loss"].isfinite()


def test_a_trainer_trains_the_network_which_then_reconstructs(scan: Scan, tmp_path: Path) -> None:
    groups = ScanGroups(scan, RECIPE)
    module = OwnTrainerModule(RECIPE, 16, lambda rows: [groups[int(row)] for row in rows])
    with pytest.raises(RuntimeError, match="has not been built yet"):
        module.trained()
    module.configure_model()
    before = [value.clone() for value in module.trained().generator.parameters()]
    with pytest.raises(BundleError, match="statistics of its training"):
        module.as_trained()
    fitted(module, len(groups), tmp_path)
    after = list(module.trained().generator.parameters())
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))
    image, _ = Reconstructor.for_scan(module.as_trained(), scan).image()
    assert np.isfinite(image.object_).all()


def test_the_loss_of_a_batch_is_the_mean_over_its_groups(scan: Scan) -> None:
    module = OwnTrainerModule(RECIPE, 16, list)
    module.configure_model()
    groups = ScanGroups(scan, RECIPE)
    parts = [groups[0], groups[1], groups[5]]
    module.compute_loss(parts)
    losses = torch.stack([module.compute_loss([part]) for part in parts])
    torch.testing.assert_close(module.compute_loss(parts), losses.mean())


def test_expected_amplitudes_are_those_of_the_patches_under_the_probe(scan: Scan) -> None:
    model, batch = untrained(RECIPE, 16), ScanGroups(scan, RECIPE)[0]
    amplitude, patches = expected_amplitude(model, batch)
    photons = model.physics.photons(patches, model.view(batch).probes)
    torch.testing.assert_close(amplitude.square(), photons, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(amplitude, expected_amplitude(model, ScanGroups(scan, RECIPE)[3])[0])
