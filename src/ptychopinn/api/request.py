"""What a caller asks of one reconstruction, and what surrounds it while it runs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction import ProbeChoice, Progress
from ptychopinn.solver import IterationHook
from ptychopinn.training import History


@dataclass(frozen=True)
class Job:
    """Where one reconstruction writes, whom it informs, and the time that was spent before it."""

    folder: Path | None = None
    """Exists already; nothing is written without it. Of the first rank alone."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Name of a step -> s."""
    history: History | None = None
    """Of the training, for the figure."""
    on_batch: Progress | None = None
    on_iteration: IterationHook | None = None
    resume: bool = False
    """Go on with an interrupted solver, or take its finished image, where the folder has one."""
    trained_in: Path | None = None
    """The folder on every rank, where a training has its checkpoints."""


def begun_folder(output: str | Path | None, log: RunLog, ranks: Ranks) -> Path | None:
    """The output folder, made, with the log begun in it; None on all ranks but the first one.

    Raises:
        OutputError: the folder cannot be written.
        RankError: the first rank's cannot.
    """
    with ranks.together():
        if output is None or not ranks.is_first:
            return None
        folder = check_output_folder(output)
        log.write_to(folder)
        return folder


@dataclass(frozen=True)
class Request:
    """The arguments of `ptychopinn.reconstruct`, except the model."""

    scan: ScanSource
    output: str | Path | None = None
    recipe: RecipeSource = None
    overrides: Sequence[str] = ()
    probe: ProbeChoice = "auto"
    device: str = "auto"
    on_batch: Progress | None = None
    on_iteration: IterationHook | None = None
    resume: bool = False
    ranks: Ranks = ALONE

    def job(self, log: RunLog, started: float, history: History | None = None) -> Job:
        """Make the output folder and begin its log; called when nothing can be refused any more.

        Args:
            log: of this run.
            started: `time.perf_counter()` when the scan began to be read.
            history: of the training.

        Raises:
            OutputError: the folder cannot be written.
        """
        folder = begun_folder(self.output, log, self.ranks)
        timings = {"load_s": time.perf_counter() - started}
        return Job(folder, timings, history, self.on_batch, self.on_iteration, self.resume)
