"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import Device, Output, Overrides, Scan, Threads, Verbose, collect_overrides, recipe_options
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path

_NO_MODEL = Path("none")
"""As `--model`: the solver alone, as without it. For a file of that name give its absolute path."""


@recipe_options
def reconstruct(
    scan: Scan,
    output: Output,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="wts.h5.zip, or the folder that holds it; without it the iterative solver makes the image.",
            show_default=False,
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=0,
            metavar="N",
            help="Iterations of the solver: after the network, or alone (50 if not given).",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="RECIPE",
            help="Recipe: file or name. With --model only reconstruction.*, reading options and threads may differ.",
            show_default=False,
        ),
    ] = None,
    probe: Annotated[
        Literal["auto", "scan", "model"],
        typer.Option(
            "--probe",
            help="Which probe: the scan's, or the model's; auto is the model's if training fitted it, else the scan's.",
        ),
    ] = "auto",
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan by a trained model, by the iterative solver, or by both: figure, image and metrics."""
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    with ProgressDisplay() as shown:
        result = reconstruct_scan(
            scan,
            None if model == _NO_MODEL else model,
            output,
            refine=refine,
            recipe=config,
            overrides=[*overrides, *collect_overrides(threads=threads)],
            probe=probe,
            device=device or "auto",
            on_batch=shown.on_batch,
            on_iteration=shown.on_iteration,
        )
    show_metrics(result.metrics)
    show_path("picture", result.paths["picture"])
