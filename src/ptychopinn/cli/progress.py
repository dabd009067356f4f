"""How far a command is: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ptychopinn.cli.console import errors

if TYPE_CHECKING:
    from ptychopinn.api.reconstructed import Reconstructed

SECONDS_BETWEEN_LINES = 15.0


class ProgressDisplay:
    """Takes the calls of `on_image`, `on_epoch`, `on_batch` and `on_iteration` and shows them on stderr.

    Args:
        console: where to show them.
        interval_s: least time between two plain lines where the console is no terminal.
    """

    def __init__(self, console: Console = errors, interval_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._console = console
        self._interval_s = interval_s
        self._last_line = -interval_s
        self._started: dict[str, tuple[float, int]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._live = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> "ProgressDisplay":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def on_epoch(self, done: int, total: int, numbers: dict[str, float]) -> None:
        """An epoch of training has ended."""
        self._show("training", done, total, _describe(numbers))

    def on_batch(self, done: int, total: int) -> None:
        """A batch of patterns has been predicted."""
        self._show("reconstructing", done, total, "")

    def on_iteration(self, done: int, total: int, numbers: dict[str, float]) -> None:
        """An iteration of the solver has ended."""
        self._show("refining", done, total, f"deviance {numbers['deviance']:.5g}")

    def on_scan(self, done: int, total: int, failed: int) -> None:
        """The number of scans of a campaign that are done, or of all, has changed."""
        self._show("scans", done, total, f"{failed} failed" if failed else "")

    def on_frames(self, done: int, total: int | None) -> None:
        """Frames of a scan that is being measured were placed."""
        self._show("frames", done, max(done, total or 0), "")

    def on_image(self, image: "Reconstructed") -> None:
        """The solver's image has been written, and training follows."""
        self._console.print(f"image: {image.paths['reconstruction']} (solver)", highlight=False, soft_wrap=True)

    def _show(self, stage: str, done: int, total: int, note: str) -> None:
        if not self._console.is_terminal:
            self._line(stage, done, total, note)
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._live.add_task(stage, total=total, note=note)
        self._live.update(self._tasks[stage], completed=done, total=total, note=note)

    def _line(self, stage: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        first = stage not in self._started
        start, done_then = self._started.setdefault(stage, (now, done))
        if not first and done < total and now - self._last_line < self._interval_s:
            return
        self._last_line = now
        left = ""
        if done_then < done < total:
            left = f"about {(now - start) / (done - done_then) * (total - done):.0f} s left"
        parts = [f"{stage} {done}/{total}", note, left]
        self._console.print("  ".join(part for part in parts if part), highlight=False, soft_wrap=True)


def _describe(numbers: dict[str, float]) -> str:
    """Loss and learning rate of an epoch.

    >>> _describe({"train_loss": 0.25, "val_loss": 0.5, "learning_rate": 0.001, "seconds": 2.0})
    'loss 0.25, validation 0.5, rate 0.001'
    """
    names = (("train_loss", "loss"), ("val_loss", "validation"), ("learning_rate", "rate"))
    return ", ".join(f"{label} {numbers[key]:.5g}" for key, label in names if key in numbers)
