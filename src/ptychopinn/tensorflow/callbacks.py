"""What happens beside the optimisation: history, checkpoints, early stop, as in `ptychopinn.training.callbacks`.

A checkpoint is a file of plain values and tensors under the names of PyTorch, so that one reader serves both backends;
the state of the optimiser stands beside them as arrays.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from keras.callbacks import Callback, EarlyStopping, ReduceLROnPlateau

from ptychopinn.bundle.checkpoint import read_checkpoint
from ptychopinn.config import TrainingConfig
from ptychopinn.training.history import CHECKPOINTS, HistoryTable
from ptychopinn.training.resume import write_checkpoint

STEPS = "tensorflow_optimizer"
"""Entry of a checkpoint with the state of the optimiser: number of the variable -> value."""


class Epoch(Callback):
    """Knows the current epoch, from 0, which decides the order of the patterns."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Take the number."""
        self.number = epoch


class Recorder(Callback):
    """Adds a row to the history after every epoch.

    Args:
        table: the history.
        keep: brings the weights of the network to the model that is measured and saved.
        epochs: number of epochs of the training.
        rate: tells the learning rate of the next step.
    """

    def __init__(
        self, table: HistoryTable, keep: Callable[[], None], epochs: int | None, rate: Callable[[], float]
    ) -> None:
        super().__init__()
        self._table, self._keep, self._epochs, self._rate = table, keep, epochs, rate
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row; raises a `PtychoPINNError` where the loss is not finite, before a checkpoint is written."""
        self._keep()
        seconds = time.perf_counter() - self._begun
        self._table.add(epoch + 1, self._epochs, losses_of(logs or {}), self._rate(), seconds)

    def on_train_end(self, logs: Any = None) -> None:
        """Add the scores of the last epoch, where the training was stopped early before they were due."""
        self._table.finish()


class Checkpoints(Callback):
    """Writes `best.ckpt` and `last.ckpt` of a folder after each epoch.

    Args:
        folder: of the run.
        monitor: loss whose lowest epoch is the best, `train_loss` or `val_loss`.
        content: makes the checkpoint of an epoch, but for what this callback knows.
        best: lowest loss so far.
    """

    def __init__(
        self, folder: Path, monitor: str, content: Callable[[int, float], dict[str, Any]], best: float
    ) -> None:
        super().__init__()
        self._folder, self._monitor, self._content, self._best = folder / CHECKPOINTS, monitor, content, best

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write both."""
        loss = losses_of(logs or {})[self._monitor]
        names = ["last.ckpt"] if loss >= self._best else ["best.ckpt", "last.ckpt"]
        self._best = min(loss, self._best)
        content = self._content(epoch, self._best)
        for name in names:
            write_checkpoint(content, self._folder / name)


class _Carried:
    """A callback of Keras whose counters a resumed run goes on with."""

    counters: tuple[str, ...] = ()
    earlier: dict[str, Any] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Reset the counters, or take those of the run before."""
        super().on_train_begin(logs)  # type: ignore[misc]
        for name, value in (self.earlier or {}).items():
            setattr(self, name, [part.numpy() for part in value] if isinstance(value, list) else value)

    def carried(self) -> dict[str, Any]:
        """The counters, plain values and tensors."""
        return {name: _stored(getattr(self, name)) for name in self.counters}


def _stored(value: Any) -> Any:
    """A number, or the weights of a model, as a checkpoint holds them."""
    if isinstance(value, list):
        return [torch.from_numpy(np.array(part)) for part in value]
    return value.item() if isinstance(value, np.generic) else value


class Stopper(_Carried, EarlyStopping):
    """Stops after some epochs without a lower loss, and puts the best weights back."""

    counters = ("wait", "best", "best_epoch", "best_weights")


class Plateau(_Carried, ReduceLROnPlateau):
    """Lowers the learning rate where the loss does not fall."""

    counters = ("wait", "best", "cooldown_counter")


def rules_of(config: TrainingConfig, monitor: str) -> dict[str, Any]:
    """The callbacks of Keras that settings of the recipe ask for, by the name of their entry in a checkpoint."""
    rules: dict[str, Any] = {}
    keras_name = monitor.removeprefix("train_")
    if config.early_stop_patience is not None:
        patience = config.early_stop_patience
        rules["EarlyStopping"] = Stopper(keras_name, patience=patience, restore_best_weights=True, mode="min")
    if config.scheduler == "plateau":
        rules["Plateau"] = Plateau(
            "loss",
            factor=config.plateau_factor,
            patience=config.plateau_patience + 1,  # here the epochs until the change, in PyTorch those before it
            min_delta=config.plateau_threshold,
            min_lr=config.plateau_min_lr,
            mode="min",
        )
    return rules


def losses_of(logs: dict[str, Any]) -> dict[str, float]:
    """What Keras logs under our names: `train_loss`, `val_loss`, and each term if there are several."""
    named = {key if key.startswith("val_") else f"train_{key}": float(value) for key, value in logs.items()}
    named = {key: value for key, value in named.items() if not key.endswith("learning_rate")}
    terms = [key for key in named if key.startswith("train_") and key != "train_loss"]
    return named if len(terms) > 1 else {key: value for key, value in named.items() if key.endswith("_loss")}


def optimizer_state(optimizer: keras.optimizers.Optimizer) -> dict[str, torch.Tensor]:
    """All variables of an optimiser by their number."""
    values = map(keras.ops.convert_to_numpy, optimizer.variables)
    return {str(number): torch.tensor(value) for number, value in enumerate(values)}


def take_optimizer_state(optimizer: keras.optimizers.Optimizer, state: dict[str, torch.Tensor]) -> None:
    """The inverse of `optimizer_state`."""
    for number, variable in enumerate(optimizer.variables):
        variable.assign(state[str(number)].numpy())


def read_training(path: str) -> dict[str, Any]:
    """A checkpoint of a training by this backend."""
    return read_checkpoint(Path(path), "a checkpoint of a TensorFlow training", "train with --overwrite")


LOWEST = math.inf
"""The best loss before the first epoch."""
