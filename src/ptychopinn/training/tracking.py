"""The record of a training that others can browse: settings, numbers and figures of every epoch, and the model.

`training.logger` names where it goes. What is recorded does not depend on the backend that trains, nor on the place:
a `Tracking` is told of every epoch and passes it on to a `Tracker`.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ptychopinn.errors import PtychoPINNError, one_line
from ptychopinn.training.figures import figures_so_far
from ptychopinn.training.history import EpochHook, History
from ptychopinn.training.loggers import Tracker
from ptychopinn.training.prepare import Prepared

logger = logging.getLogger("ptychopinn.training")


class Tracking:
    """Tells a tracker of a training.

    A tracker that fails, such as a server that does not answer, is reported once and asked no more: the training goes
    on, and its history and model are written all the same.

    Args:
        start: what is trained; figures are drawn with its model as it is then.
        tracker: where it is recorded; None records nothing.
    """

    def __init__(self, start: Prepared, tracker: Tracker | None) -> None:
        self._start = start
        self._tracker = tracker
        self._last: dict[str, float] = {}
        self._drawn = 0

    @property
    def is_open(self) -> bool:
        """Whether anything is recorded."""
        return self._tracker is not None

    @property
    def run_id(self) -> str | None:
        """Number of the run of MLflow."""
        return getattr(self._tracker, "run_id", None)

    def hook(self, on_epoch: EpochHook | None) -> EpochHook | None:
        """What is called after every epoch: records it, then calls `on_epoch`."""
        if self._tracker is None:
            return on_epoch

        def after_epoch(done: int, epochs: int, row: dict[str, float]) -> None:
            self._epoch(done, row)
            if on_epoch is not None:
                on_epoch(done, epochs, row)

        return after_epoch

    def _epoch(self, done: int, row: dict[str, float]) -> None:
        self._last = row
        self._ask(lambda tracker: tracker.log_numbers(done, finite(row)))
        every = self._start.recipe.training.figure_epochs
        if every is not None and done % every == 0:
            self._draw(done)

    def _draw(self, done: int) -> None:
        self._drawn = done

        def log(tracker: Tracker) -> None:
            for name, figure in figures_so_far(self._start, done):
                tracker.log_figure(done, figure, name)

        self._ask(log)

    def complete(self, history: History) -> None:
        """Record what the last epoch still lacks: its figure, and numbers that came late since training was stopped."""
        done = len(history.get("epoch", ()))
        if self._start.recipe.training.figure_epochs is not None and done != self._drawn:
            self._draw(done)
        last = {name: column[-1] for name, column in history.items() if column}
        late = finite({name: value for name, value in last.items() if name not in self._last})
        if late:
            self._ask(lambda tracker: tracker.log_numbers(done, late))

    def add_file(self, path: Path) -> None:
        """Keep a file, such as the model, as it is."""
        self._ask(lambda tracker: tracker.add_file(path))

    def log_settings(self) -> None:
        """Record the recipe."""
        self._ask(lambda tracker: tracker.log_settings(flat_settings(self._start.recipe.model_dump(mode="json"))))

    def end(self, outcome: str) -> None:
        """Close the record."""
        self._ask(lambda tracker: tracker.end(outcome))

    def _ask(self, request: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            request(self._tracker)
        except PtychoPINNError:
            raise
        except Exception as error:
            name, self._tracker = self._start.recipe.training.logger, None
            logger.warning("%s records nothing more (%s); the training goes on", name, one_line(str(error)))


@contextmanager
def recorded(start: Prepared, tracker: Tracker | None) -> Iterator[Tracking]:
    """A tracking that is closed with the outcome of its block; the settings are recorded first."""
    tracking = Tracking(start, tracker)
    tracking.log_settings()
    try:
        yield tracking
    except KeyboardInterrupt:
        tracking.end("interrupted")
        raise
    except BaseException:
        tracking.end("failed")
        raise
    tracking.end("finished")


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Those that are finite; the number of the epoch is left out.

    >>> finite({"epoch": 1.0, "train_loss": 0.5, "coverage": float("nan")})
    {'train_loss': 0.5}
    """
    return {name: float(value) for name, value in numbers.items() if name != "epoch" and math.isfinite(value)}


def flat_settings(tree: Mapping[str, Any], prefix: str = "", longest: int = 500) -> dict[str, str]:
    """Dotted key -> value as text of at most `longest` characters; the statistics of the scan are left out.

    >>> flat_settings({"backend": "pytorch", "training": {"epochs": 3, "betas": [0.9, 0.999]}, "fitted": {"a": 1}})
    {'backend': 'pytorch', 'training.epochs': '3', 'training.betas': '[0.9, 0.999]'}
    """
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= {} if prefix + key == "fitted" else flat_settings(value, f"{prefix}{key}.", longest)
        else:
            found[prefix + key] = str(value)[:longest]
    return found
