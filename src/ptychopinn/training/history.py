"""The history of a training and the hooks that report it; none of them needs Lightning."""

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from ptychopinn.data.io.atomic import write_text_atomically
from ptychopinn.errors import PtychoPINNError

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, inside that of a run."""

History = dict[str, list[float]]
"""Column name -> one number per epoch."""

EpochHook = Callable[[int, int, dict[str, float]], None]
"""Called after every epoch with the epochs done, the epochs in all and the numbers of the epoch."""

EpochScores = Callable[[int, bool], dict[str, float]]
"""Further numbers of an epoch; called with the number of epochs done and whether it was the last."""


class HistoryTable:
    """A row of numbers for every epoch, written as CSV after each.

    Args:
        path: of the CSV file; nothing is written without it.
        on_epoch: called with every row.
        scores_of: further columns.
    """

    def __init__(
        self, path: Path | None = None, on_epoch: EpochHook | None = None, scores_of: EpochScores | None = None
    ) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch
        self._scores_of = scores_of
        self._unmeasured = False

    def add(self, done: int, epochs: int | None, losses: Mapping[str, float], rate: float, seconds: float) -> None:
        """Add the row of an epoch.

        Args:
            done: epochs done.
            epochs: of the whole training, where that is known.
            losses: `train_loss`, and others.
            rate: learning rate.
            seconds: time of the epoch.

        Raises:
            PtychoPINNError: the loss is not finite; checkpoints must be written after this.
        """
        if not math.isfinite(losses["train_loss"]):
            raise PtychoPINNError(
                f"the training loss is {losses['train_loss']} in epoch {done}, and the training "
                "was stopped; checkpoints and history keep the epochs before. Check the scan with `ptychopinn info`, "
                "or lower training.learning_rate"
            )
        row = {"epoch": float(done), **losses, "learning_rate": rate, "seconds": seconds}
        if self._scores_of is not None:
            found = self._scores_of(done, done == epochs)
            row, self._unmeasured = row | found, not found
        self.rows.append(row)
        self._write()
        if self._on_epoch is not None:
            self._on_epoch(len(self.rows), int(epochs or 0), row)

    def finish(self) -> None:
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
