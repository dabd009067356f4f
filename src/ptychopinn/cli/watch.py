"""`ptychopinn watch`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.console import errors, results
from ptychopinn.cli.options import Device, Output, Set, Threads, Verbose, collect_overrides
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path
from ptychopinn.errors import one_line


def watch(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder where pieces arrive: NPZ files with frames, and diffraction, or xcoords and ycoords, or "
            "all; or an HDF5 file with these datasets that is being written (SWMR).",
            show_default=False,
        ),
    ],
    output: Output,
    model: Annotated[
        Path,
        typer.Option("--model", metavar="MODEL", help="wts.h5.zip, or the folder that holds it.", show_default=False),
    ],
    domain: Annotated[
        Literal["amplitude", "counts"], typer.Option("--domain", help="Amplitudes or photon counts.")
    ] = "counts",
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=1, metavar="N", help="End when N frames are placed.", show_default=False),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(
            "--idle", min=0, metavar="S", help="End if no piece came for so many seconds.", show_default=False
        ),
    ] = None,
    every: Annotated[
        float, typer.Option("--every", min=0, metavar="S", help="Seconds between two images of the scan so far.")
    ] = 5.0,
    solve: Annotated[
        bool,
        typer.Option("--solve", help="Let the solver go on with the frames that are there while others arrive."),
    ] = False,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=0,
            metavar="N",
            help="Iterations of the solver at the end; 30 with --solve.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    threads: Threads = None,
    set_: Set = None,
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan while it is measured, by a trained model; Ctrl-C ends it with the image so far."""
    from ptychopinn.api.watch import watch as watch_scan

    refined = [] if refine is None else [f"reconstruction.refine.iterations={refine}"]
    with ProgressDisplay() as shown:
        done = watch_scan(
            source,
            model,
            output,
            domain=domain,
            frames=frames,
            idle_s=idle,
            every_s=every,
            solve=solve,
            overrides=[*collect_overrides(set_, threads=threads), *refined],
            device=device or "auto",
            on_frames=shown.on_frames,
        )
    for path, reason in done.unread.items():
        errors.print(one_line(f"{path} was not read: {reason}"), style="bold red", markup=False, highlight=False)
    show_metrics(done.reconstructed.metrics)
    live = done.report
    left = {name: live[name] for name in ("repeated", "conflicting", "late", "without_position", "without_pattern")}
    numbers = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in left.items())
    results.print(f"frames: {live['placed']} placed, {numbers}", highlight=False, soft_wrap=True)
    results.print(
        f"latency: median {live['latency_median_s']:.3f} s, 99th percentile {live['latency_p99_s']:.3f} s; "
        f"{live['frames_per_s']:.0f} frames per second",
        highlight=False,
        soft_wrap=True,
    )
    show_path("figure", done.reconstructed.paths["figure"])
