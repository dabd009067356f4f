"""Training by hand: the Lightning module, batches of files and containers, and the parts of the network."""

import logging
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import nn

import ptychopinn
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import RawData
from ptycho_torch import config_params
from ptycho_torch.api.base_api import ConfigManager, InferenceEngine, PtychoDataLoader, PtychoModel
from ptycho_torch.config_factory import torch_configs
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import PtychoDataset, TensorDictDataLoader, scans_of
from ptycho_torch.generators.registry import resolve_generator
from ptycho_torch.model import Autoencoder, ProbeIllumination, PtychoPINN, PtychoPINN_Lightning
from ptycho_torch.model_manager import create_torch_model_with_gridsize
from ptychopinn.errors import ConfigError

N = 16


@pytest.fixture(scope="module")
def raw() -> RawData:
    """Some 80 patterns of 16 px."""
    overrides = ["simulation.object_size_px=44", "simulation.probe_size_px=16", "simulation.step_px=3"]
    return RawData.of_scan(ptychopinn.simulate(overrides=overrides).scan)


def settings(gridsize: int = 2) -> TrainingConfig:
    return TrainingConfig(model=ModelConfig(N=N, gridsize=gridsize, n_filters_scale=1), nepochs=2)


def trainer(folder: Path, **more: Any) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plain = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return lightning.Trainer(max_epochs=2, default_root_dir=folder, **{**plain, **more})


@pytest.fixture(scope="module")
def fitted(raw: RawData, tmp_path_factory: pytest.TempPathFactory) -> tuple[PtychoPINN_Lightning, Path, Any]:
    folder = tmp_path_factory.mktemp("by_hand")
    configs = torch_configs(settings())
    module = resolve_generator(settings()).build_model(configs)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    loader = TensorDictDataLoader(PtychoDataset(raw, configs["data_config"]), batch_size=8, shuffle=True)
    run = trainer(folder, enable_checkpointing=False)
    run.fit(module, loader, loader)
    run.save_checkpoint(folder / "hand.ckpt")
    assert any(not torch.equal(value, before[name]) for name, value in module.state_dict().items() if "weight" in name)
    return module, folder, run


def test_a_trainer_of_lightning_trains_a_module_of_a_generator(fitted) -> None:
    module, _, run = fitted
    assert isinstance(module, lightning.LightningModule)
    assert {"train_loss", "val_loss", "poisson_train_loss", "poisson_val_loss"} <= set(run.callback_metrics)
    assert module.recipe.fitted is not None
    assert module.trained().probe.abs().sum() > 100


def test_its_model_is_saved_loaded_and_reconstructs(fitted, raw: RawData, tmp_path: Path) -> None:
    module, folder, _ = fitted
    loaded = PtychoModel.load(folder / "hand.ckpt")
    manager = ConfigManager.from_loaded_model(loaded)
    loader = PtychoDataLoader(raw.to_file(tmp_path / "scan.npz"), manager)
    image = InferenceEngine(config_manager=manager, ptycho_model=loaded).predict_and_stitch(loader)
    assert image.shape == raw.objectGuess.shape
    assert np.isfinite(image).all()
    for name, value in module.trained().generator.state_dict().items():
        torch.testing.assert_close(loaded.module().trained().generator.state_dict()[name], value)


def test_a_module_without_a_network_builds_it_for_the_fit(raw: RawData, tmp_path: Path) -> None:
    data = config_params.DataConfig(N=N, C=1, n_subsample=1)
    module = PtychoPINN_Lightning(config_params.ModelConfig(n_filters_scale=1), data)
    container = PtychoDataContainerTorch(raw.generate_grouped_data(N, gridsize=1), raw.probeGuess)
    loader = torch.utils.data.DataLoader(PtychoDataset(container, data), batch_size=64)
    with pytest.raises(RuntimeError, match="has not been built"):
        module.trained()
    trainer(tmp_path, enable_checkpointing=False, limit_train_batches=1).fit(module, loader)
    assert module.recipe.fitted.pattern_size == N


def test_datasets_are_made_of_files_arrays_and_containers(raw: RawData, tmp_path: Path) -> None:
    path = raw.to_file(tmp_path / "a.npz")
    data = config_params.DataConfig(N=N, C=4, n_subsample=1, x_bounds=(0.0, 1.0), y_bounds=(0.0, 1.0))
    one = len(PtychoDataset(path, data))
    assert len(PtychoDataset([tmp_path, raw], data)) == 2 * one > 0
    two = PtychoDataset([path, raw], data)
    assert len(two.get_experiment_dataset(1)) == one
    with pytest.raises(IndexError, match="experiment 2 of 2"):
        two.get_experiment_dataset(2)
    arrays = PtychoDataset.from_np(raw.diff3d, raw.probeGuess, raw.scan.positions_px - 0.5, None, data)
    torch.testing.assert_close(arrays[3]["images"], two[3]["images"])
    with pytest.raises(TypeError, match="a int is no data"):
        scans_of(3)


def test_loss_of_several_scans_is_that_of_their_groups(raw: RawData) -> None:
    data = config_params.DataConfig(N=N, C=4, n_subsample=1)
    module = create_torch_model_with_gridsize(2, N, {"probe.mask": False, "n_filters_scale": 1})
    assert (module.data_config.C, module.data_config.N) == (4, N)
    dataset = PtychoDataset([raw, raw], data)
    half = len(dataset) // 2
    batch = torch.utils.data.default_collate([dataset[i] for i in (0, 1, half, half + 1)])
    first = torch.utils.data.default_collate([dataset[i] for i in (0, 1)])
    module.compute_loss(first)
    torch.testing.assert_close(module.compute_loss(batch), module.compute_loss(first))
    module.training_step(first, 0).backward()
    assert module.validation_step(first, 0).isfinite()


def test_forward_gives_amplitudes_and_patches(raw: RawData) -> None:
    data = config_params.DataConfig(N=N, C=4, n_subsample=1)
    model_config = config_params.ModelConfig(n_filters_scale=1)
    model = PtychoPINN(model_config, data, config_params.TrainingConfig())
    dataset = PtychoDataset(raw, data)
    batch = torch.utils.data.default_collate([dataset[i] for i in range(3)])
    parts = batch["images"], batch["coords_relative"], batch["probe"][0]
    expected, modulus, phase = model(*parts, batch["rms_scaling_constant"], batch["physics_scaling_constant"], None)
    assert expected.shape == modulus.shape == phase.shape == (3, 4, N, N)
    patches = model.forward_predict(*parts, batch["rms_scaling_constant"])
    torch.testing.assert_close(patches.abs(), modulus)
    module = PtychoPINN_Lightning(model_config, data)
    module.take(model.network, module.recipe)
    torch.testing.assert_close(module(*parts)[0], expected)
    torch.testing.assert_close(module.forward_predict(*parts), patches)


def test_the_parts_of_the_network_have_their_names() -> None:
    data, model = config_params.DataConfig(N=N), config_params.ModelConfig(probe_mask=True)
    amplitude, phase = Autoencoder(model, data)(torch.rand(2, 4, N, N))
    assert amplitude.shape == phase.shape == (2, 4, N, N)
    patches, probe = torch.ones(2, 4, N, N, dtype=torch.complex64), torch.ones(N, N, dtype=torch.complex64)
    waves = ProbeIllumination(model, data)(patches, probe)
    assert waves.shape == patches.shape
    assert waves[0, 0, 0, 0].abs() < 0.1 < waves[0, 0, N // 2, N // 2].abs()
    assert ProbeIllumination(model, data)(patches, probe.expand(3, N, N)).shape == (2, 4, 3, N, N)


def test_a_network_of_ones_own_is_named_by_registering_it() -> None:
    with pytest.raises(ConfigError, match=r"register it by ptychopinn\.generators\.register"):
        PtychoPINN_Lightning(config_params.ModelConfig(), config_params.DataConfig(), generator_module=nn.Identity())
