"""`campaign`: every scan of a folder once, by several processes, whatever is killed; one table at the end."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from ptychopinn.api.inputs import RecipeSource
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.reconstruction import ProbeChoice
from ptychopinn.studies.campaign.ledger import LEASE_S, Entry, Ledger, State
from ptychopinn.studies.campaign.report import write_report
from ptychopinn.studies.campaign.settings import Settings
from ptychopinn.studies.campaign.sources import Arrivals, Sources
from ptychopinn.studies.campaign.workers import Workers

logger = logging.getLogger("ptychopinn.studies")
LOOK_S = 0.5
"""Between two looks at workers and ledger."""
SEARCH_S = 2.0
"""Between two searches for new files."""
SETTLE_S = 10.0
"""A file that did not change for so long is taken as complete, if it can be read. Network file systems show a change
after up to a minute; there, raise it."""

ScansHook = Callable[[int, int, int], None]
"""Called with the scans done, all scans, and those that failed."""


@final
@dataclass(frozen=True)
class Campaign:
    """How a campaign ended."""

    entries: tuple[Entry, ...]
    """The scans that were asked for, those of earlier calls included if they were asked for again."""
    paths: dict[str, Path]
    """`table` and `sheet`, which hold all scans of the folder, and `ledger`."""
    incomplete: dict[Path, str]
    """Files that were not complete when watching ended, each with the reason."""

    @property
    def failed(self) -> tuple[Entry, ...]:
        """The scans that could not be reconstructed."""
        return tuple(one for one in self.entries if one.state == "failed")

    @property
    def is_complete(self) -> bool:
        """Whether every scan has its image."""
        return not self.incomplete and all(one.state == "done" for one in self.entries)


@final
@dataclass(frozen=True)
class Watch:
    """How a campaign waits for further files."""

    settle_s: float = SETTLE_S
    """A file is complete if it can be read and did not change for so long."""
    idle_s: float | None = None
    """End if no new scan came for so long and all are done; None to go on until Ctrl-C."""

    def __post_init__(self) -> None:
        if not self.settle_s >= 0 or (self.idle_s is not None and not self.idle_s >= 0):
            raise ConfigError(f"settle_s and idle_s must be at least 0 s, got {self.settle_s} and {self.idle_s}")


def campaign(
    scans: str | Path | Sequence[str | Path],
    output: str | Path,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    model: str | Path | None = None,
    refine: int | None = None,
    train: bool = False,
    probe: ProbeChoice = "auto",
    probe_file: str | Path | None = None,
    device: str = "auto",
    workers: int = 1,
    watch: Watch | None = None,
    retry_failed: bool = False,
    lease_s: float = LEASE_S,
    on_scan: ScansHook | None = None,
) -> Campaign:
    """Reconstruct many scans, each once, into a folder of its own; go on where an earlier call was stopped.

    What is done stands in the ledger `output/campaign.sqlite`. The same call on another machine that sees the same
    folders shares the work. A scan whose worker is killed is done again by another one.

    Args:
        scans: folders, patterns such as `data/**/*.h5`, text files with one path on each line, and scans.
        output: folder for the ledger, `NAME/` with the files of `reconstruct` or `run` for each scan, `table.csv`,
            `contact_sheet.png` and `campaign.log`. Two files of one name get different folders.
        recipe: as for `reconstruct`, or `run` with `train`.
        overrides: `section.key=value` texts.
        model: a bundle, or its folder, for all scans; without it the solver makes the images.
        refine: iterations of the solver.
        train: train a network on each scan, as `run` does.
        probe: as for `reconstruct`.
        probe_file: file with the probe of all scans.
        device: `auto`, `cpu`, `cuda`, ...; with `auto` and several GPUs the workers use one after the other.
        workers: processes on this machine.
        watch: wait for further files; without it the campaign ends when all scans are done or have failed.
        retry_failed: do failed scans again.
        lease_s: time without a sign of life after which a worker of another machine counts as dead.
        on_scan: called when a number has changed.

    Returns:
        How the scans ended; a scan that fails stops nothing.

    Raises:
        PtychoPINNError: no scans, bad settings, other ones than those of the campaign in `output`, or the folder cannot
            be used; nothing has been reconstructed then.
        KeyboardInterrupt: Ctrl-C; the same call goes on. Without `watch.idle_s` this ends a watch, too; table and
            contact sheet have been written.
    """
    settings = Settings.of(
        recipe, overrides, model=model, refine=refine, train=train, probe=probe, probe_file=probe_file, device=device
    )
    if workers < 1 or not lease_s > 0:
        raise ConfigError(f"workers and lease_s must be positive, got {workers} and {lease_s}")
    folder = Path(output)
    settings.check()
    with prepared(scans, folder, settings, lease_s, watch, retry_failed) as start:
        with Workers(folder, settings, workers, lease_s) as processes:
            try:
                _conduct(start, processes, watch, on_scan)
            except KeyboardInterrupt:
                processes.end()
                write_report(folder, start.ledger.entries())
                raise
        paths = {**write_report(folder, start.ledger.entries()), "ledger": start.ledger.path}
        waiting = {} if start.arrivals is None else dict(start.arrivals.waiting)
        return Campaign(tuple(start.ledger.entries(wanted=True)), paths, waiting)


@final
@dataclass(frozen=True)
class Start:
    """A campaign whose first scans are in its ledger."""

    ledger: Ledger
    sources: Sources
    arrivals: Arrivals | None
    """Which files are complete, where further ones are waited for."""

    def find(self) -> tuple[bool, list[str]]:
        """Look for scans; returns whether a file is new or on its way, and the paths of all scans."""
        found = self.sources.scans()
        is_coming = False
        if self.arrivals is not None:
            before = self.arrivals.waiting
            found = self.arrivals.complete(found)
            is_coming = self.arrivals.waiting != before
        return self.ledger.add(found) > 0 or is_coming, [str(one.path) for one in found]


@contextmanager
def prepared(
    scans: str | Path | Sequence[str | Path],
    folder: Path,
    settings: Settings,
    lease_s: float = LEASE_S,
    watch: Watch | None = None,
    retry_failed: bool = False,
) -> Iterator[Start]:
    """A ledger that holds the scans and agrees with the settings; it is closed after the block.

    Raises:
        PtychoPINNError: no scans, other settings than those of the campaign, or a folder that cannot be used.
    """
    sources = Sources([scans] if isinstance(scans, str | Path) else scans, folder)
    if watch is None and not sources.scans():
        raise ScanError(f"{scans}: no scans found; give a folder, a pattern, a list or scans, or watch for them")
    statement = settings.statement()
    check_output_folder(folder)
    with Ledger(folder, lease_s) as ledger:
        ledger.agree(statement)
        start = Start(ledger, sources, None if watch is None else Arrivals(watch.settle_s))
        start.find()
        if retry_failed:
            ledger.retry_failed()
        done = [one.name for one in ledger.entries(wanted=True) if one.state == "done"]
        gone = [name for name in done if not (folder / name / "metrics.json").is_file()]
        if gone:
            logger.warning("the results of %d scans are gone; they are made again", len(gone))
            ledger.redo(gone)
        yield start


def _conduct(start: Start, workers: Workers, watch: Watch | None, on_scan: ScansHook | None) -> None:
    """Keep workers running until all scans have ended, and no further ones are waited for."""
    before: dict[State, int] | None = None
    ended, searched = 0, -SEARCH_S
    last_new = time.monotonic()
    workers.tell([str(one.path) for one in start.ledger.entries(wanted=True)])
    while True:
        now = time.monotonic()
        if watch is not None and now - searched >= SEARCH_S:
            is_new, paths = start.find()
            workers.tell(paths)
            last_new, searched = (now if is_new else last_new), now
        start.ledger.take_over()
        counts = start.ledger.counts()
        if counts != before and on_scan is not None:
            on_scan(counts["done"] + counts["failed"], sum(counts.values()), counts["failed"])
        is_open = counts["waiting"] + counts["running"] > 0
        if not is_open and (watch is None or (watch.idle_s is not None and now - last_new >= watch.idle_s)):
            return
        if is_open:
            workers.keep_running(counts["done"] + counts["failed"] > ended)
        ended, before = counts["done"] + counts["failed"], counts
        time.sleep(LOOK_S)
