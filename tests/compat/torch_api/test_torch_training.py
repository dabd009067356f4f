"""The client's training, call by call."""

import csv
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.api.base_api import PtychoDataLoader, PtychoModel
from ptycho_torch.api.trainer import Trainer
from ptycho_torch.lightning_utils import _LossHistoryCallback, find_best_checkpoint
from ptycho_torch.model import PtychoPINN_Lightning
from ptychopinn.config import Recipe
from ptychopinn.training import prepare

LOOKS = ("contrast_amplitude", "contrast_phase_rad", "coverage")
"""Columns of the history that have a number where the image was looked at."""


def test_every_epoch_is_told_once_with_both_losses_in_lightnings_order(finished) -> None:
    assert [call[:2] for call in finished.losses] == [(kind, n) for n in range(3) for kind in ("val", "train")]
    losses = {kind: [call[2] for call in finished.losses if call[0] == kind] for kind in ("train", "val")}
    assert losses["train"] == finished.trainer.history["train_loss"]
    assert losses["val"] == finished.trainer.history["val_loss"]
    assert losses["train"][-1] < losses["train"][0]


def test_a_run_leaves_its_files_in_its_own_folder(finished) -> None:
    assert finished.folder.name.startswith("run_")
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {
        "model.ckpt",
        "wts.h5.zip",
        "recipe.yaml",
        "history.csv",
        "history.png",
        "run.log",
        "checkpoints",
    }
    with (finished.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["poisson_val_loss"]) for row in rows] == pytest.approx(finished.trainer.history["val_loss"])
    recipe = Recipe.from_file(finished.folder / "recipe.yaml")
    assert recipe.training.epochs == 3
    assert recipe.fitted is not None


def test_the_best_checkpoint_is_the_model_and_before_the_end_the_best_epoch(finished, tmp_path: Path) -> None:
    assert find_best_checkpoint(finished.folder) == finished.folder / "model.ckpt"
    assert find_best_checkpoint(finished.folder.parent) == finished.folder / "model.ckpt"
    assert find_best_checkpoint(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    for name in ("last", "best"):
        path = tmp_path / "checkpoints" / f"{name}.ckpt"
        path.write_bytes((finished.folder / "checkpoints" / path.name).read_bytes())
        assert find_best_checkpoint(tmp_path) == path
    assert PtychoModel.load(path).training_config.epochs == 3


def test_names_of_the_losses_are_known_before_training(settings) -> None:
    def names(**changes) -> tuple[str, str]:
        model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=settings(**changes)).model
        return model.loss_name, model.val_loss_name

    assert names() == ("poisson_train_loss", "poisson_val_loss")
    assert names(loss_function="MAE") == ("mae_train_loss", "mae_val_loss")
    assert names(nll=False) == ("mae_train_loss", "mae_val_loss")
    assert names(mode="Supervised") == ("mae_train_loss", "mae_val_loss")


@pytest.mark.parametrize("changes", [{"nll": False}, {"mode": "Supervised"}])
def test_other_losses_are_told_under_their_names(measured, settings, train, tmp_path, changes) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", None, settings(epochs=1, **changes))
    assert [call[0] for call in run.losses] == ["val", "train"]
    assert "mae_train_loss" in run.trainer.history


def test_callbacks_see_the_learning_rate(measured, settings, tmp_path: Path) -> None:
    from lightning.pytorch import Callback

    seen = []

    class Rate(Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            seen.append(float(trainer.callback_metrics["learning_rate"]))

    measured.export(tmp_path / "a.npz")
    config_manager = settings(epochs=1, scheduler="Exponential")
    loader = PtychoDataLoader(tmp_path / "a.npz", config_manager)
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=config_manager)
    trainer = Trainer._from_lightning(model=model, dataloader=loader)
    history = _LossHistoryCallback()
    trainer._trainer.callbacks += [Rate(), history]
    trainer.train()
    assert 0 < seen[0] <= 0.0101
    assert history.history == {key: trainer.history[key] for key in ("train_loss", "val_loss")}


def test_nothing_is_written_without_an_output_folder(measured, settings, train, tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    measured.export(tmp_path / "in" / "a.npz")
    before = set(os.listdir(tmp_path / "in"))
    run = train(tmp_path / "in", None, settings(epochs=1))
    assert run.loader.output_dir is None
    assert os.listdir(tmp_path / "here") == []
    assert set(os.listdir(tmp_path / "in")) == before


def test_nothing_is_written_to_the_working_directory(measured, settings, train, tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    measured.export(tmp_path / "in" / "a.npz")
    train(tmp_path / "in", tmp_path / "out", settings(epochs=1))
    assert os.listdir(tmp_path / "here") == []
    assert os.listdir(tmp_path / "in") == ["a.npz"]


def test_a_refused_training_leaves_no_folder(measured, settings, train, tmp_path: Path) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    with pytest.raises(ValueError, match="vit"):
        train(tmp_path / "in", tmp_path / "out", settings(architecture="vit"))
    assert not (tmp_path / "out").exists()


def test_two_runs_in_one_directory_do_not_meet(measured, settings, train, tmp_path: Path) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    runs = [train(tmp_path / "in", tmp_path / "out", settings(epochs=n)) for n in (1, 2)]
    assert runs[0].folder != runs[1].folder
    for run, epochs in zip(runs, (1, 2), strict=True):
        assert Recipe.from_file(run.folder / "recipe.yaml").training.epochs == epochs
    assert find_best_checkpoint(tmp_path / "out") == runs[1].folder / "model.ckpt"


def test_the_recipe_alone_gives_the_same_weights(measured, finished, tmp_path: Path) -> None:
    """Nothing of a client's run is decided outside its recipe."""
    from ptychopinn.data import read_scan
    from ptychopinn.training import fit

    recipe = Recipe.from_file(finished.folder / "recipe.yaml")
    again = fit(read_scan(measured.export(tmp_path / "a.npz"), recipe.data), recipe)
    for name, value in finished.model.model.network.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, rtol=1e-5, atol=1e-7, msg=name)


def test_small_data_still_have_a_validation_loss(make, settings, train, tmp_path, caplog) -> None:
    """And its groups change nothing: they are of the training."""
    few = make()
    few = replace(few, patterns=few.patterns[:7], positions=few.positions[:7])
    few.export(tmp_path / "in" / "a.npz")
    config_manager = settings(epochs=2)
    with caplog.at_level(logging.WARNING):
        run = train(tmp_path / "in", None, config_manager)
    assert [call[0] for call in run.losses] == ["val", "train"] * 2
    assert "too few patterns for a validation region" in caplog.text
    assert len(prepare(run.loader.scans, config_manager.recipe(7)).parts[0].validation_groups) == 0


def test_mlflow_is_refused_with_the_line_that_installs_it(settings, measured, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    measured.export(tmp_path / "a.npz")
    loader = PtychoDataLoader(tmp_path, settings())
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=settings())
    for call in (
        lambda: Trainer._from_lightning(model=model, dataloader=loader, orchestration="mlflow"),
        lambda: model.save_mlflow(tmp_path),
        lambda: PtychoModel.load_from_mlflow("run"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'ptychopinn\[mlflow\]'"):
            call()
    with pytest.raises(ValueError, match="orchestration must be 'lightning' or 'mlflow', got 'slurm'"):
        Trainer._from_lightning(model=model, dataloader=loader, orchestration="slurm")


def test_numbers_of_a_batch_of_history_are_finite(finished) -> None:
    for column, values in finished.trainer.history.items():
        if column in LOOKS:  # not in every epoch, but in the last
            values = values[-1:]
        assert np.isfinite(values).all(), column
    assert set(LOOKS) <= set(finished.trainer.history)


def test_stages_and_staged_fine_tuning_of_the_client_act(finished, settings, train, tmp_path: Path) -> None:
    """As many epochs as all stages have, and the client is told of each."""
    stages = {"stage_1_epochs": 1, "stage_2_epochs": 1, "stage_3_epochs": 1, "scheduler": "MultiStage"}
    layers = {"enable_staged_finetuning": True, "finetune_stage1_epochs": 1, "finetune_stage2_epochs": 1}
    run = train(finished.folder.parents[1] / "in", tmp_path, settings(epochs_fine_tune=1, **stages, **layers))
    assert [call[1] for call in run.losses if call[0] == "train"] == list(range(6))
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["stage"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["learning_rate_encoder_top"]) > 0 for row in rows] == [True, True, True, True, False, True]
