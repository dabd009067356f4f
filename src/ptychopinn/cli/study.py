"""`ptychopinn study`: many runs, one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ptychopinn.cli.console import errors, results
from ptychopinn.cli.evaluate import parse_region
from ptychopinn.cli.grid_lines import grid_lines
from ptychopinn.cli.options import Output, Overrides, Scan, Verbose, training_options
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.studies.trial import Trial

study = typer.Typer(
    name="study",
    help="Many runs, one table.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
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
            help="A file or a name; several are compared, by their names.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Train on n patterns for several n and test on what training never saw; goes on where it was stopped."""
    from ptychopinn.studies.generalisation import study_generalisation

    with ProgressDisplay() as shown:
        done = study_generalisation(
            scan,
            test,
            output,
            parse_recipes(config) if config else None,
            sizes=parse_sizes(sizes),
            trials=trials,
            choice=choice,
            region=None if region is None else parse_region(region),
            overrides=overrides,
            on_trial=_show_trial,
            on_epoch=shown.on_epoch,
        )
    results.print(done.paths["text"].read_text(encoding="utf-8"), highlight=False, markup=False, soft_wrap=True)
    show_path("figure", done.paths["figure"])


def parse_sizes(text: str) -> list[int]:
    """Whole numbers between commas.

    Raises:
        ConfigError: something else.

    >>> parse_sizes("64, 128")
    [64, 128]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--sizes {text!r}: must be whole numbers between commas, as in 64,128,256") from None


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


def _show_trial(done: int, total: int, trial: "Trial") -> None:
    score = trial.value("psnr_phase")
    told = "" if score is None else f"phase PSNR {score:.2f} dB"
    line = f"trial {done}/{total}: {trial.recipe}, {trial.patterns} patterns, seed {trial.seed}  {told}"
    errors.print(line, highlight=False, soft_wrap=True)


study.command(epilog="Example: `ptychopinn study generalisation scan.npz --test other.npz --sizes 64,256 -o out/`")(
    generalisation
)
study.command(
    name="grid-lines",
    epilog="Example: `ptychopinn study grid-lines --N 64 --gridsize 1 --architectures cnn -o out/`",
)(grid_lines)
