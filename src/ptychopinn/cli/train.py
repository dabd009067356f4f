"""`ptychopinn train`."""

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    AxisOrder,
    Config,
    Device,
    Domain,
    FftShift,
    Output,
    PositionOrigin,
    Resume,
    Scans,
    Set,
    Threads,
    Verbose,
    collect_overrides,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_path


def train(
    scan: Scans,
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
    """Train a network on a scan, or on several together, to reconstruct these or others with it."""
    from ptychopinn.api.train import train as train_on

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
        trained = train_on(scan, output, config, overrides=overrides, resume=resume, on_epoch=shown.on_epoch)
    epochs = len(trained.history["epoch"])
    results.print(f"trained {epochs} epochs in {trained.seconds:.1f} s", highlight=False)
    show_path("model", trained.paths["model"])
    show_path("picture", trained.paths["history_picture"])
