"""`ptychopinn study grid-lines`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    Config,
    Device,
    JsonProgress,
    Output,
    Quiet,
    Set,
    Threads,
    Verbose,
    collect_overrides,
)
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.config.backend import Backend
    from ptychopinn.studies.grid_lines.config import GridLinesConfig
    from ptychopinn.studies.grid_lines.study import GridLinesStudy
    from ptychopinn.studies.trial import Trial


def grid_lines(
    output: Output,
    size: Annotated[int, typer.Option("--N", metavar="PX", help="Rows and columns of a pattern.")] = 64,
    gridsize: Annotated[
        int, typer.Option("--gridsize", metavar="N", help="1: no overlap constraint. 2: groups of four patterns.")
    ] = 1,
    architectures: Annotated[
        str, typer.Option("--architectures", metavar="NAME,...", help="Networks to compare.")
    ] = "cnn",
    seeds: Annotated[str, typer.Option("--seeds", metavar="N,N,...", help="Runs of each row.")] = "0,1,2",
    epochs: Annotated[int, typer.Option("--epochs", min=1, metavar="N", help="Epochs of each run.")] = 60,
    baseline: Annotated[bool, typer.Option(help="Add a row of the supervised network.")] = True,
    iterative: Annotated[bool, typer.Option(help="Add a row of pty-chi's solver, where that is installed.")] = True,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="KEY=VALUE",
            help="Change one setting of the simulated data, as in set_phi=true; may be repeated.",
            show_default=False,
        ),
    ] = None,
    sim_backend: Annotated[
        str, typer.Option("--sim-backend", metavar="NAME", help="What simulates: torch or tf.")
    ] = "torch",
    config: Config = None,
    set_: Set = None,
    backend: Annotated[
        Literal["pytorch", "tensorflow", "both"] | None,
        typer.Option("--backend", help="What computes the networks; both adds rows of the other.", show_default=False),
    ] = None,
    device: Device = None,
    threads: Threads = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    json_progress: JsonProgress = False,
) -> None:
    """Compare architectures on drawn lines, against the ground truth; goes on where it was stopped."""
    from ptychopinn.config.backend import BACKENDS
    from ptychopinn.studies.grid_lines.study import study_grid_lines

    simulates = sim_backend_of(sim_backend)
    settings = grid_lines_config([f"N={size}", f"gridsize={gridsize}", *(data or [])])
    with ProgressDisplay() as shown:
        done = study_grid_lines(
            settings,
            output,
            config,
            architectures=[name.strip() for name in architectures.split(",") if name.strip()],
            seeds=parse_seeds(seeds),
            epochs=epochs,
            baseline=baseline,
            iterative=iterative,
            overrides=collect_overrides(set_, device=device, threads=threads),
            backends=BACKENDS if backend == "both" else (backend,) if backend else (),
            sim_backend=simulates,
            on_run=lambda done, total, run: shown.on_run(done, total, run_text(run)),
            on_epoch=shown.on_epoch,
        )
    show_study(done)


def show_study(done: "GridLinesStudy") -> None:
    """The table, and where the figures are."""
    results.print(done.paths["text"].read_text(encoding="utf-8"), highlight=False, markup=False, soft_wrap=True)
    show_path("figure", done.paths["compare"])
    show_path("ring correlation", done.paths["frc"])


def run_text(run: "Trial") -> str:
    """What a run was, and its score."""
    ssim = run.value("ssim_amplitude")
    told = "" if ssim is None else f", amplitude SSIM {ssim:.3f}"
    verdict = "" if run.is_result else "  NO RESULT (contrast)"
    return f"{run.recipe}, seed {run.seed}{told}{verdict}"


def sim_backend_of(name: str) -> "Backend":
    """The backend that simulates, by its short name.

    Raises:
        ConfigError: no such simulator.

    >>> sim_backend_of("tf")
    'tensorflow'
    """
    if name not in _SIMULATORS:
        raise ConfigError(f"--sim-backend {name}: no such simulator; use one of {', '.join(_SIMULATORS)}")
    return _SIMULATORS[name]


_SIMULATORS: "dict[str, Backend]" = {"torch": "pytorch", "tf": "tensorflow"}


def parse_seeds(text: str) -> list[int]:
    """Whole numbers between commas.

    Raises:
        ConfigError: something else.

    >>> parse_seeds("0, 1")
    [0, 1]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds {text!r}: must be whole numbers between commas, as in 0,1,2") from None


def grid_lines_config(items: Sequence[str]) -> "GridLinesConfig":
    """Settings of grid-lines data from `key=value` texts, whose values are read as YAML.

    Raises:
        ConfigError: no equals sign, an unknown key or a bad value.

    >>> grid_lines_config(["N=16", "size=48"]).N
    16
    """
    from pydantic import ValidationError

    from ptychopinn.config.recipe import parse_value
    from ptychopinn.studies.grid_lines.config import GridLinesConfig

    tree: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--data {item}: must be KEY=VALUE, as in set_phi=true")
        tree[key.strip()] = parse_value(value, item)
    try:
        return GridLinesConfig(**tree)
    except ValidationError as error:
        known = ", ".join(GridLinesConfig.model_fields)
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"settings of the data: {told}; known are {known}") from None


def run_from_files(
    train_npz: Path | None, test_npz: Path | None, settings: "GridLinesConfig"
) -> "GridLinesConfig | tuple[Path, Path]":
    """What is trained on: two files, one that holds both parts, or else what is simulated.

    Raises:
        ConfigError: only a test part, or files of another size than the settings say.
    """
    if train_npz is None and test_npz is None:
        return settings
    if train_npz is None:
        raise ConfigError("--test-npz without --train-npz: give both, or neither to simulate them")
    files = train_npz, test_npz or train_npz
    _check_files(files[1], settings)
    return files


def _check_files(test_npz: Path, settings: "GridLinesConfig") -> None:
    from ptychopinn.studies.grid_lines.reader import read_grid_lines

    layout = read_grid_lines(test_npz, "test").scene.layout
    found, asked = (layout.pattern_size, layout.gridsize), (settings.N, settings.gridsize)
    if found != asked:
        raise ConfigError(
            f"{test_npz}: --N and --gridsize are {asked[0]} and {asked[1]}, but the data have {found[0]} and "
            f"{found[1]}; give these"
        )
