"""The grid-lines study: architectures compared on drawn lines, with several seeds and a supervised baseline.

Every row trains on the training objects and reconstructs the test object, which no training has seen.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.backends import Recorder, check_backend, recorder_of
from ptychopinn.api.inputs import RecipeSource, as_recipe
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.train import train
from ptychopinn.config import Recipe
from ptychopinn.config.backend import DEFAULT, Backend, check_installed
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.data.io.atomic import remove_file
from ptychopinn.data.reconstruction import RESULT_NAME, Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.generators import architectures as registered_architectures
from ptychopinn.metrics.region import MIN_SIDE_PX
from ptychopinn.studies.environment import environment
from ptychopinn.studies.finished import read_finished, write_finished
from ptychopinn.studies.grid_lines.artifacts import (
    MARGIN_PX,
    TRUTH,
    cut_to_truth,
    has_artifact,
    load_recon_artifact,
    render_grid_lines_visuals,
    save_recon_artifact,
    score_on_truth,
)
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import GridLinesSplit, make_grid_lines, scans_of
from ptychopinn.studies.grid_lines.files import write_grid_lines
from ptychopinn.studies.grid_lines.layout import GridLayout
from ptychopinn.studies.grid_lines.reader import read_grid_lines
from ptychopinn.studies.grid_lines.tables import PUBLISHED_SIZE_PX, PUBLISHED_SSIM, write_grid_lines_tables
from ptychopinn.studies.iterative import has_ptychi, solve_with_ptychi
from ptychopinn.studies.trial import Trial
from ptychopinn.training import EpochHook

logger = logging.getLogger("ptychopinn.studies")

GridLinesSource: TypeAlias = GridLinesConfig | tuple[str | Path, str | Path]
"""What to simulate, or the files of the training and of the test part; a file that holds both may stand twice."""
BASELINE = "baseline"
"""The row of the supervised network."""
ITERATIVE = "ptychi"
"""The row of the iterative solver, which needs no training."""
ITERATIVE_EPOCHS = 60
BASELINE_ARCHITECTURE = "cnn"
_OWN_SETTINGS = {
    "model.generator.architecture": "--architectures",
    "model.kind": "the rows: pinn_<architecture> and baseline",
    "training.seed": "--seeds",
    "training.epochs": "--epochs",
    "data.group_size": "--gridsize",
}
RunHook: TypeAlias = Callable[[int, int, Trial], None]


@dataclass(frozen=True)
class GridLinesStudy:
    """All runs of a study."""

    trials: tuple[Trial, ...]
    """By row, its name in `recipe`, and seed."""
    paths: dict[str, Path]
    """`metrics`, `table`, `text`, `compare`, `frc`, `environment`."""


@dataclass(frozen=True)
class _Row:
    """One run of a row."""

    name: str
    seed: int
    stated: dict[str, Any]
    """All that decides it."""
    device: str


@dataclass(frozen=True)
class _Setting:
    """What all runs share."""

    train: GridLinesSplit
    test: GridLinesSplit
    data: list[str]
    """Digests of the files."""
    folder: Path
    on_epoch: EpochHook | None


def study_grid_lines(
    data: GridLinesSource,
    output: str | Path,
    recipe: RecipeSource = None,
    *,
    architectures: Sequence[str] = ("cnn",),
    seeds: Sequence[int] = (0,),
    epochs: int = 60,
    baseline: bool = True,
    iterative: bool = True,
    overrides: Sequence[str] = (),
    backends: Sequence[Backend] = (),
    sim_backend: Backend = DEFAULT,
    on_run: RunHook | None = None,
    on_epoch: EpochHook | None = None,
) -> GridLinesStudy:
    """Train every architecture with every seed, reconstruct the test object and score it against the ground truth.

    Gridsize 1 trains with groups of one pattern, without overlap constraint; gridsize 2 with groups of four. A run that
    has ended in `output` with the same recipe and data is not run again.

    Args:
        data: settings of what is simulated into `output/datasets`, or files.
        output: folder for `runs/<row>_seed<seed>/`, `recons/<row>/recon.npz` (of the first seed), `visuals/`,
            `metrics.json`, `metrics_table.csv`, `metrics_table.md` and `environment.json`.
        recipe: of all rows, a name, YAML file, mapping or `Recipe`; the default recipe without it.
        architectures: registered names; the row of each is `pinn_<architecture>`.
        seeds: of initial weights and order, one run each; objects and counts do not change.
        epochs: of each run.
        baseline: whether there is a supervised row, `cnn` trained on the true windows.
        iterative: whether there is a row of pty-chi's LSQML on the test patterns, where pty-chi is installed.
        overrides: `section.key=value` texts.
        backends: of the networks, with a row of each for every architecture; that of the recipe by default. The rows of
            TensorFlow end in `_tensorflow`.
        sim_backend: simulates the data.
        on_run: called after every run with runs done, runs in all and the run.
        on_epoch: called after every epoch of training.

    Raises:
        PtychoPINNError: an architecture nobody registered, a setting that the study makes itself, data or folder that
            cannot be used; nothing has been trained then.
    """
    _check_plan(architectures, seeds, overrides)
    base = as_recipe(recipe, [*overrides, f"training.epochs={epochs}"])
    if isinstance(data, GridLinesConfig):
        _check_test(data.layout("test"), data.nimgs_test, "the settings of the data")
    chosen = list(backends) or [base.backend]
    _check_backends(base, architectures, baseline, chosen, sim_backend)
    setting = _setting(data, Path(output), on_epoch, recorder_of(sim_backend))
    recipes = {
        row if backend == DEFAULT else f"{row}_{backend}": recipe_of_row.changed(backend=backend)
        for backend in chosen
        for row, recipe_of_row in _rows(base, architectures, baseline, setting.test.scene.layout.gridsize).items()
    }
    plan: list[tuple[str, Callable[[int], Trial]]] = [
        (row, partial(_run, setting, row, recipe_of_row)) for row, recipe_of_row in recipes.items()
    ]
    if iterative and has_ptychi():
        plan.append((ITERATIVE, partial(_solve, setting, base.training.device)))
    made: list[Trial] = []
    for _, run in plan:
        for seed in seeds:
            made.append(run(seed))
            if on_run is not None:
                on_run(len(made), len(plan) * len(seeds), made[-1])
    return GridLinesStudy(tuple(made), _written(setting, base, [row for row, _ in plan], made))


def _check_plan(architectures: Sequence[str], seeds: Sequence[int], overrides: Sequence[str]) -> None:
    known = registered_architectures()
    unknown = [name for name in architectures if name not in known]
    if unknown or not architectures:
        raise ConfigError(
            f"architectures are {', '.join(architectures) or 'none'}; must be one or more of {', '.join(known)}"
        )
    if len(set(architectures)) < len(architectures) or not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ConfigError(
            f"architectures {list(architectures)}, seeds {list(seeds)}: must be one of each or more, none twice, "
            "seeds of 0 or above"
        )
    for item in overrides:
        way = _OWN_SETTINGS.get(item.partition("=")[0].strip())
        if way is not None:
            raise ConfigError(f"override {item!r}: the study makes this setting itself, by {way}; drop it")


def _check_backends(
    base: Recipe, architectures: Sequence[str], baseline: bool, backends: Sequence[Backend], sim_backend: Backend
) -> None:
    """Refuse a backend that is not installed, or lacks an architecture, before anything is simulated."""
    check_installed(sim_backend)
    for backend in backends:
        for recipe in _rows(base, architectures, baseline, 1).values():
            check_backend(recipe.changed(backend=backend))


def _check_test(layout: GridLayout, objects: int, source: str) -> None:
    side = layout.steps * layout.stride
    if objects != 1 or side < MIN_SIDE_PX:
        raise ConfigError(
            f"{source}: {objects} test objects with a ground truth of {side} px; the study scores one object, of "
            f"{MIN_SIDE_PX} px or more, so set nimgs_test=1 and a larger size"
        )


def _setting(data: GridLinesSource, folder: Path, on_epoch: EpochHook | None, record: Recorder) -> _Setting:
    files = (
        write_grid_lines(make_grid_lines(data, record=record), folder) if isinstance(data, GridLinesConfig) else data
    )
    train_split, test_split = read_grid_lines(files[0], "train"), read_grid_lines(files[1], "test")
    _check_test(test_split.scene.layout, len(test_split.scene.objects), str(files[1]))
    shapes = [(split.scene.layout.pattern_size, split.scene.layout.gridsize) for split in (train_split, test_split)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"{files[0]} and {files[1]} have (N, gridsize) {shapes[0]} and {shapes[1]}; give two parts of one data set"
        )
    if any(np.array_equal(test_split.scene.objects[0], object_) for object_ in train_split.scene.objects):
        raise ConfigError(f"{files[1]}: its object is one of those in {files[0]}; test on one that training never saw")
    digests = [_digest(Path(file)) for file in files]
    return _Setting(train_split, test_split, digests, check_output_folder(folder), on_epoch)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(base: Recipe, architectures: Sequence[str], baseline: bool, gridsize: int) -> dict[str, Recipe]:
    """The recipe of each row; a supervised network sees patterns one by one."""
    made = {
        f"pinn_{name}": base.with_overrides(
            ["model.kind=pinn", f"model.generator.architecture={name}", f"data.group_size={gridsize**2}"]
        )
        for name in architectures
    }
    if baseline:
        settings = ["model.kind=supervised", f"model.generator.architecture={BASELINE_ARCHITECTURE}"]
        made[BASELINE] = base.with_overrides([*settings, "data.group_size=1"])
    return made


def _run(setting: _Setting, row: str, recipe: Recipe, seed: int) -> Trial:
    """One training, one reconstruction, one report; read where that was done before."""
    recipe = recipe.with_overrides([f"training.seed={seed}"])
    stated = {"recipe": recipe.model_dump(mode="json"), "data": setting.data}

    def image(folder: Path) -> tuple[Reconstruction, float]:
        backend = [f"backend={recipe.backend}"]
        trained = train(
            scans_of(setting.train), folder, recipe, overrides=backend, overwrite=True, on_epoch=setting.on_epoch
        )
        made = reconstruct(scans_of(setting.test)[0], trained, folder, device=recipe.training.device)
        return made.reconstruction, trained.seconds

    return _finished_or_made(setting, _Row(row, seed, stated, recipe.training.device), image)


def _solve(setting: _Setting, device: str, seed: int) -> Trial:
    """The iterative solver on the test patterns, with the true probe, as the networks have it."""
    stated = {"solver": ITERATIVE, "epochs": ITERATIVE_EPOCHS, "seed": seed, "data": setting.data}

    def image(folder: Path) -> tuple[Reconstruction, float]:
        scan = scans_of(setting.test)[0]
        made = solve_with_ptychi(scan, scan.probe, epochs=ITERATIVE_EPOCHS, seed=seed, device=device)
        made.save(check_output_folder(folder) / RESULT_NAME)
        return made, 0.0

    return _finished_or_made(setting, _Row(ITERATIVE, seed, stated, device), image)


def _finished_or_made(setting: _Setting, row: _Row, image: Callable[[Path], tuple[Reconstruction, float]]) -> Trial:
    """A run, read where it has ended before; `image` gives the image and the time of training."""
    folder = setting.folder / "runs" / f"{row.name}_seed{row.seed}"
    before = read_finished(folder / "run.json", row.stated)
    if before is not None and has_artifact(folder, row.name):
        logger.info("%s: finished before", folder)
        return _trial(setting, row.name, row.seed, before)
    remove_file(folder / "run.json")
    started = time.perf_counter()
    reconstruction, train_s = image(folder)
    recon, covered = cut_to_truth(reconstruction, setting.test)
    save_recon_artifact(folder, row.name, recon, covered, margin_px=MARGIN_PX)
    report = score_on_truth(recon, _truth(setting), covered, row.name).report
    facts = environment(row.device)
    write_text_atomically(folder / "environment.json", json.dumps(facts, indent=2))
    made = {"report": report, "train_s": train_s, "total_s": time.perf_counter() - started}
    write_finished(folder / "run.json", row.stated, made)
    return _trial(setting, row.name, row.seed, made)


def _trial(setting: _Setting, row: str, seed: int, made: dict[str, Any]) -> Trial:
    patterns = 0 if row == ITERATIVE else len(setting.train) * setting.train.scene.layout.gridsize**2
    return Trial(row, patterns, seed, **made)


def _truth(setting: _Setting) -> NDArray[np.complex64]:
    return setting.test.truth[0]


def _written(setting: _Setting, recipe: Recipe, rows: Sequence[str], made: Sequence[Trial]) -> dict[str, Path]:
    """Tables of all runs, figures of the first seed."""
    folder = setting.folder
    save_recon_artifact(folder, TRUTH, _truth(setting))
    for row in rows:
        seed = next(trial.seed for trial in made if trial.recipe == row)
        image, covered = load_recon_artifact(folder / "runs" / f"{row}_seed{seed}", row)
        save_recon_artifact(folder, row, image, covered, margin_px=MARGIN_PX)
    facts = environment(recipe.training.device)
    published = _published(setting.test.scene.layout)
    return {
        **write_grid_lines_tables(folder, made, _stated(setting, recipe), published, facts),
        **render_grid_lines_visuals(folder, rows),
        "environment": write_text_atomically(folder / "environment.json", json.dumps(facts, indent=2)),
    }


def _published(layout: GridLayout) -> float | None:
    """The amplitude SSIM to compare with; objects of another size are flatter or richer."""
    return PUBLISHED_SSIM.get((layout.pattern_size, layout.gridsize)) if layout.size == PUBLISHED_SIZE_PX else None


def _stated(setting: _Setting, recipe: Recipe) -> dict[str, Any]:
    layout, train_split = setting.test.scene.layout, setting.train
    power = np.einsum("bgyx,bgyx->bg", train_split.amplitudes, train_split.amplitudes).mean(dtype=np.float64)
    return {
        "N": layout.pattern_size,
        "gridsize": layout.gridsize,
        "object, px": layout.size,
        "training patterns": len(train_split) * layout.gridsize**2,
        "counts per pattern": float(f"{train_split.intensity_scale**2 * power:.4g}"),
        "epochs": recipe.training.epochs,
    }
