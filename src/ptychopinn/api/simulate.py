"""`simulate`: make scans of known objects with the built-in simulator; `label_scan`: labels for a measured one."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptychopinn.api.inputs import RecipeSource, ScanSource, as_recipe, as_scan, warn_of_problems
from ptychopinn.config import Recipe
from ptychopinn.data import Scan, write_scan
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError, OutputError, PtychoPINNError, ScanError
from ptychopinn.simulation import simulate as draw_scan
from ptychopinn.simulation import with_object

logger = logging.getLogger("ptychopinn")


@dataclass(frozen=True)
class Simulated:
    """A scan that was made, and where it was written."""

    scan: Scan
    """Counts, positions, the exact probe and the exact object."""
    path: Path | None
    """The file; none when nothing was written."""


def simulate(
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
) -> Simulated:
    """Simulate the experiment of a recipe's `simulation` section.

    Args:
        output: NPZ file to write; its folder is made. Nothing is written without it.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.

    Raises:
        PtychoPINNError: the recipe or the file cannot be used; nothing has been written then.

    >>> made = simulate(overrides=["simulation.object_size_px=48", "simulation.probe_size_px=16"])
    >>> made.scan.domain, made.path
    ('counts', None)
    """
    settings = as_recipe(recipe, overrides)
    target = None if output is None else _checked_target(Path(output))
    return _make(settings, target)


def simulate_multiple(
    count: int,
    output_folder: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    vary: Mapping[str, Sequence[Any]] | None = None,
) -> list[Simulated]:
    """Simulate several experiments: other objects, positions and counts each time, and what `vary` says.

    Experiment i has the recipe's seed plus i, and of each varied setting the i-th value, in turn.

    Args:
        count: number of experiments.
        output_folder: where `scan_000.npz`, `scan_001.npz`, ... are written; made if need be.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.
        vary: names of settings of the `simulation` section, with or without `simulation.` in front, and their values.

    Raises:
        PtychoPINNError: a recipe or the folder cannot be used; nothing has been written then.

    >>> small = ["simulation.object_size_px=48", "simulation.probe_size_px=16"]
    >>> made = simulate_multiple(3, overrides=small, vary={"probe_kind": ["disk", "gaussian"]})
    >>> [one.scan.metadata["probe_kind"] for one in made]
    ['disk', 'gaussian', 'disk']
    """
    if count < 1:
        raise ConfigError(f"count is {count}; must be one experiment or more")
    recipes = _varied(as_recipe(recipe, overrides), count, vary or {})
    folder = None if output_folder is None else check_output_folder(output_folder)
    digits = max(3, len(str(count - 1)))
    targets = [None if folder is None else folder / f"scan_{i:0{digits}d}.npz" for i in range(count)]
    return [_make(one, target) for one, target in zip(recipes, targets, strict=True)]


def label_scan(
    scan: ScanSource,
    reconstruction: str | Path | Reconstruction,
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
) -> Simulated:
    """Labels for supervised training from an experiment: a measured scan and what was reconstructed from it.

    The scan gets the reconstructed object as `object_guess`, the patches of it that the patterns saw as labels, and the
    probe that belongs to it. Where the canvas begins elsewhere than the frame of the positions, these move along.

    Args:
        scan: a file, or a `Scan`.
        reconstruction: `reconstruction.npz`, the folder that holds it, or a `Reconstruction`.
        output: NPZ file to write; its folder is made. Nothing is written without it.
        recipe: its `data` section says how the scan is read.
        overrides: `section.key=value` texts.

    Raises:
        PtychoPINNError: scan or reconstruction cannot be used, or do not belong together.
    """
    target = None if output is None else _checked_target(Path(output))
    measured = as_scan(scan, as_recipe(recipe, overrides))
    image = reconstruction if isinstance(reconstruction, Reconstruction) else Reconstruction.load(reconstruction)
    try:
        labelled = with_object(measured, image.object_, image.origin_px, image.probe)
    except ScanError:
        raise
    except PtychoPINNError as error:
        raise ScanError(f"{measured.source}: the reconstruction does not cover every pattern: {error}") from None
    warn_of_problems(measured)
    return _written(labelled, target)


def _varied(recipe: Recipe, count: int, vary: Mapping[str, Sequence[Any]]) -> list[Recipe]:
    """One checked recipe for each experiment."""
    for name, values in vary.items():
        if isinstance(values, str) or len(values) == 0:
            raise ConfigError(f"vary {name}: {values!r} is no list; must be a list of one value or more")
    tree = recipe.model_dump(mode="json")
    recipes = []
    for i in range(count):
        chosen = {name.removeprefix("simulation."): values[i % len(values)] for name, values in vary.items()}
        one = tree["simulation"] | {"seed": recipe.simulation.seed + i} | chosen
        recipes.append(Recipe.from_mapping(tree | {"simulation": one}, f"experiment {i}"))
    return recipes


def _make(recipe: Recipe, target: Path | None) -> Simulated:
    scan = draw_scan(recipe.simulation, recipe.model)
    logger.info("simulated %d patterns of %d px", len(scan), scan.pattern_size)
    return _written(scan, target)


def _written(scan: Scan, target: Path | None) -> Simulated:
    if target is None:
        return Simulated(scan, None)
    check_output_folder(target.parent)
    return Simulated(scan, write_scan(scan, target))


def _checked_target(target: Path) -> Path:
    """Refuse early what `write_scan` would refuse at the end."""
    if target.is_dir() or target.suffix.lower() != ".npz":
        raise OutputError(f"{target}: a scan is written as NPZ; name a file that ends in .npz")
    return target
