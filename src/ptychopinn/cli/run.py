"""`ptychopinn run`."""

from ptychopinn.cli.options import (
    AxisOrder,
    Config,
    Device,
    Domain,
    FftShift,
    Output,
    PositionOrigin,
    Resume,
    Scan,
    Set,
    Threads,
    Verbose,
    collect_overrides,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path, warn_if_flat


def run(
    scan: Scan,
    output: Output,
    config: Config = None,
    set_: Set = None,
    resume: Resume = False,
    device: Device = None,
    threads: Threads = None,
    fftshift: FftShift = False,
    domain: Domain = None,
    axis_order: AxisOrder = None,
    position_origin: PositionOrigin = None,
    verbose: Verbose = False,
) -> None:
    """Train on a scan and reconstruct it: picture, image, metrics and model."""
    from ptychopinn.api.run import run as run_scan

    overrides = collect_overrides(
        set_,
        device=device,
        threads=threads,
        fftshift=fftshift,
        domain=domain,
        axis_order=axis_order,
        position_origin=position_origin,
    )
    with ProgressDisplay() as shown:
        result = run_scan(
            scan,
            output,
            config,
            overrides=overrides,
            resume=resume,
            on_epoch=shown.on_epoch,
            on_batch=shown.on_batch,
        )
    show_metrics(result.reconstructed.metrics)
    warn_if_flat(result.reconstruction)
    show_path("model", result.paths["model"])
    show_path("picture", result.paths["picture"])
