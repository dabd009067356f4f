"""Further names of the high-level API, of the factory of configurations and of the loaders."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import DataParallel

from ptycho import params
from ptycho.config.config import PyTorchExecutionConfig
from ptycho_torch.api.base_api import ConfigManager, InferenceEngine, PtychoDataLoader
from ptycho_torch.config_factory import (
    create_inference_payload,
    create_training_payload,
    infer_probe_size,
    populate_legacy_params,
)
from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.dataloader import PtychoDataset
from ptycho_torch.reassembly import ReassemblyReturn, reconstruct_image, reconstruct_image_barycentric
from ptychopinn.errors import ConfigError


def test_configurations_come_from_a_file_and_in_a_tuple(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"data_config": {"N": 64}, "training_config": {"epochs": 3}}))
    manager = ConfigManager._from_json(path)
    assert (manager.data_config.N, manager.training_config.epochs) == (64, 3)
    data, model, training, inference, datagen = manager.to_tuple()
    again = ConfigManager.from_configs(model, data, training, inference, datagen)
    assert again.to_tuple() == manager.to_tuple()
    again.update({"N": 32}, training_config=TrainingConfig(epochs=9), experiment_number=2)
    assert (again.data_config.N, again.training_config.epochs, again.inference_config.experiment_number) == (32, 9, 2)
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="must be an object with data_config"):
        ConfigManager._from_json(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="no JSON file"):
        ConfigManager._from_json(path)


def test_loaders_take_configurations_and_give_dictionaries(measured, tmp_path: Path) -> None:
    measured.export(tmp_path / "a.npz")
    loader = PtychoDataLoader(
        tmp_path,
        None,
        DataConfig(N=16, n_subsample=1),
        ModelConfig(),
        TrainingConfig(batch_size=8, num_workers=0),
        output_dir=tmp_path / "out",
        timestamp="now",
    )
    assert loader.output_dir == tmp_path / "out" / "run_now"
    train, validation = loader.module_train_dataloader(), loader.module_val_dataloader()
    groups = PtychoDataset(loader.scans, loader.config_manager.data_config)
    assert len(train.dataset) + len(validation.dataset) == len(groups)
    assert next(iter(train))["images"].shape == (8, 4, 16, 16)
    scan = measured.patterns, measured.probe, measured.positions
    assert PtychoDataLoader.from_np(*scan, ConfigManager(), output_dir=tmp_path).output_dir.parent == tmp_path


def test_patches_are_predicted_and_stitched_by_every_name(finished, measured, tmp_path: Path) -> None:
    model = finished.model
    manager = ConfigManager.from_loaded_model(model)
    measured.export(tmp_path / "a.npz")
    loader = PtychoDataLoader(tmp_path, manager)
    engine = InferenceEngine(model, manager)
    patches = engine.predict(loader)
    assert patches.dtype == torch.complex64
    assert patches.shape[-2:] == (16, 16)
    image = engine.predict_and_stitch(loader)
    made = reconstruct_image_barycentric(model, loader)
    assert isinstance(made, ReassemblyReturn)
    np.testing.assert_allclose(made.image, image, atol=1e-5)
    assert made.coverage.shape == image.shape
    np.testing.assert_allclose(reconstruct_image(model.module(), tmp_path), image, atol=1e-5)
    shared = DataParallel(model.module())
    np.testing.assert_allclose(reconstruct_image(shared, tmp_path), image, atol=1e-5)
    one, positions, probe = torch.rand(1, 4, 16, 16), torch.zeros(1, 4, 1, 2), torch.ones(16, 16) + 0j
    for found, expected in zip(shared(one, positions, probe), model.module()(one, positions, probe), strict=True):
        torch.testing.assert_close(found, expected)


def test_payloads_hold_both_families(measured, tmp_path: Path) -> None:
    path = measured.export(tmp_path / "a.npz")
    assert infer_probe_size(path) == 16
    changes = {"gridsize": 2, "n_groups": 30, "batch_size": 4, "nphotons": 1e6, "max_epochs": 3, "learning_rate": 0.01}
    payload = create_training_payload(path, tmp_path / "out", changes, PyTorchExecutionConfig(num_workers=2))
    assert (payload.tf_training_config.nepochs, payload.tf_training_config.model.N) == (3, 16)
    assert (payload.pt_data_config.C, payload.pt_data_config.nphotons) == (4, 1e6)
    assert (payload.pt_training_config.epochs, payload.pt_training_config.batch_size) == (3, 4)
    assert payload.execution_config.accelerator in ("cpu", "cuda", "mps")
    assert (payload.execution_config.learning_rate, payload.pt_training_config.num_workers) == (0.01, 2)
    assert payload.overrides_applied == {"N": 16, **changes}
    assert (params.get("gridsize"), params.get("nphotons")) == (2, 1e6)
    assert payload.pt_model_config.C_model == 4
    assert payload.pt_inference_config.middle_trim == 20
    with pytest.raises(TypeError, match="no configuration has a field grid_siz"):
        create_training_payload(path, tmp_path, {"grid_siz": 2})
    with pytest.raises(FileNotFoundError, match="absent"):
        create_training_payload(tmp_path / "absent.npz", tmp_path)

    reconstruction = create_inference_payload(tmp_path, path, tmp_path / "recon", {"gridsize": 2, "middle_trim": 8})
    assert reconstruction.tf_inference_config.test_data_file == Path(path)
    assert (reconstruction.pt_data_config.N, reconstruction.pt_inference_config.middle_trim) == (16, 8)
    populate_legacy_params(reconstruction.tf_inference_config, force=True)
    with pytest.raises(FileNotFoundError, match="no such model"):
        create_inference_payload(tmp_path / "no", path, tmp_path)
