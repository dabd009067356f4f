"""Names of both packages that few scripts use: entries of workflows, savers and loaders, settings of the grid lines."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest

import ptycho_torch.data_container_bridge
import ptycho_torch.patch_generator
from ptycho import params, train_pinn
from ptycho.config.config import ModelConfig, TrainingConfig, load_yaml_config, update_legacy_dict
from ptycho.model_manager import ModelManager
from ptycho.raw_data import RawData
from ptycho.workflows import backend_selector, components
from ptycho.workflows import grid_lines_workflow as grid
from ptycho_torch import inference, train
from ptycho_torch.api.base_api import Datagen, DataLoaderProtocol, Orchestration, PtychoModel, TrainStrategy
from ptycho_torch.config_factory import InferencePayload, TrainingPayload
from ptycho_torch.model import PtychoPINN_Lightning
from ptychopinn.errors import ConfigError


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PTYCHOPINN_BACKEND", raising=False)
    monkeypatch.setattr(params, "cfg", dict(params.DEFAULT_CFG))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, RawData, TrainingConfig]:
    """A model of one epoch on 49 patterns of 16 px, by the entry that the configuration chooses."""
    import ptychopinn

    overrides = ["simulation.object_size_px=36", "simulation.probe_size_px=16", "simulation.step_px=3"]
    raw = RawData.of_scan(ptychopinn.simulate(overrides=overrides).scan)
    config = TrainingConfig(model=ModelConfig(N=16, gridsize=1, n_filters_scale=1), nepochs=1)
    results = backend_selector.train_cdi_model_with_backend(raw, None, config)
    assert results["backend"] == "pytorch"
    from ptycho.model import session

    return session.held(), raw, config


def test_one_model_is_saved_and_loaded_by_its_folder(model, tmp_path: Path) -> None:
    held, _, _ = model
    path = ModelManager.save_model(held, tmp_path / "one", None, 3.0)
    assert path.name == "wts.h5.zip"
    again = ModelManager.load_model(tmp_path / "one")
    assert params.get("intensity_scale") == 3.0
    assert set(again.state_dict()) == set(held.state_dict())


def test_train_eval_takes_both_parts_and_the_settings_in_force(model) -> None:
    _, raw, config = model
    update_legacy_dict(params.cfg, config)
    results = train_pinn.train_eval(SimpleNamespace(train_data=raw, test_data=raw))
    assert results["reconstructed_obj"].shape == raw.objectGuess.shape
    assert results["model_instance"].recipe.training.epochs == 1


def test_settings_come_from_words_and_files(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("nepochs: 7\ngridsize: 2\n")
    assert load_yaml_config(tmp_path / "settings.yaml") == {"nepochs": 7, "gridsize": 2}
    words = components.parse_arguments(["--train_data_file", "scan.npz", "--nepochs", "3"])
    config = components.setup_configuration(words, tmp_path / "settings.yaml")
    assert (config.nepochs, config.model.gridsize, words.nepochs) == (3, 2, 3)
    assert params.get("gridsize") == 2


def test_a_file_is_prepared_for_both_parts(model, tmp_path: Path) -> None:
    _, raw, _ = model
    first, second, object_ = components.load_and_prepare_data(raw.to_file(tmp_path / "scan.npz"))
    assert len(first) == len(second) == len(raw)
    np.testing.assert_array_equal(object_, raw.objectGuess)


@pytest.fixture
def trained(model) -> PtychoModel:
    from ptycho_torch.config_factory import torch_configs

    held, _, config = model
    new = PtychoModel(*(torch_configs(config)[name] for name in ORDER))
    new.model = PtychoPINN_Lightning(*(getattr(new, name) for name in ORDER))
    new.model.take(held.network, held.recipe)
    return new


ORDER = ("model_config", "data_config", "training_config", "inference_config")


def test_models_of_the_high_level_api_are_kept_in_every_form(trained: PtychoModel, tmp_path: Path) -> None:
    for name in ("run_1", "empty"):
        (tmp_path / name).mkdir()
    checkpoint = trained.save_checkpoint(tmp_path / "run_1" / "model.ckpt")
    with pytest.raises(ValueError, match="no file was named"):
        trained.save_checkpoint()
    folder = trained.save_pytorch(tmp_path / "plain")
    assert {path.name for path in folder.iterdir()} == {"wts.h5.zip", "configs.json"}
    copy = trained.save_lightning(tmp_path / "copies", tmp_path / "run_1")
    assert trained.save(tmp_path / "files", strategy=Orchestration.PYTORCH) == tmp_path / "files"
    loaded = [
        PtychoModel.load_from_pytorch(folder),
        PtychoModel.load_from_pytorch(folder / "wts.h5.zip"),
        PtychoModel.load_from_checkpoint(checkpoint, PtychoPINN_Lightning),
        PtychoModel._load(path=copy, strategy=Orchestration.LIGHTNING),
    ]
    module = PtychoModel.load_from_lightning(*trained.four, tmp_path / "run_1", PtychoPINN_Lightning)
    for one in (*(each.module() for each in loaded), module):
        assert one.data_config.N == 16
        assert set(one.trained().state_dict()) == set(trained.module().trained().state_dict())
    with pytest.raises(FileNotFoundError, match="holds neither a checkpoint nor"):
        PtychoModel.load_from_pytorch(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no file was named"):
        PtychoModel._load(strategy=Orchestration.PYTORCH)


def test_a_module_has_the_optimiser_of_the_settings(trained: PtychoModel) -> None:
    module = trained.module()
    module.trainer = lightning.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, accelerator="cpu")
    module.trainer.fit_loop.max_epochs = 1
    module.recipe = module.recipe.with_overrides(["training.scheduler=plateau"])
    assert module.configure_optimizers()["optimizer"].param_groups[0]["lr"] == pytest.approx(2e-3)


def test_words_and_protocols_have_their_names() -> None:
    assert [one.value for one in TrainStrategy] == ["lightning", "pytorch"]
    assert hasattr(DataLoaderProtocol, "__annotations__")
    assert Datagen.__name__ == "Datagen"
    assert {"pt_data_config", "tf_training_config"} <= set(TrainingPayload.__dataclass_fields__)
    assert "tf_inference_config" in InferencePayload.__dataclass_fields__
    assert train.cli_main([]) != 0
    assert inference.cli_main([]) != 0
    assert callable(ptycho_torch.patch_generator.group_coords)
    assert callable(backend_selector.train_cdi_model_with_backend)
    assert ptycho_torch.data_container_bridge.PtychoDataContainerTorch


def test_the_grid_lines_have_their_settings(tmp_path: Path) -> None:
    promised = {
        "outer_offset_test": 20,
        "nimgs_test": 2,
        "realspace_weight": 0.0,
        "probe_npz": None,
        "probe_smoothing_sigma": 0.5,
        "probe_source": "custom",
        "probe_scale_mode": "pad_preserve",
        "probe_transform_pipeline": None,
        "probe_mask_diameter": None,
        "set_phi": False,
        "outer_offset_train": 8,
        "offset": 4,
        "seed": None,
    }
    config = grid.GridLinesConfig(N=16, gridsize=1, size=64)
    assert {name: getattr(config, name) for name in promised} == promised
    assert config.data().seed == 42
    with pytest.raises(ConfigError, match="no folder for the study"):
        grid.run_grid_lines_workflow(config)
    with pytest.raises(ConfigError, match="must be"):
        grid.run_grid_lines_workflow(config.changed(output_dir=tmp_path), ("fno",))


def test_images_of_the_grid_lines_are_saved_and_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = (1 + 0.3 * rng.random((48, 48))) * np.exp(1j * rng.random((48, 48)))
    grid.save_recon_artifact(tmp_path, "gt", truth)
    path = grid.save_recon_artifact(tmp_path, "pinn", truth)
    assert path == tmp_path / "recons/pinn/recon.npz"
    drawn = grid.render_grid_lines_visuals(tmp_path, ["pinn"])
    assert set(drawn) == {"compare", "frc"}
    assert all(isinstance(place, str) and Path(place).exists() for place in drawn.values())


@pytest.mark.slow
def test_the_grid_lines_run_from_simulation_to_scores(tmp_path: Path) -> None:
    config = grid.GridLinesConfig(
        N=32, gridsize=1, size=128, output_dir=tmp_path, nepochs=1, nimgs_train=1, nimgs_test=1, outer_offset_train=16
    )
    done = grid.run_grid_lines_workflow(config, ("pinn",))
    assert set(done["metrics"]) == {"pinn_cnn"}
