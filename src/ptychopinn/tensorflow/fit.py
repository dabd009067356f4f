"""Training by `model.fit` of Keras: the same scans, order, losses, steps, history and checkpoints as on PyTorch."""

import logging
from pathlib import Path
from typing import Any

import keras

from ptychopinn.bundle.layouts import to_tensorflow
from ptychopinn.tensorflow.batches import dataset
from ptychopinn.tensorflow.callbacks import (
    LOWEST,
    STEPS,
    Checkpoints,
    Epoch,
    Recorder,
    optimizer_state,
    read_training,
    rules_of,
    take_optimizer_state,
)
from ptychopinn.tensorflow.optimizer import make_optimizer
from ptychopinn.tensorflow.pinn import PatchModel
from ptychopinn.tensorflow.predict import keep, with_keras
from ptychopinn.training.contrast_monitor import ContrastMonitor
from ptychopinn.training.history import EpochHook, History, HistoryTable
from ptychopinn.training.loaders import training_loader, validation_loader
from ptychopinn.training.prepare import Prepared
from ptychopinn.training.resume import identity_of

logger = logging.getLogger("ptychopinn.training")


def train_by_keras(start: Prepared, folder: Path | None, checkpoint: str | None, on_epoch: EpochHook | None) -> History:
    """Train the model of `start` in place, which predicts by TensorFlow from then on.

    Args:
        start: the untrained model, whose initial weights are those of PyTorch with the same seed, and its patterns.
        folder: where `history.csv` and `checkpoints/` go.
        checkpoint: to go on from.
        on_epoch: called after every epoch.
    """
    return _Training(start).run(folder, checkpoint, on_epoch)


class _Training:
    """A Keras model, its data and its optimiser."""

    table: HistoryTable
    rules: dict[str, Any]

    def __init__(self, start: Prepared) -> None:
        fitted = start.recipe.fitted
        assert fitted is not None
        self.start, self.recipe = start, start.recipe
        self.model: PatchModel = with_keras(start.model, start.recipe)
        self.epoch = Epoch()
        train = training_loader(start, self.recipe.training, lambda: self.epoch.number)
        validation = validation_loader(start, self.recipe.training)
        masked = any(part.tensors.measured is not None for part in start.parts)
        self.train = dataset(train, fitted.mean_count, masked)
        self.validation = None if validation is None else dataset(validation, fitted.mean_count, masked)
        self.steps = len(train)  # type: ignore[arg-type]
        self.optimizer = make_optimizer(self.model, self.recipe.training, self.steps)
        self.model.compile(self.optimizer, jit_compile=False)

    def run(self, folder: Path | None, checkpoint: str | None, on_epoch: EpochHook | None) -> History:
        """Train all epochs, those before the checkpoint excepted."""
        config = self.recipe.training
        monitor = "train_loss" if self.validation is None else "val_loss"
        path = folder / "history.csv" if folder and config.logger != "none" else None
        self.table = HistoryTable(path, on_epoch, ContrastMonitor(self.start).measure)
        self.rules = rules_of(config, monitor)
        done, best = self._resume(checkpoint) if checkpoint else (0, LOWEST)
        rate = self.optimizer
        recorder = Recorder(self.table, self._keep, config.epochs, lambda: float(rate.learning_rate))
        callbacks: list[keras.callbacks.Callback] = [self.epoch, *self.rules.values(), recorder]
        if folder is not None:
            scans = identity_of(self.start)
            callbacks.append(Checkpoints(folder, monitor, lambda epoch, best: self._content(epoch, best, scans), best))
        if done < (config.epochs or 0):
            self.model.fit(
                self.train,
                validation_data=self.validation,
                epochs=config.epochs,
                initial_epoch=done,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )
        self._keep()
        return self.table.history()

    def _keep(self) -> None:
        keep(self.start.model, self.model)

    def _content(self, epoch: int, best: float, scans: str) -> dict[str, Any]:
        """The checkpoint of an epoch, from 0: plain values and tensors."""
        return {
            "epoch": epoch,
            "state_dict": {f"model.{name}": value for name, value in self.start.model.state_dict().items()},
            STEPS: optimizer_state(self.optimizer),
            "hyper_parameters": {"recipe": self.recipe.model_dump(mode="json")},
            "callbacks": {
                "Checkpoints": {"best": best, "scans": scans},
                "HistoryRecorder": {"rows": self.table.rows},
                **{name: rule.carried() for name, rule in self.rules.items()},
            },
        }

    def _resume(self, checkpoint: str) -> tuple[int, float]:
        """Take the state of a checkpoint; epochs done, and the lowest loss so far."""
        values = read_training(checkpoint)
        state = {name.removeprefix("model."): value for name, value in values["state_dict"].items()}
        self.model.load({name: value.numpy() for name, value in to_tensorflow(state).items()})
        take_optimizer_state(self.optimizer, values[STEPS])
        stored = values["callbacks"]
        self.table.rows = list(stored["HistoryRecorder"]["rows"])
        for name, rule in self.rules.items():
            rule.earlier = stored.get(name)
        return int(values["epoch"]) + 1, float(stored["Checkpoints"]["best"])
