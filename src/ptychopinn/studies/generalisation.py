"""How many patterns does a network need to reconstruct what it has never seen?

Train on n patterns of one scan, reconstruct another scan (or another part of the same one), score it there; for several
n, and for each n several times with other patterns and other initial weights.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.evaluate import Region, evaluate
from ptychopinn.api.inputs import RecipeSource, ScanSource, as_recipe, as_scan
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.train import train
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.studies.environment import environment
from ptychopinn.studies.finished import read_finished, write_finished
from ptychopinn.studies.generalisation_tables import write_tables
from ptychopinn.studies.trial import Trial
from ptychopinn.training import EpochHook

logger = logging.getLogger("ptychopinn.studies")

Choice = Literal["compact", "random"]
SMALLEST_REGION_PX = 16


@dataclass(frozen=True)
class Generalisation:
    """All trials of a study."""

    trials: tuple[Trial, ...]
    """By recipe, number of patterns and trial."""
    paths: dict[str, Path]
    """`trials`, `table`, `text`, `figure` (also as `picture`), `environment`; empty when nothing was written."""


@dataclass(frozen=True)
class _Setting:
    """What all trials share."""

    train_scan: Scan
    test_scan: Scan
    region: Region | None
    choice: Choice
    folder: Path | None
    on_epoch: EpochHook | None


def study_generalisation(
    scan: ScanSource,
    test_scan: ScanSource | None = None,
    output: str | Path | None = None,
    recipes: Mapping[str, RecipeSource] | RecipeSource = None,
    *,
    sizes: Sequence[int],
    trials: int = 3,
    choice: Choice = "compact",
    region: Region | None = None,
    overrides: Sequence[str] = (),
    on_trial: Callable[[int, int, Trial], None] | None = None,
    on_epoch: EpochHook | None = None,
) -> Generalisation:
    """Train on n patterns for several n, test on what training never saw, and repeat each with another seed.

    Trial t has the recipe's seed plus t, which decides patterns, initial weights and their order. The patterns of a
    smaller n are among those of a larger one. With an output folder a trial that is finished there is not run again.

    Args:
        scan: to train on, a file or a `Scan`.
        test_scan: to reconstruct and score; it holds `objectGuess`. Without it the scan is cut at the column of its
            median position: the left part is trained on, the right part reconstructed, and scored from where no
            training pattern reaches.
        output: folder for `trials.csv`, `table.csv`, `table.md`, `generalisation.png`, `environment.json` and one
            folder for each trial; nothing is written without it.
        recipes: a name, YAML file, mapping or `Recipe`, or several by their names; the default recipe without it.
        sizes: numbers of training patterns.
        trials: repetitions of each.
        choice: `compact` takes the patterns nearest to a random one, as a smaller scan would have; `random` takes them
            from everywhere, which thins the overlap.
        region: rows and columns of the test scan's object frame that are scored; by default what its positions span.
        overrides: `section.key=value` texts for every recipe.
        on_trial: called after every trial with trials done, trials in all and the trial.
        on_epoch: called after every epoch of training.

    Raises:
        PtychoPINNError: scans, recipes, sizes or folder cannot be used; nothing has been written then.
    """
    named = _named_recipes(recipes, overrides)
    first = next(iter(named.values()))
    parts = _parts(as_scan(scan, first), None if test_scan is None else as_scan(test_scan, first), region)
    wanted = _checked_sizes(sizes, len(parts[0]), named)
    if trials < 1:
        raise ConfigError(f"trials is {trials}; must be one or more")
    folder = None if output is None else check_output_folder(output)
    setting = _Setting(*parts, choice, folder, on_epoch)
    made: list[Trial] = []
    total = len(named) * len(wanted) * trials
    for name, recipe in named.items():
        for size in wanted:
            for number in range(trials):
                made.append(_trial(setting, name, recipe, size, number))
                if on_trial is not None:
                    on_trial(len(made), total, made[-1])
    return Generalisation(tuple(made), _written(folder, setting, made, first) if folder else {})


def choose_patterns(
    positions_px: NDArray[np.float64], count: int, choice: Choice, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of `count` patterns in scan order.

    Args:
        positions_px: (N, 2), (y, x).
        count: at most N.
        choice: those nearest to a random one, or random ones.
        rng: draws them; the same state gives a smaller number out of those of a larger one.

    >>> choose_patterns(np.array([[0.0, 0], [0, 1], [0, 9], [0, 8]]), 2, "compact", np.random.default_rng(0))
    array([2, 3])
    """
    if choice == "random":
        return np.sort(rng.permutation(len(positions_px))[:count])
    distance = np.square(positions_px - positions_px[rng.integers(len(positions_px))]).sum(axis=1)
    return np.sort(np.argsort(distance, kind="stable")[:count])


def _trial(setting: _Setting, name: str, recipe: Recipe, size: int, number: int) -> Trial:
    """One training, one reconstruction, one report; read where that was done before."""
    seed = recipe.training.seed + number
    recipe = recipe.with_overrides([f"training.seed={seed}"])
    folder = None if setting.folder is None else setting.folder / "trials" / f"{name}_n{size}_seed{seed}"
    stated = _statement(setting, recipe, size)
    before = None if folder is None else read_finished(folder / "trial.json", stated)
    if before is not None:
        logger.info("%s: finished before", folder)
        return Trial(name, size, seed, **before)
    chosen = choose_patterns(setting.train_scan.positions_px, size, setting.choice, np.random.default_rng(seed))
    started = time.perf_counter()
    trained = train(setting.train_scan.select(chosen), folder, recipe, overwrite=True, on_epoch=setting.on_epoch)
    image = reconstruct(setting.test_scan, trained, folder, device=recipe.training.device).reconstruction
    report = evaluate(image, setting.test_scan, region=setting.region).report
    made: dict[str, Any] = {"report": report, "train_s": trained.seconds, "total_s": time.perf_counter() - started}
    if folder is not None:
        write_finished(folder / "trial.json", stated, made)
    return Trial(name, size, seed, **made)


def _statement(setting: _Setting, recipe: Recipe, size: int) -> dict[str, Any]:
    """All that decides a trial, as plain JSON values."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "patterns": size,
        "choice": setting.choice,
        "region": None if setting.region is None else list(setting.region),
        "trained_on": _fingerprint(setting.train_scan),
        "tested_on": _fingerprint(setting.test_scan),
    }


def _fingerprint(scan: Scan) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in (scan.patterns, scan.positions_px, scan.probe, scan.object_guess):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _named_recipes(recipes: Mapping[str, RecipeSource] | RecipeSource, overrides: Sequence[str]) -> dict[str, Recipe]:
    """Recipes by name; a mapping whose keys are sections of a recipe is one recipe."""
    if isinstance(recipes, Mapping) and recipes and not set(recipes) <= set(Recipe.model_fields):
        named = {str(name): as_recipe(source, overrides) for name, source in recipes.items()}
    else:
        named = {"recipe": as_recipe(recipes, overrides)}
    wrong = [name for name in named if not name or Path(name).name != name or name.startswith(".")]
    if wrong:
        raise ConfigError(f"recipe name {wrong[0]!r}: it names a folder; use letters, digits, - and _")
    return named


def _checked_sizes(sizes: Sequence[int], most: int, recipes: Mapping[str, Recipe]) -> list[int]:
    wanted = sorted(set(sizes))
    if any(recipe.data.n_patterns is not None for recipe in recipes.values()):
        raise ConfigError("data.n_patterns is set, but the sizes of the study say how many patterns are used; drop it")
    least = max(recipe.data.group_size for recipe in recipes.values())
    if not wanted or wanted[0] < least or wanted[-1] > most:
        raise ConfigError(
            f"sizes are {wanted}; must be from {least} patterns, a group, to {most}, what there is to train on"
        )
    return wanted


def _parts(scan: Scan, test_scan: Scan | None, region: Region | None) -> tuple[Scan, Scan, Region | None]:
    """What is trained on, what is tested, and the region that is scored."""
    known = scan if test_scan is None else test_scan
    if known.object_guess is None:
        raise ScanError(f"{known.source}: holds no objectGuess to compare with; test on a scan that has one")
    if test_scan is not None and test_scan.pattern_size != scan.pattern_size:
        raise ScanError(
            f"{test_scan.source}: its patterns are {test_scan.pattern_size} px wide and those of {scan.source} "
            f"{scan.pattern_size} px; test on a scan of the same size"
        )
    if test_scan is not None:
        return scan, test_scan, region
    columns = scan.positions_px[:, 1]
    left = columns < np.median(columns)
    if left.all() or not left.any():
        raise ScanError(f"{scan.source}: its positions cannot be cut at a column; give another scan to test on")
    parts = [
        replace(scan.select(side), source=f"{scan.source}, {name}") for side, name in ((left, "left"), (~left, "right"))
    ]
    return parts[0], parts[1], region or _unseen_region(parts[0], parts[1])


def _unseen_region(trained_on: Scan, tested_on: Scan) -> Region:
    """What the positions of the test span, from the first column that no window of the training reaches."""
    (y0, x0), (y1, x1) = np.ceil(tested_on.positions_px.min(axis=0)), np.floor(tested_on.positions_px.max(axis=0)) + 1
    reached = np.floor(trained_on.positions_px[:, 1].max()) + trained_on.pattern_size // 2 + 1
    if x1 - max(x0, reached) < SMALLEST_REGION_PX or y1 - y0 < SMALLEST_REGION_PX:
        raise ScanError(
            f"{tested_on.source}: too narrow to score {SMALLEST_REGION_PX} px that no training pattern reaches; "
            "give another scan to test on, or a region"
        )
    return int(y0), int(y1), int(max(x0, reached)), int(x1)


def _written(folder: Path, setting: _Setting, made: Sequence[Trial], recipe: Recipe) -> dict[str, Path]:
    facts = environment(recipe.training.device)
    text = json.dumps(facts, indent=2)
    stated = {
        "trained on": f"{setting.train_scan.source} ({len(setting.train_scan)} patterns)",
        "tested on": f"{setting.test_scan.source} ({len(setting.test_scan)} patterns)",
        "patterns chosen": setting.choice,
    }
    paths = write_tables(folder, made, stated, facts)
    return {**paths, "environment": write_text_atomically(folder / "environment.json", text)}
