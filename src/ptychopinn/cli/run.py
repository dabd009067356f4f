"""`ptychopinn run`."""

from ptychopinn.cli.options import (
    Config,
    Diffraction,
    Output,
    Overrides,
    Overwrite,
    Probe,
    Resume,
    Scan,
    Verbose,
    training_options,
    with_parts,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path


@training_options
def run(
    scan: Scan,
    output: Output,
    config: Config = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    probe: Probe = None,
    diffraction: Diffraction = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Train on a scan and reconstruct it: figure, image, metrics and model."""
    from ptychopinn.api.run import run as run_scan

    with ProgressDisplay() as shown:
        result = run_scan(
            with_parts(scan, probe, diffraction),
            output,
            config,
            overrides=overrides,
            resume=resume,
            overwrite=overwrite,
            on_epoch=shown.on_epoch,
            on_batch=shown.on_batch,
            on_iteration=shown.on_iteration,
        )
    show_metrics(result.reconstructed.metrics)
    show_path("model", result.paths["model"])
    show_path("figure", result.paths["figure"])
