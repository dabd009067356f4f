"""`ptychopinn train-prior`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    JsonProgress,
    Output,
    Quiet,
    Verbose,
)
from ptychopinn.cli.progress import ProgressDisplay
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
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Train a prior for the solver on simulated scans, from seeds alone; goes on where it was stopped."""
    from ptychopinn.studies.prior.settings import PriorSettings, read_settings
    from ptychopinn.studies.prior.study import make_prior

    chosen = PriorSettings() if settings is None else read_settings(settings)
    with ProgressDisplay() as shown:
        made = make_prior(output, chosen, shown.on_stage)
    scores = made.prior.record.scores
    results.print(
        f"loss on scans that were kept back: {scores['loss_kept_back']:.3f}, "
        f"without the prior {scores['loss_without_prior']:.3f}",
        highlight=False,
    )
    show_path("prior", made.paths["prior"])
