"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ptychopinn.cli.options import (
    Backend,
    Device,
    Diffraction,
    DryRun,
    JsonProgress,
    Output,
    Overrides,
    Prior,
    ProbeChoice,
    Quiet,
    Refine,
    Resolution,
    Threads,
    Uncertainty,
    Verbose,
    collect_overrides,
    complete_recipe,
    prior_override,
    recipe_options,
    resolution_override,
    uncertainty_override,
    with_parts,
)
from ptychopinn.cli.process import keep_freed_memory
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.ranks import shared_run
from ptychopinn.cli.several import Several
from ptychopinn.cli.summary import show_metrics, show_path, show_plan
from ptychopinn.errors import ConfigError

_NO_MODEL = Path("none")
"""As `--model`: the solver alone, as without it. For a file of that name give its absolute path."""


@recipe_options
def reconstruct(
    scan: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCAN...",
            help="The scan file (NPZ, CXI, HDF5), or several, each for itself or together (--common).",
            show_default=False,
        ),
    ],
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
    refine: Refine = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="RECIPE",
            autocompletion=complete_recipe,
            help="Recipe: file or name. With --model only reconstruction.*, reading options and threads may differ.",
            show_default=False,
        ),
    ] = None,
    common: Annotated[
        Literal["object", "probe", "both"] | None,
        typer.Option(
            "--common",
            help="Solve several scans together, which show one object, were made with one probe, or both.",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="With --common: withhold photons to state for each scan whether the others improve its image.",
        ),
    ] = False,
    probe: ProbeChoice = "auto",
    diffraction: Diffraction = None,
    resolution: Resolution = None,
    uncertainty: Uncertainty = False,
    prior: Prior = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a solver that was interrupted in the output folder.")
    ] = False,
    skip_done: Annotated[
        bool,
        typer.Option(
            "--skip-done",
            help="Leave out scans whose folder holds the image that the same command with this option, or with "
            "several scans, has finished.",
        ),
    ] = False,
    dry_run: DryRun = False,
    backend: Backend = None,
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Reconstruct scans by a trained model, by the iterative solver, or by both: figure, image and metrics.

    The files of several scans are in folders below the output folder, named after the scans. If one of them cannot be
    reconstructed, the others are, and the exit code is 4. With --common the solver makes the images of all at once.
    """
    keep_freed_memory()
    choice, file = probe_choice(probe)
    settings = [
        *overrides,
        *collect_overrides(backend=backend, threads=threads),
        *resolution_override(resolution),
        *uncertainty_override(uncertainty),
        *prior_override(prior),
    ]
    how: dict[str, Any] = {"refine": refine, "recipe": config, "overrides": settings, "probe": choice}
    how["device"] = device or "auto"
    chosen = None if model == _NO_MODEL else model
    if common is not None:
        _check_common(scan, chosen, choice, skip_done, dry_run)
    elif held_out:
        raise ConfigError("--held-out must be given with --common, which solves scans together; leave it out")
    several = Several.of(scan, output, chosen, {**how, "files": (file, diffraction)}, skip_done=skip_done)
    if dry_run:
        from ptychopinn.api.dry_run import plan_reconstruct

        several.plan(
            lambda one, folder: show_plan(plan_reconstruct(with_parts(one, file, diffraction), chosen, folder, **how))
        )
        return
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    with shared_run() as ranks, ProgressDisplay() as shown:
        with ranks.together():
            if ranks.are_many and common is None and (len(scan) > 1 or skip_done):
                raise ConfigError(
                    f"{ranks.count} processes share one solve, but {len(scan)} scans or --skip-done were given; give "
                    "one scan without it, scans that belong together with --common, or use `ptychopinn campaign`"
                )

        def make(one: Path, folder: Path) -> Any:
            hooks: dict[str, Any] = {"on_batch": shown.on_batch, "on_iteration": shown.on_iteration}
            source = with_parts(one, file, diffraction)
            return reconstruct_scan(source, chosen, folder, **how, resume=resume, ranks=ranks, **hooks)

        if common is not None:
            from ptychopinn.api.together import reconstruct_together

            sources = {path.name: with_parts(one, file, diffraction) for one, path in several.folders.items()}
            wanted = {key: how[key] for key in ("refine", "recipe", "overrides", "device")}
            hook = shown.on_iteration
            together = reconstruct_together(
                sources,
                output,
                common=common,
                held_out=held_out,
                **wanted,
                resume=resume,
                on_iteration=hook,
                ranks=ranks,
            )
            if ranks.is_first:
                several.show_together(together)
            return
        made = several.reconstruct(make, shown)
    if not ranks.is_first:
        return
    if len(scan) == 1:
        for result in made:
            show_metrics(result.metrics)
            show_path("figure", result.paths["figure"])
    several.finish()


def _check_common(scans: list[Path], model: Path | None, probe: str, skip_done: bool, dry_run: bool) -> None:
    """Refuse options that scans solved together do not have.

    Raises:
        ConfigError: which option.
    """
    if len(scans) < 2:
        raise ConfigError(f"--common needs two or more scans, got {len(scans)}; give another one, or leave it out")
    refused = {
        "--model": model is not None,
        "--skip-done": skip_done,
        "--dry-run": dry_run,
        "--probe model": probe == "model",
    }
    for name, is_given in refused.items():
        if is_given:
            raise ConfigError(f"{name} must not be given with --common, which solves all scans by the solver at once")


_CHOICES: tuple[Literal["auto", "scan", "model"], ...] = ("auto", "scan", "model")


def probe_choice(text: str) -> tuple[Literal["auto", "scan", "model"], Path | None]:
    """Whose probe, and the file that holds it.

    Raises:
        ConfigError: neither a choice nor a file.

    >>> probe_choice("model")
    ('model', None)
    """
    for choice in _CHOICES:
        if text == choice:
            return choice, None
    if not Path(text).is_file():
        raise ConfigError(f"--probe must be auto, scan, model or a file, got {text!r}; give one of them")
    return "scan", Path(text)
