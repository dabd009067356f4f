"""`ptychopinn study`: many runs, one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ptychopinn.cli.commands import Command, Group
from ptychopinn.cli.console import results
from ptychopinn.cli.evaluate import parse_region
from ptychopinn.cli.grid_lines import grid_lines
from ptychopinn.cli.options import (
    Backend,
    Config,
    Device,
    JsonProgress,
    Output,
    Overrides,
    Quiet,
    Scan,
    Set,
    Threads,
    Verbose,
    collect_overrides,
    complete_recipe,
    recipe_options,
    training_options,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.studies.dose import Dose
    from ptychopinn.studies.trial import Trial

study = typer.Typer(
    name="study",
    help="Many runs, one table.",
    cls=Group,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@training_options
def generalisation(
    scan: Scan,
    output: Output,
    sizes: Annotated[
        str,
        typer.Option("--sizes", metavar="N,N,...", help="Numbers of patterns to train on.", show_default=False),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="SCAN",
            help="Scan to reconstruct and score, with objectGuess; by default the right half of the other one.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, metavar="N", help="Repetitions of each number.")] = 3,
    choice: Annotated[
        Literal["compact", "random"],
        typer.Option("--choice", help="Patterns nearest to a random one, as in a smaller scan, or from everywhere."),
    ] = "compact",
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="y0,y1,x0,x1", help="What is scored, as in evaluate.", show_default=False),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            metavar="RECIPE",
            autocompletion=complete_recipe,
            help="A file or a name; several are compared, by their names.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Train on n patterns for several n and test on what training never saw; goes on where it was stopped."""
    from ptychopinn.studies.generalisation import study_generalisation

    numbers, recipes = parse_sizes(sizes), parse_recipes(config) if config else None
    with ProgressDisplay() as shown:
        shown.on_run(0, len(numbers) * trials * len(recipes or " "), "")
        done = study_generalisation(
            scan,
            test,
            output,
            recipes,
            sizes=numbers,
            trials=trials,
            choice=choice,
            region=None if region is None else parse_region(region),
            overrides=overrides,
            on_trial=lambda done, total, trial: shown.on_run(done, total, _trial_text(trial)),
            on_epoch=shown.on_epoch,
        )
    results.print(done.paths["text"].read_text(encoding="utf-8"), highlight=False, markup=False, soft_wrap=True)
    show_path("figure", done.paths["figure"])


@recipe_options
def compare(
    scan: Scan,
    output: Output,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[NAME=]MODEL",
            help="A bundle or its folder, which may get a name; may be repeated.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FILE", help="As in evaluate; by default the scan's own object."),
    ] = None,
    iterative: Annotated[bool, typer.Option(help="Add the image of the solver.")] = True,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Reconstruct one scan by several models and by the solver; all images on one canvas, scored."""
    from ptychopinn.studies.comparison import compare_models

    done = compare_models(
        scan, parse_models(model or []), output, reference=reference, iterative=iterative, overrides=overrides
    )
    results.print(done.paths["table"].read_text(encoding="utf-8"), highlight=False, markup=False, soft_wrap=True)
    show_path("figure", done.paths["figure"])


def dose(
    output: Output,
    photons: Annotated[
        str, typer.Option("--photons", metavar="X,X,...", help="Expected counts of a pattern.", show_default=False)
    ],
    seeds: Annotated[str, typer.Option("--seeds", metavar="N,N,...", help="Experiments at each dose.")] = "0",
    train: Annotated[bool, typer.Option(help="Train a network; without it the solver's images are scored.")] = True,
    config: Config = None,
    set_: Set = None,
    backend: Backend = None,
    device: Device = None,
    threads: Threads = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Simulate, reconstruct and score one experiment at several doses; goes on where it was stopped."""
    from ptychopinn.studies.dose import study_dose

    wanted = [float(value) for value in parse_sizes(photons, "--photons", float)]
    repeats = parse_sizes(seeds, "--seeds")
    with ProgressDisplay() as shown:
        shown.on_run(0, len(wanted) * len(repeats), "")
        done = study_dose(
            wanted,
            output,
            config,
            seeds=repeats,
            train=train,
            overrides=collect_overrides(set_, backend=backend, device=device, threads=threads),
            on_dose=lambda done, total, one: shown.on_run(done, total, _dose_text(one)),
            on_epoch=shown.on_epoch,
            on_iteration=shown.on_iteration,
        )
    results.print(done.table.read_text(encoding="utf-8"), highlight=False, markup=False, soft_wrap=True)
    show_path("table", done.table)


def parse_models(items: list[str]) -> dict[str, Path]:
    """Models by name; one without a name has that of its file or folder.

    Raises:
        ConfigError: a name twice.

    >>> parse_models(["a=out/wts.h5.zip", "runs/b"])
    {'a': PosixPath('out/wts.h5.zip'), 'b': PosixPath('runs/b')}
    """
    pairs = [
        (item.partition("=")[0], item.partition("=")[2]) if "=" in item else (Path(item).stem, item) for item in items
    ]
    named = {name: Path(place) for name, place in pairs}
    if len(named) < len(pairs):
        raise ConfigError("--model: two models have the same name; write NAME=MODEL")
    return named


def parse_sizes(text: str, option: str = "--sizes", kind: type[Any] = int) -> list[Any]:
    """Numbers between commas, whole ones by default.

    Raises:
        ConfigError: something else.

    >>> parse_sizes("64, 128")
    [64, 128]
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        what = (
            "whole numbers between commas, as in 64,128,256" if kind is int else "numbers between commas, as in 1e3,1e4"
        )
        raise ConfigError(f"{option} {text!r}: must be {what}") from None


def parse_recipes(files: list[Path]) -> dict[str, Path]:
    """Recipes by their names, or those of their files.

    Raises:
        ConfigError: two files of one name.

    >>> list(parse_recipes([Path("quick"), Path("mine.yaml")]))
    ['quick', 'mine']
    """
    named = {file.stem: file for file in files}
    if len(named) < len(files):
        raise ConfigError("--config: two recipes have the same name, which shall tell them apart; rename one")
    return named


def _trial_text(trial: "Trial") -> str:
    """What a trial was, and its score."""
    score = trial.value("psnr_phase")
    told = "" if score is None else f", phase PSNR {score:.2f} dB"
    return f"{trial.recipe}, {trial.patterns} patterns, seed {trial.seed}{told}"


def _dose_text(one: "Dose") -> str:
    """What an experiment was, and its score."""
    score = one.report.get("psnr_phase")
    told = "" if score is None else f", phase PSNR {score:.2f} dB"
    return f"{one.photons:g} photons, seed {one.seed}{told}"


study.command(
    cls=Command, epilog="Example: ptychopinn study generalisation scan.npz --test other.npz --sizes 64,256 -o out/"
)(generalisation)
for _command, _name, _example in (
    (generalisation, "generalisation", "scan.npz --test other.npz --sizes 64,256 -o out/"),
    (compare, "compare", "scan.npz --model a=run1 --model b=run2 -o out/"),
    (dose, "dose", "--photons 1e3,1e4,1e5 --no-train -o out/"),
    (grid_lines, "grid-lines", "--N 64 --gridsize 1 --architectures cnn -o out/"),
):
    study.command(cls=Command, name=_name, epilog=f"Example: ptychopinn study {_name} {_example}")(_command)
