"""`ptychopinn train-prior`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Output, Verbose
from ptychopinn.cli.summary import show_path


def train_prior(
    output: Output,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="YAML file with settings; by default those that made the prior of this package.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Train a prior for the solver on simulated scans, from seeds alone; goes on where it was stopped."""
    from rich.progress import Progress

    from ptychopinn.cli.console import errors
    from ptychopinn.studies.prior.settings import PriorSettings, read_settings
    from ptychopinn.studies.prior.study import make_prior

    chosen = PriorSettings() if settings is None else read_settings(settings)
    with Progress(console=errors) as shown:
        tasks = {name: shown.add_task(name, total=None) for name in ("noised", "scans", "steps")}
        made = make_prior(
            output, chosen, lambda what, done, total: shown.update(tasks[what], completed=done, total=total)
        )
    scores = made.prior.record.scores
    results.print(
        f"loss on scans that were kept back: {scores['loss_kept_back']:.3f}, "
        f"without the prior {scores['loss_without_prior']:.3f}",
        highlight=False,
    )
    show_path("prior", made.paths["prior"])
