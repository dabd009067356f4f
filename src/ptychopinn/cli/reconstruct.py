"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import Device, Output, Overrides, Scan, Threads, Verbose, collect_overrides, recipe_options
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path, warn_if_flat


@recipe_options
def reconstruct(
    scan: Scan,
    model: Annotated[
        Path,
        typer.Option("--model", metavar="MODEL", help="wts.h5.zip, or the folder that holds it.", show_default=False),
    ],
    output: Output,
    probe: Annotated[
        Literal["auto", "scan", "model"],
        typer.Option("--probe", help="Whose probe: auto is the model's if it was fitted in training, else the scan's."),
    ] = "auto",
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan with a trained model: picture, image and metrics."""
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    with ProgressDisplay() as shown:
        result = reconstruct_scan(
            scan,
            model,
            output,
            overrides=[*overrides, *collect_overrides(threads=threads)],
            probe=probe,
            device=device or "auto",
            on_batch=shown.on_batch,
        )
    show_metrics(result.metrics)
    warn_if_flat(result.reconstruction)
    show_path("picture", result.paths["picture"])
