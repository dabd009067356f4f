"""A model with fitted positions, through the high-level API, on a scan that it was not trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptycho_torch.api.base_api import InferenceEngine, PtychoDataLoader, PtychoModel
from ptycho_torch.model import PtychoPINN_Lightning
from ptycho_torch.model_manager import load_torch_bundle
from ptychopinn.api.train import Trained
from ptychopinn.data import Scan, read_scan


@pytest.fixture(scope="module")
def recorded(measured, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return read_scan(measured.export(tmp_path_factory.mktemp("recorded") / "a.npz"))


@pytest.fixture(scope="module")
def trained(recorded: Scan, fits_positions: list[str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return ptychopinn.train(recorded, tmp_path_factory.mktemp("fitted"), overrides=fits_positions)


def image_by_client(trained: Trained, settings, measured):
    config_manager = settings()
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=config_manager)
    made = trained.model
    model.module().take(getattr(made, "network", made), trained.recipe)
    loader = PtychoDataLoader.from_np(measured.patterns, measured.probe, measured.positions, config_manager)
    return InferenceEngine(model, config_manager).reconstruct(loader), loader.scans[0]


def test_another_scan_is_not_shifted(trained: Trained, settings, make) -> None:
    image, scan = image_by_client(trained, settings, make(seed=5))
    np.testing.assert_array_equal(image.positions_px, scan.positions_px)


def test_a_scan_with_more_patterns_is_reconstructed(trained: Trained, settings, measured, make) -> None:
    larger = make(seed=5, step=3.0)
    assert len(larger.patterns) > len(measured.patterns)
    image, scan = image_by_client(trained, settings, larger)
    np.testing.assert_array_equal(image.positions_px, scan.positions_px)


def test_the_own_scan_keeps_its_fitted_positions(trained: Trained, settings, measured) -> None:
    image, scan = image_by_client(trained, settings, measured)
    assert np.abs(image.positions_px - scan.positions_px).max() > 0.01


def test_plain_arrays_of_any_number_are_predicted(trained: Trained, recorded: Scan) -> None:
    models, _ = load_torch_bundle(trained.paths["model"].parent)
    number = 3 * len(recorded)
    images = torch.ones(number, 1, 16, 16)
    patches = next(iter(models.values())).predict([images, torch.zeros(number, 1, 1, 2)])
    assert patches.shape == (number, 1, 16, 16)


def test_a_checkpoint_keeps_the_fitted_positions(trained: Trained, settings, measured, tmp_path: Path) -> None:
    config_manager = settings()
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=config_manager)
    model.module().take(trained.model.network, trained.recipe)
    loaded = PtychoModel.load(model.save(tmp_path / "model.ckpt"))
    loader = PtychoDataLoader.from_np(measured.patterns, measured.probe, measured.positions, config_manager)
    image = InferenceEngine(loaded, config_manager).reconstruct(loader)
    assert np.abs(image.positions_px - loader.scans[0].positions_px).max() > 0.01
