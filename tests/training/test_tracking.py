"""What MLflow, TensorBoard and W&B hold of a training; those whose package is missing are left out."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ptychopinn.api.model_files import load_model
from ptychopinn.api.train import train
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.plotting import PredictedPatch
from ptychopinn.training import figures, fit, fit_prepared, loggers, mlflow_runs, prepare
from ptychopinn.training.tracking import Tracking

MakeRecipe = Callable[..., Recipe]
IN_MLFLOW = ("training.logger=mlflow", "training.experiment=beamtime", "training.figure_epochs=2")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty store, which the environment names; making its tables takes two seconds."""
    address = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield address


@pytest.fixture(scope="module")
def finished(store: str, scan: Scan, make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A training of three epochs."""
    return train(scan, tmp_path_factory.mktemp("run"), make_recipe(*IN_MLFLOW, "training.epochs=3"))


def run_in(folder: Path) -> tuple[Any, Any]:
    """The client of the present store, and the run that a training left in it."""
    import mlflow

    client = mlflow.MlflowClient()
    return client, client.get_run(json.loads((folder / mlflow_runs.RUN_FILE).read_text())["run_id"])


needs_mlflow = [pytest.mark.optional("mlflow"), pytest.mark.optional("sqlalchemy"), pytest.mark.optional("alembic")]


class TestMlflow:
    pytestmark = needs_mlflow

    def test_a_run_holds_settings_numbers_of_every_epoch_and_figures(self, finished: Any) -> None:
        client, run = run_in(finished.paths["model"].parent)
        assert (run.info.status, client.get_experiment(run.info.experiment_id).name) == ("FINISHED", "beamtime")
        assert run.data.params["training.learning_rate"] == "0.01"
        assert run.data.params["backend"] == run.data.tags["backend"] == "pytorch"
        for name in ("train_loss", "val_loss", "learning_rate"):
            kept = client.get_metric_history(run.info.run_id, name)
            assert [entry.step for entry in kept] == [1, 2, 3]
            np.testing.assert_allclose([entry.value for entry in kept], finished.history[name])
        assert [file.path for file in client.list_artifacts(run.info.run_id, "figures")] == [
            "figures/epoch_0002.png",
            "figures/epoch_0003.png",
        ]
        assert finished.paths["history"].exists()

    def test_the_model_is_the_archive_and_nothing_pickled(self, finished: Any, tmp_path: Path) -> None:
        client, run = run_in(finished.paths["model"].parent)
        folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert files == {"model/wts.h5.zip", "figures/epoch_0002.png", "figures/epoch_0003.png"}
        assert (folder / "model/wts.h5.zip").read_bytes() == finished.paths["model"].read_bytes()

    def test_a_training_without_a_folder_leaves_its_model_in_the_run(
        self, store: str, scan: Scan, make_recipe: MakeRecipe
    ) -> None:
        made = train(scan, recipe=make_recipe(*IN_MLFLOW, "training.figure_epochs=null"))
        with mlflow_runs.model_files() as folder:
            probe = load_model(folder / "wts.h5.zip").network.probe.detach().numpy()
        np.testing.assert_array_equal(probe, made.model.network.probe.detach().numpy())

    def test_a_resumed_training_goes_on_with_its_run(
        self, store: str, scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
    ) -> None:
        train(scan, tmp_path, make_recipe(*IN_MLFLOW))
        train(scan, tmp_path, make_recipe(*IN_MLFLOW, "training.epochs=3"), resume=True)
        client, run = run_in(tmp_path)
        steps = [entry.step for entry in client.get_metric_history(run.info.run_id, "train_loss")]
        assert (run.info.status, steps) == ("FINISHED", [1, 2, 3])

    def test_what_ends_a_training_is_the_status_of_its_run(
        self, store: str, scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
    ) -> None:
        def stop(done: int, epochs: int, row: dict[str, float]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(scan, tmp_path, make_recipe("training.logger=mlflow"), on_epoch=stop)
        assert run_in(tmp_path)[1].info.status == "KILLED"

    def test_a_store_that_cannot_be_used_is_refused_before_the_first_epoch(
        self, scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
        with pytest.raises(ConfigError, match=r"MLflow cannot use this store .* set MLFLOW_TRACKING_URI"):
            train(scan, tmp_path / "run", make_recipe("training.logger=mlflow"))
        assert not (tmp_path / "run/history.csv").exists()

    def test_no_run_and_no_store_are_refused(self, store: str, tmp_path: Path) -> None:
        for run_id, place in ((None, tmp_path / "nowhere"), ("0" * 32, None)):
            with (
                pytest.raises(ConfigError, match=r"no such store|cannot use this store"),
                mlflow_runs.model_files(run_id, place),
            ):
                pass


def test_a_tracker_that_fails_is_left_out_and_the_training_goes_on(
    scan: Scan, make_recipe: MakeRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreachable(loggers.FigureFolder):
        calls = 0

        def log_numbers(self, epoch: int, numbers: Any) -> None:
            Unreachable.calls += 1
            raise ConnectionError("the server does not answer")

    start = prepare(scan, make_recipe())
    tracking = Tracking(start, Unreachable(Path()))
    with caplog.at_level(logging.WARNING):
        result = fit_prepared(start, on_epoch=tracking.hook(None))
    assert (len(result.history["epoch"]), Unreachable.calls, tracking.is_open) == (2, 1, False)
    assert caplog.text.count("the server does not answer") == 1


def test_figures_change_nothing_of_a_training(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    plain = fit(scan, make_recipe("training.epochs=3"))
    drawn = fit(scan, make_recipe("training.epochs=3", "training.figure_epochs=2"), tmp_path)
    assert plain.history["train_loss"] == drawn.history["train_loss"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["epoch_0002.png", "epoch_0003.png"]


@pytest.mark.parametrize("architecture", ["cnn", "unrolled"])
def test_patches_of_chosen_patterns_are_drawn(
    architecture: str, scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the image or instead of it; each patch is that of its pattern."""
    drawn: list[PredictedPatch] = []
    original = figures.figure_patches

    def noted(patches: list[PredictedPatch], title: str) -> Figure:
        drawn.extend(patches)
        return original(patches, title)

    monkeypatch.setattr(figures, "figure_patches", noted)
    recipe = make_recipe(
        f"model.generator.architecture={architecture}", "training.epochs=1", "training.figure_epochs=1"
    )
    folders = [tmp_path / "even", tmp_path / "named"]
    for folder in folders:
        folder.mkdir()
    fit(scan, recipe.with_overrides(["training.figure_patches=3", "training.figure_patterns=5"]), folders[0])
    names = sorted(path.name for path in (folders[0] / "figures").iterdir())
    assert names == ["epoch_0001.png", "epoch_0001_patches.png"]
    assert [one.number for one in drawn] == [0, len(scan) // 2, len(scan) - 1]
    drawn.clear()
    fit(scan, recipe.with_overrides(["training.figure_indices=[7,2]", "training.figure_patterns=0"]), folders[1])
    assert [path.name for path in (folders[1] / "figures").iterdir()] == ["epoch_0001_patches.png"]
    for one, number in zip(drawn, (7, 2), strict=True):
        assert one.number == number
        np.testing.assert_allclose(one.measured, scan.patterns[number], rtol=1e-6)
        assert one.patch.shape == one.power.shape == scan.patterns.shape[1:]
    assert not np.array_equal(drawn[0].patch, drawn[1].patch)


def test_a_pattern_that_the_scan_does_not_have_is_refused(scan: Scan, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe("training.figure_epochs=1", "training.figure_indices=[0,100000]")
    with pytest.raises(ConfigError, match=rf"100000, but the scan has {len(scan)} patterns"):
        prepare(scan, recipe)


def test_figures_need_one_device(scan: Scan, make_recipe: MakeRecipe) -> None:
    with pytest.raises(ConfigError, match=r"training\.devices=1"):
        prepare(scan, make_recipe("training.figure_epochs=1", "training.devices=2"))


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "wandb"])
def test_a_logger_whose_package_is_missing_is_refused_before_work(
    name: str, scan: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ptychopinn.training.loggers"], "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"pip install 'ptychopinn\[{name}\]', or set training.logger=csv"):
        prepare(scan, make_recipe(f"training.logger={name}"))


@pytest.mark.optional("mlflow")
def test_a_local_store_without_its_packages_is_refused_with_the_line_that_installs_them(
    scan: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with pytest.raises(ConfigError, match=r"needs the package (sqlalchemy|alembic).*ptychopinn\[mlflow\]"):
        prepare(scan, make_recipe("training.logger=mlflow"))


@pytest.mark.optional("tensorboard")
def test_tensorboard_holds_the_numbers_of_every_epoch_and_figures(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))  # it would import TensorFlow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = fit(scan, make_recipe("training.logger=tensorboard", "training.figure_epochs=2"), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    scalars = events.Scalars("train_loss")
    assert [entry.step for entry in scalars] == [1, 2]
    np.testing.assert_allclose([entry.value for entry in scalars], result.history["train_loss"], rtol=1e-6)
    assert [entry.step for entry in events.Images("reconstruction")] == [2]
    assert "tensorflow" not in sys.modules


@pytest.mark.optional("wandb")
def test_wandb_writes_a_run_without_a_network(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    fit(scan, make_recipe("training.logger=wandb", "training.figure_epochs=2"), tmp_path)
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert list((tmp_path / "wandb").glob("offline-run-*/files/media/images/*.png"))
