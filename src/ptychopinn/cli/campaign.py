"""`ptychopinn campaign`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ptychopinn.cli.console import results, say
from ptychopinn.cli.options import (
    Backend,
    Config,
    Device,
    JsonProgress,
    Output,
    Overrides,
    Prior,
    ProbeChoice,
    Quiet,
    Refine,
    Resolution,
    Threads,
    Uncertainty,
    Verbose,
    collect_overrides,
    prior_override,
    recipe_options,
    resolution_override,
    uncertainty_override,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.reconstruct import probe_choice
from ptychopinn.cli.several import INCOMPLETE
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError, one_line

if TYPE_CHECKING:
    from ptychopinn.studies.campaign import Campaign, Watch

MOST_SHOWN = 20
"""Failed scans that are printed; the table has them all."""


@recipe_options
def campaign(
    scans: Annotated[
        list[str],
        typer.Argument(
            metavar="SCANS...",
            help="Folders, patterns such as 'data/**/*.h5', text files (.txt) with one path on each line, or scans.",
            show_default=False,
        ),
    ],
    output: Output,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="wts.h5.zip for all scans, or the folder that holds it; without it the solver makes the images.",
            show_default=False,
        ),
    ] = None,
    refine: Refine = None,
    train: Annotated[bool, typer.Option("--train", help="Train a network on each scan, as `run` does.")] = False,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            metavar="N",
            help="Processes on this machine; run the same command on other machines to share the work.",
        ),
    ] = 1,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Do scans that failed again.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for further files, until Ctrl-C or --idle.")] = False,
    settle: Annotated[
        float | None,
        typer.Option(
            "--settle",
            min=0,
            metavar="S",
            help="With --watch, take a file if it can be read and did not change for so many seconds (10 by default).",
            show_default=False,
        ),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(
            "--idle",
            min=0,
            metavar="S",
            help="With --watch, end if no file came for so many seconds and all scans are done.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    probe: ProbeChoice = "auto",
    resolution: Resolution = None,
    uncertainty: Uncertainty = False,
    prior: Prior = None,
    backend: Backend = None,
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Reconstruct many scans, each once, by several processes; one table and one contact sheet of all.

    Goes on where it was stopped or killed.
    """
    from ptychopinn.studies.campaign import campaign as run_campaign

    for option, seconds in (("--idle", idle), ("--settle", settle)):
        if seconds is not None and not watch:
            raise ConfigError(f"{option} needs --watch; give both, or leave it out")
    choice, file = probe_choice(probe)
    with ProgressDisplay() as shown:
        done = run_campaign(
            scans,
            output,
            config,
            overrides=[
                *overrides,
                *collect_overrides(backend=backend, threads=threads),
                *resolution_override(resolution),
                *uncertainty_override(uncertainty),
                *prior_override(prior),
            ],
            model=model,
            refine=refine,
            train=train,
            probe="auto" if file is not None else choice,
            probe_file=file,
            device=device or "auto",
            workers=workers,
            watch=_watch(settle, idle) if watch else None,
            retry_failed=retry_failed,
            on_scan=shown.on_scan,
        )
    _show(done)
    if not done.is_complete:
        raise typer.Exit(INCOMPLETE)


def _watch(settle: float | None, idle: float | None) -> "Watch":
    from ptychopinn.studies.campaign import Watch

    return Watch(idle_s=idle) if settle is None else Watch(settle, idle)


def _show(done: "Campaign") -> None:
    """Numbers, failed scans with their errors, files that were not complete, and where the results are."""
    for one in done.failed[:MOST_SHOWN]:
        _complain(f"{one.name} failed: {one.error}")
    if len(done.failed) > MOST_SHOWN:
        _complain(f"{len(done.failed) - MOST_SHOWN} further scans failed; the table lists them")
    for path, reason in list(done.incomplete.items())[:MOST_SHOWN]:
        _complain(f"{path} was not taken: {reason}")
    finished = sum(one.state == "done" for one in done.entries)
    results.print(f"{finished} of {len(done.entries)} scans are done", highlight=False)
    for label in ("table", "sheet"):
        show_path({"sheet": "contact sheet"}.get(label, label), done.paths.get(label))


def _complain(text: str) -> None:
    say("failed", one_line(text), "bold red")
