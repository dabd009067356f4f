"""How far a command is: a live bar on a terminal, else a plain line now and then, or JSON lines."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ptychopinn.cli.console import errors, output, print_event, say

if TYPE_CHECKING:
    from ptychopinn.api.reconstructed import Reconstructed

SECONDS_BETWEEN_LINES = 15.0
STAGE_WIDTH, BAR_WIDTH, TIME_WIDTH = 14, 16, 12
"""Characters; of a line of 80 at least 25 are left for the numbers."""


class TimeLeft(TimeRemainingColumn):
    """The time that is left, named so; the time that was taken once a stage has ended."""

    def render(self, task: Task) -> Text:
        """The text of a stage."""
        text = super().render(task)
        return text if task.finished else text.append(" left")


class ProgressDisplay:
    """Takes the calls of `on_image`, `on_epoch`, `on_batch`, `on_iteration`, `on_run` and shows them on stderr.

    Args:
        console: where to show them.
        interval_s: least time between two plain lines where the console is no terminal.
    """

    def __init__(self, console: Console = errors, interval_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._console = console
        self._interval_s = interval_s
        self._last_line = -interval_s
        self._started: dict[str, tuple[float, int]] = {}
        self._done: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._is_live = console.is_terminal and not (output.quiet or output.json_lines or output.silent)
        self._live = Progress(
            TextColumn("{task.description:<" + str(STAGE_WIDTH) + "}"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TimeLeft(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}"),
            console=console,
        )

    def __enter__(self) -> "ProgressDisplay":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._live.stop()

    def on_epoch(self, done: int, total: int, numbers: dict[str, float]) -> None:
        """An epoch of training has ended."""
        self._show("training", done, total, _describe(numbers), numbers)

    def on_batch(self, done: int, total: int) -> None:
        """A batch of patterns has been predicted."""
        self._show("reconstructing", done, total, "")

    def on_iteration(self, done: int, total: int, numbers: dict[str, float]) -> None:
        """An iteration of the solver has ended."""
        self._show("refining", done, total, f"deviance {numbers['deviance']:.5g}", numbers)

    def on_stage(self, stage: str, done: int, total: int) -> None:
        """A part of a stage that has a name of its own has ended."""
        self._show(stage, done, total, "")

    def on_run(self, done: int, total: int, note: str, stage: str = "study") -> None:
        """A run of a study, or a scan of several, has ended; `done` is 0 before the first one."""
        if self._is_live and done:
            self._console.print(f"{stage} {done}/{total}  {note}", markup=False, highlight=False, soft_wrap=True)
        if self._is_live or done:
            self._show(stage, done, total, note, always=True)
        else:
            self._seconds_left(stage, done, total)

    def on_scan(self, done: int, total: int, failed: int) -> None:
        """The number of scans of a campaign that are done, or of all, has changed."""
        self._show("scans", done, total, f"{failed} failed" if failed else "")

    def on_frames(self, done: int, total: int | None) -> None:
        """Frames of a scan that is being measured were placed."""
        self._show("frames", done, max(done, total or 0), "")

    def on_image(self, image: "Reconstructed") -> None:
        """The solver's image has been written, and training follows."""
        if not (output.quiet or output.silent):
            say("image", f"image: {image.paths['reconstruction']} (solver)")

    def _show(
        self, stage: str, done: int, total: int, note: str, numbers: Mapping[str, float] = {}, always: bool = False
    ) -> None:
        if output.quiet or output.silent:
            return
        left = self._seconds_left(stage, done, total)
        if output.json_lines:
            facts: dict[str, Any] = {key: value for key, value in numbers.items() if abs(value) < float("inf")}
            print_event("progress", stage=stage, done=done, total=total, seconds_left=left, note=note, **facts)
        elif self._is_live:
            note = self._fitting(note, total)
            if stage not in self._tasks:
                self._tasks[stage] = self._live.add_task(stage, total=total, note=note)
            elif done < self._live.tasks[self._tasks[stage]].completed:
                self._live.reset(self._tasks[stage], total=total)
            self._live.update(self._tasks[stage], completed=done, total=total, note=note)
        else:
            self._line(stage, done, total, note, left, always)

    def _fitting(self, note: str, total: int) -> str:
        """The part of a note for which a line of the terminal has room, so that the time left is never cut off."""
        room = self._console.width - STAGE_WIDTH - BAR_WIDTH - TIME_WIDTH - 2 * len(str(total)) - 6
        return note if len(note) <= room else f"{note[: max(room - 1, 0)]}…"

    def _seconds_left(self, stage: str, done: int, total: int) -> float | None:
        """By the mean time since the first call of a stage; None where that is not known yet."""
        now = time.monotonic()
        if done <= self._done.get(stage, done - 1):
            self._started.pop(stage, None)  # the next run of the same stage
        self._done[stage] = done
        start, done_then = self._started.setdefault(stage, (now, done))
        return (now - start) / (done - done_then) * (total - done) if done_then < done < total else None

    def _line(self, stage: str, done: int, total: int, note: str, left: float | None, always: bool) -> None:
        now = time.monotonic()
        first = self._started[stage][1] == done
        if not (first or always) and done < total and now - self._last_line < self._interval_s:
            return
        self._last_line = now
        text = "" if left is None else f"about {left:.0f} s left"
        parts = [f"{stage} {done}/{total}", note, text]
        line = "  ".join(part for part in parts if part)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _describe(numbers: dict[str, float]) -> str:
    """Loss and learning rate of an epoch.

    >>> _describe({"train_loss": 0.25, "val_loss": 0.5, "learning_rate": 0.001, "seconds": 2.0})
    'loss 0.25, validation 0.5, rate 0.001'
    """
    names = (("train_loss", "loss"), ("val_loss", "validation"), ("learning_rate", "rate"))
    return ", ".join(f"{label} {numbers[key]:.5g}" for key, label in names if key in numbers)
