"""`ptychopinn run`."""

from typing import Annotated, Any

import typer

from ptychopinn.cli.options import (
    Config,
    Diffraction,
    DryRun,
    JsonProgress,
    Output,
    Overrides,
    Overwrite,
    Prior,
    Probe,
    Quiet,
    Resolution,
    Resume,
    Scan,
    Uncertainty,
    Verbose,
    prior_override,
    resolution_override,
    training_options,
    uncertainty_override,
    with_parts,
)
from ptychopinn.cli.process import keep_freed_memory
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.ranks import shared_run
from ptychopinn.cli.summary import show_choice, show_metrics, show_path, show_plan
from ptychopinn.errors import ConfigError


@training_options
def run(
    scan: Scan,
    output: Output,
    config: Config = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="The solver's image only; no network is trained.")
    ] = False,
    no_refine: Annotated[
        bool, typer.Option("--no-refine", help="The network's image only; no iteration of the solver.")
    ] = False,
    resolution: Resolution = None,
    uncertainty: Uncertainty = False,
    prior: Prior = None,
    probe: Probe = None,
    diffraction: Diffraction = None,
    dry_run: DryRun = False,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Reconstruct a scan by the solver, then train a network on it; the better image is the result.

    Writes figure, image, metrics and model.
    """
    if no_train and no_refine:
        raise ConfigError("--no-train and --no-refine must not be given together: nothing would make an image")
    settings = [
        *overrides,
        *resolution_override(resolution),
        *uncertainty_override(uncertainty),
        *prior_override(prior),
    ]
    source = with_parts(scan, probe, diffraction)
    how: dict[str, Any] = {
        "overrides": settings,
        "train": not no_train,
        "solve": not no_refine,
        "resume": resume,
        "overwrite": overwrite,
    }
    if dry_run:
        from ptychopinn.api.dry_run import plan_run

        return show_plan(plan_run(source, output, config, **how))
    from ptychopinn.api.run import run as run_scan

    keep_freed_memory()
    with shared_run() as ranks, ProgressDisplay() as shown:
        result = run_scan(
            source,
            output,
            config,
            **how,
            on_image=shown.on_image,
            on_epoch=shown.on_epoch,
            on_batch=shown.on_batch,
            on_iteration=shown.on_iteration,
            ranks=ranks,
        )
    if not ranks.is_first:
        return
    show_metrics(result.reconstructed.metrics)
    show_choice(result.reconstructed.metrics.get("choice"), result.paths.get("other"))
    show_path("model", result.paths.get("model"))
    show_path("figure", result.paths["figure"])
