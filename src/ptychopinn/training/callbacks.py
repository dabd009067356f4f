"""What happens beside the optimisation: history, progress, checkpoints that survive a crash."""

import logging
import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from ptychopinn.training.history import CHECKPOINTS, HistoryTable
from ptychopinn.training.resume import write_checkpoint
from ptychopinn.training.stages import StageProgress

logger = logging.getLogger("ptychopinn.training")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it: a crash leaves the old one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write to a temporary file, then rename.

        Raises:
            OutputError: the file cannot be written, as on a full disk.
        """
        write_checkpoint(checkpoint, Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove nothing: our checkpoints have fixed names, and a path in a checkpoint may name anything."""


class Checkpoints(Checkpoint):
    """Writes `best.ckpt` and `last.ckpt` of a folder, after each epoch whose loss is finite.

    The epochs that follow the best one are in `best_2.ckpt`, `best_3.ckpt`, ...

    A checkpoint holds no path, and nothing that it holds decides where a file is written or removed.

    Args:
        folder: of the run; the files go to its folder `checkpoints`.
        monitor: logged loss whose lowest epoch is the best.
        scans: identity of the data, see `ptychopinn.training.resume.identity_of`.
        count: best epochs that are kept.
        progress: of the stages; epochs whose loss cannot be compared with that of the last stage are not the best.
    """

    def __init__(
        self, folder: Path, monitor: str, scans: str, count: int = 1, progress: StageProgress | None = None
    ) -> None:
        self._progress = progress
        self._folder = folder / CHECKPOINTS
        self._monitor = monitor
        self._scans = scans
        self._count = count
        self._best: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """The lowest losses so far, and the identity of the data."""
        return {"best": self._best, "scans": self._scans}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the lowest losses of the run that is resumed."""
        stored = state_dict["best"]
        self._best = [float(value) for value in (stored if isinstance(stored, list) else [stored])][: self._count]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both; Lightning calls checkpoint callbacks last."""
        loss = float(trainer.callback_metrics[self._monitor])
        rank = sum(value <= loss for value in self._best)
        if rank < self._count and (self._progress is None or self._progress.ended_comparable):
            self._best = [*self._best[:rank], loss, *self._best[rank:]][: self._count]
            for place in range(len(self._best) - 1, rank, -1):
                if trainer.is_global_zero and (before := self._file(place - 1)).exists():
                    before.replace(self._file(place))
            trainer.save_checkpoint(self._file(rank))
        trainer.save_checkpoint(self._folder / "last.ckpt")

    def _file(self, rank: int) -> Path:
        return self._folder / ("best.ckpt" if rank == 0 else f"best_{rank + 1}.ckpt")


class StageKeeper(Callback):
    """Counts the epochs of each stage, goes on to the next one, and ends the training after the last one.

    Args:
        progress: of the module that is trained.
        monitor: name of the loss that decides whether a stage ends early.
    """

    def __init__(self, progress: StageProgress, monitor: str) -> None:
        self._progress = progress
        self._monitor = monitor

    def state_dict(self) -> dict[str, Any]:
        """Where the training is in its plan, plain numbers."""
        return self._progress.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that of the run that is resumed."""
        self._progress.load_state_dict(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take no further epoch where all stages have ended already."""
        trainer.should_stop = self._progress.is_over

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count; must be called before what asks whether the epoch is comparable."""
        self._progress.end_epoch(trainer.current_epoch, float(trainer.callback_metrics[self._monitor]))
        trainer.should_stop = trainer.should_stop or self._progress.is_over


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest loss, and carries them through checkpoints.

    Args:
        monitor: name of the loss.
        progress: of the stages; epochs whose loss cannot be compared with that of the last stage do not count.
    """

    def __init__(self, monitor: str, progress: StageProgress | None = None) -> None:
        self._monitor = monitor
        self._progress = progress
        self._loss = math.inf
        self._weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The lowest loss and the weights that gave it."""
        return {"loss": self._loss, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take those of the run that is resumed."""
        self._loss, self._weights = state_dict["loss"], state_dict["weights"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare, and copy the weights if they are better."""
        loss = float(trainer.callback_metrics[self._monitor])
        if loss < self._loss and (self._progress is None or self._progress.ended_comparable):
            self._loss = loss
            self._weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}

    def restore(self, module: LightningModule) -> None:
        """Put the best weights back; does nothing where no epoch had a finite loss."""
        if self._weights:
            module.load_state_dict(self._weights)


class HistoryRecorder(Callback):
    """Adds a row to the history after every epoch, and carries it through checkpoints to a resumed run."""

    def __init__(self, table: HistoryTable) -> None:
        self._table = table
        self._start = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, plain numbers."""
        return {"rows": self._table.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of the run that is resumed."""
        self._table.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row; Lightning calls this before checkpoints are written.

        Raises:
            PtychoPINNError: the loss is not finite; the checkpoints on disk are then those of the epoch before.
        """
        losses = {key: float(value) for key, value in trainer.callback_metrics.items()}
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        seconds = time.perf_counter() - self._start
        self._table.add(trainer.current_epoch + 1, trainer.max_epochs, losses, rate, seconds)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the scores of the last epoch, where the training was stopped early before they were due."""
        self._table.finish()


class EpochLosses(Callback):
    """Collects the losses of each epoch in `history`: `train_loss` and `val_loss`, one number per epoch."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule, name: str = "train_loss") -> None:
        """Add the training loss."""
        value = trainer.callback_metrics.get(name)
        if value is not None:
            self.history[name].append(float(value))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the validation loss."""
        if not trainer.sanity_checking:
            self.on_train_epoch_end(trainer, pl_module, "val_loss")
