"""MLflow through the high-level API: by the orchestration, by the settings, and afterwards."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho_torch.api.base_api import InferenceEngine, PtychoDataLoader, PtychoModel, Trainer
from ptycho_torch.model import PtychoPINN_Lightning
from ptycho_torch.train import main
from ptychopinn.errors import BundleError, ConfigError

pytestmark = [pytest.mark.optional("mlflow"), pytest.mark.optional("sqlalchemy"), pytest.mark.optional("alembic")]


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an empty store, which the environment names."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def recorded(settings, measured, tmp_path_factory) -> Any:
    """A model that was trained with `orchestration="mlflow"`, and its data loader."""
    folder = tmp_path_factory.mktemp("data")
    measured.export(folder / "a.npz")
    manager = settings(epochs=2, N=16)
    loader = PtychoDataLoader(folder, manager)
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=manager)
    trainer = Trainer._from_lightning(model=model, dataloader=loader, orchestration="mlflow", config_manager=manager)
    trainer.train(orchestration="mlflow", experiment_name="beamtime 12")
    assert manager.training_config.orchestrator == "Lightning"
    return model, loader, trainer


def image_of(model: PtychoModel, loader: PtychoDataLoader) -> Any:
    return InferenceEngine(config_manager=loader.config_manager, ptycho_model=model).predict_and_stitch(loader)


def test_the_orchestration_records_a_run_under_its_name(recorded) -> None:
    import mlflow

    model, _, trainer = recorded
    client = mlflow.MlflowClient()
    run = client.get_run(model.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "beamtime 12"
    kept = [entry.value for entry in client.get_metric_history(model.run_id, "train_loss")]
    np.testing.assert_allclose(kept, trainer.history["train_loss"])


@pytest.mark.parametrize("named", [True, False])
def test_a_model_comes_back_from_its_run_with_its_settings(named: bool, recorded) -> None:
    model, loader, _ = recorded
    loaded = PtychoModel.load_from_mlflow(run_id=model.run_id if named else None)
    assert loaded.data_config == model.data_config
    np.testing.assert_array_equal(image_of(loaded, loader), image_of(model, loader))


def test_a_model_is_saved_into_another_store_with_numbers_and_plain_files(recorded, tmp_path: Path) -> None:
    import mlflow

    model, loader, trainer = recorded
    run_id = model.save_mlflow(tmp_path / "archive")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/archive/mlflow.db")
    kept = [entry.value for entry in client.get_metric_history(run_id, "val_loss")]
    np.testing.assert_allclose(kept, trainer.history["val_loss"])
    files = {path.name for path in (tmp_path / "archive").rglob("*") if path.is_file()}
    assert files == {"mlflow.db", "wts.h5.zip", "configs.json"}
    loaded = PtychoModel.load_from_mlflow(run_id, tmp_path / "archive")
    np.testing.assert_array_equal(image_of(loaded, loader), image_of(model, loader))


def test_an_archive_that_was_changed_in_the_store_is_refused(recorded, store: Path) -> None:
    run_id = recorded[0].save_mlflow(store)
    archive = next(store.rglob(f"{run_id}/artifacts/model/wts.h5.zip"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"wts\.h5\.zip"):
        PtychoModel.load_from_mlflow(run_id, store)


def test_an_unknown_run_is_refused(recorded, store: Path) -> None:
    with pytest.raises(ConfigError, match="0000 not found"):
        PtychoModel.load_from_mlflow("0" * 32, store)


@pytest.mark.parametrize("disabled", [True, False])
def test_the_settings_ask_for_mlflow_unless_it_is_disabled(disabled: bool, settings, measured, tmp_path: Path) -> None:
    measured.export(tmp_path / "in/a.npz")
    four = settings(epochs=1, orchestrator="mlflow", experiment_name="by settings").four
    checkpoint = main(tmp_path / "in", None, four, disabled, tmp_path / "out")
    assert (checkpoint.parent / "mlflow_run.json").exists() != disabled
    if not disabled:
        run_id = json.loads((checkpoint.parent / "mlflow_run.json").read_text())["run_id"]
        assert PtychoModel.load_from_mlflow(run_id).training_config.experiment_name == "by settings"
