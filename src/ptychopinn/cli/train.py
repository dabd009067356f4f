"""`ptychopinn train`."""

from typing import Any

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    Config,
    Diffraction,
    DryRun,
    From,
    JsonProgress,
    Output,
    Overrides,
    Overwrite,
    Probe,
    Quiet,
    Resume,
    Scans,
    Verbose,
    training_options,
    with_parts,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.ranks import shared_run
from ptychopinn.cli.summary import show_path, show_plan, warn_if_collapsed


@training_options
def train(
    scan: Scans,
    output: Output,
    config: Config = None,
    start_from: From = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    probe: Probe = None,
    diffraction: Diffraction = None,
    dry_run: DryRun = False,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Train a network on a scan, or on several together, to reconstruct these or others with it.

    With --from a finished model is trained further, by default for a tenth of the epochs.
    """
    scans = [with_parts(one, probe, diffraction) for one in scan]
    if dry_run:
        from ptychopinn.api.dry_run import plan_train

        how: dict[str, Any] = {"start_from": start_from, "resume": resume, "overwrite": overwrite}
        return show_plan(plan_train(scans, output, config, overrides=overrides, **how))
    from ptychopinn.api.train import train as train_on

    with shared_run() as ranks, ProgressDisplay() as shown:
        trained = train_on(
            scans,
            output,
            config,
            overrides=overrides,
            start_from=start_from,
            resume=resume,
            overwrite=overwrite,
            on_epoch=shown.on_epoch,
            ranks=ranks,
        )
    if not ranks.is_first:
        return
    epochs = len(trained.history["epoch"])
    results.print(f"trained {epochs} epochs in {trained.seconds:.1f} s", highlight=False)
    warn_if_collapsed(trained.collapse.message if trained.collapse else None)
    show_path("model", trained.paths["model"])
    show_path("figure", trained.paths["history_figure"])
