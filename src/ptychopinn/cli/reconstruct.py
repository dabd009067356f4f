"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import Device, Output, Overrides, Scan, Threads, Verbose, collect_overrides, recipe_options
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path

NO_MODEL = "none"
"""What `--model` takes in the place of a bundle; for a file of that name give its absolute path."""


@recipe_options
def reconstruct(
    scan: Scan,
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="wts.h5.zip, or the folder that holds it; none for the iterative solver alone.",
            show_default=False,
        ),
    ],
    output: Output,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=0,
            metavar="N",
            help="Iterations that fit object and probe to the whole scan, from the network's image or from nothing.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="RECIPE", help="A file or a name, with --model none only.", show_default=False
        ),
    ] = None,
    probe: Annotated[
        Literal["auto", "scan", "model"],
        typer.Option("--probe", help="Whose probe: auto is the model's if it was fitted in training, else the scan's."),
    ] = "auto",
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan with a trained model, the iterative solver, or both: picture, image and metrics."""
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    with ProgressDisplay() as shown:
        result = reconstruct_scan(
            scan,
            None if model == Path(NO_MODEL) else model,
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
