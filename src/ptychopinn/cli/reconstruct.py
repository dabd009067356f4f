"""`ptychopinn reconstruct`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import (
    Backend,
    Device,
    Diffraction,
    Output,
    Overrides,
    Prior,
    Resolution,
    Scan,
    Threads,
    Uncertainty,
    Verbose,
    collect_overrides,
    prior_override,
    recipe_options,
    resolution_override,
    uncertainty_override,
    with_parts,
)
from ptychopinn.cli.process import keep_freed_memory
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_metrics, show_path
from ptychopinn.errors import ConfigError

_NO_MODEL = Path("none")
"""As `--model`: the solver alone, as without it. For a file of that name give its absolute path."""


@recipe_options
def reconstruct(
    scan: Scan,
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
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=0,
            metavar="N",
            help="Iterations of the solver: after the network, or alone (40 if not given).",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="RECIPE",
            help="Recipe: file or name. With --model only reconstruction.*, reading options and threads may differ.",
            show_default=False,
        ),
    ] = None,
    probe: Annotated[
        str,
        typer.Option(
            "--probe",
            metavar="auto|scan|model|FILE",
            help="Which probe: the scan's, the model's, or that of a file; auto is the model's if training fitted it.",
        ),
    ] = "auto",
    diffraction: Diffraction = None,
    resolution: Resolution = None,
    uncertainty: Uncertainty = False,
    prior: Prior = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a solver that was interrupted in the output folder.")
    ] = False,
    backend: Backend = None,
    device: Device = None,
    threads: Threads = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Reconstruct a scan by a trained model, by the iterative solver, or by both: figure, image and metrics."""
    from ptychopinn.api.reconstruct import reconstruct as reconstruct_scan

    keep_freed_memory()
    choice, file = probe_choice(probe)
    with ProgressDisplay() as shown:
        result = reconstruct_scan(
            with_parts(scan, file, diffraction),
            None if model == _NO_MODEL else model,
            output,
            refine=refine,
            recipe=config,
            overrides=[
                *overrides,
                *collect_overrides(backend=backend, threads=threads),
                *resolution_override(resolution),
                *uncertainty_override(uncertainty),
                *prior_override(prior),
            ],
            probe=choice,
            device=device or "auto",
            resume=resume,
            on_batch=shown.on_batch,
            on_iteration=shown.on_iteration,
        )
    show_metrics(result.metrics)
    show_path("figure", result.paths["figure"])


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
