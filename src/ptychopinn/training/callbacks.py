"""What happens beside the optimisation: history, progress, checkpoints that survive a crash."""

import csv
import io
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from ptychopinn.data.io.atomic import atomic_path, write_text_atomically
from ptychopinn.errors import OutputError, PtychoPINNError
from ptychopinn.training.history import CHECKPOINTS, EpochHook, EpochScores, History

logger = logging.getLogger("ptychopinn.training")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it: a crash leaves the old one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write to a temporary file, then rename.

        Raises:
            OutputError: the file cannot be written, as on a full disk.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # what torch makes of a full disk
                reason = str(error).splitlines()[0]
                raise OutputError(
                    f"{path}: the checkpoint cannot be written ({reason}); free space on the disk or name another "
                    "folder, then continue with --resume"
                ) from error

    def remove_checkpoint(self, path: Any) -> None:
        """Remove nothing: our checkpoints have fixed names, and a path in a checkpoint may name anything."""


class Checkpoints(Checkpoint):
    """Writes `best.ckpt` and `last.ckpt` of a folder, after each epoch whose loss is finite.

    A checkpoint holds no path, and nothing that it holds decides where a file is written or removed.

    Args:
        folder: of the run; the files go to its folder `checkpoints`.
        monitor: logged loss whose lowest epoch is the best.
        scans: identity of the data, see `ptychopinn.training.resume.identity_of`.
    """

    def __init__(self, folder: Path, monitor: str, scans: str) -> None:
        self._folder = folder / CHECKPOINTS
        self._monitor = monitor
        self._scans = scans
        self._best = math.inf

    def state_dict(self) -> dict[str, Any]:
        """The lowest loss so far, and the identity of the data."""
        return {"best": self._best, "scans": self._scans}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the lowest loss of the run that is resumed."""
        self._best = float(state_dict["best"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both; Lightning calls checkpoint callbacks last."""
        loss = float(trainer.callback_metrics[self._monitor])
        if loss < self._best:
            self._best = loss
            trainer.save_checkpoint(self._folder / "best.ckpt")
        trainer.save_checkpoint(self._folder / "last.ckpt")


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest loss, and carries them through checkpoints."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
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
        if loss < self._loss:
            self._loss = loss
            self._weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}

    def restore(self, module: LightningModule) -> None:
        """Put the best weights back; does nothing where no epoch had a finite loss."""
        if self._weights:
            module.load_state_dict(self._weights)


class HistoryRecorder(Callback):
    """Keeps a row per epoch, writes it as CSV, and carries it through checkpoints to a resumed run."""

    def __init__(
        self, path: Path | None, on_epoch: EpochHook | None = None, scores_of: EpochScores | None = None
    ) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch
        self._scores_of = scores_of
        self._unmeasured = False
        self._start = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, plain numbers."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of the run that is resumed."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row; Lightning calls this before checkpoints are written.

        Raises:
            PtychoPINNError: the loss is not finite; the checkpoints on disk are then those of the epoch before.
        """
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        row = {"epoch": float(trainer.current_epoch + 1), **metrics}
        if not math.isfinite(metrics["train_loss"]):
            raise PtychoPINNError(
                f"the training loss is {metrics['train_loss']} in epoch {trainer.current_epoch + 1}, and the training "
                "was stopped; checkpoints and history keep the epochs before. Check the scan with `ptychopinn info`, "
                "or lower training.learning_rate"
            )
        row["learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["seconds"] = time.perf_counter() - self._start
        if self._scores_of is not None:
            done = trainer.current_epoch + 1
            found = self._scores_of(done, done == trainer.max_epochs)
            row, self._unmeasured = row | found, not found
        self.rows.append(row)
        self._write()
        if self._on_epoch is not None:
            self._on_epoch(len(self.rows), int(trainer.max_epochs or 0), row)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the scores of the last epoch, where the training was stopped early before they were due."""
        if self._unmeasured and self._scores_of is not None:
            self.rows[-1] = self.rows[-1] | self._scores_of(int(self.rows[-1]["epoch"]), True)
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            write_text_atomically(self.path, self.as_csv())

    def as_csv(self) -> str:
        """The rows as CSV text."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.8g}" for key, value in row.items()} for row in self.rows)
        return text.getvalue()

    def history(self) -> History:
        """The rows by column; a column that began later has NaN before."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        return {column: [row.get(column, float("nan")) for row in self.rows] for column in columns}
