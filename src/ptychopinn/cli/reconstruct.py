"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import (
    AxisOrder,
    Device,
    Domain,
    FftShift,
    Output,
    PositionOrigin,
    Scan,
    Set,
    Threads,
    Verbose,
    collect_overrides,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path, warn_if_flat


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
    set_: Set = None,
    device: Device = None,
    threads: Threads = None,
    fftshift: FftShift = False,
    domain: Domain = None,
    axis_order: AxisOrder = None,
    position_origin: PositionOrigin = None,
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan with a trained model: picture, image and metrics."""
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    overrides = collect_overrides(
        set_,
        threads=threads,
        fftshift=fftshift,
        domain=domain,
        axis_order=axis_order,
        position_origin=position_origin,
    )
    with ProgressDisplay() as shown:
        result = reconstruct_scan(
            scan,
            model,
            output,
            overrides=overrides,
            probe=probe,
            device=device or "auto",
            on_batch=shown.on_batch,
        )
    show_metrics(result.metrics)
    warn_if_flat(result.reconstruction)
    show_path("picture", result.paths["picture"])
