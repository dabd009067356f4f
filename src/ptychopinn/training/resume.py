"""Going on from a checkpoint, if it belongs to this run."""

import logging
import math
from pathlib import Path
from typing import Any

from ptychopinn.bundle.checkpoint import read_checkpoint, reason_of
from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.errors import BundleError, ConfigError

logger = logging.getLogger("ptychopinn.training")

_SECTIONS = ("data", "model", "training")
"""Of the recipe: those that decide the result of training."""


def checkpoint_to_resume(folder: Path | None, recipe: Recipe) -> str | None:
    """The last checkpoint in a run's folder, if it belongs to this recipe and scan; None before the first.

    Args:
        folder: of the run.
        recipe: of this run, with the statistics of its scan.

    Raises:
        ConfigError: the checkpoint was made with other settings, or from another scan.
        BundleError: it cannot be read.
    """
    path = folder / "checkpoints" / "last.ckpt" if folder else None
    if path is None or not path.exists():
        logger.info("nothing to resume: training from the start")
        return None
    what, way_out = "a checkpoint that can be resumed", "train without --resume"
    try:
        stored = dict(read_checkpoint(path, what, way_out)["hyper_parameters"]["recipe"])
    except (LookupError, TypeError) as error:
        raise BundleError(f"{path}: is not {what} ({reason_of(error)}); {way_out}") from None
    before = Recipe.from_mapping(stored, str(path))
    changed = [
        f"{section}.{key}"
        for section in _SECTIONS
        for key in _differences(getattr(before, section).model_dump(), getattr(recipe, section).model_dump())
    ]
    if changed:
        raise ConfigError(
            f"{path}: was made with other settings ({', '.join(changed)}); "
            "resume with the same recipe, or train without --resume"
        )
    if not _same_scan(before.fitted, recipe.fitted):
        raise ConfigError(
            f"{path}: was made from another scan; resume with the scan that it was begun with, "
            "or train without --resume"
        )
    return str(path)


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    keys = []
    for key, value in now.items():
        if isinstance(value, dict):
            keys += _differences(before[key], value, f"{prefix}{key}.")
        elif value != before[key]:
            keys.append(f"{prefix}{key}")
    return keys


def _same_scan(before: FittedStatistics | None, now: FittedStatistics | None) -> bool:
    """Whether statistics agree up to rounding, which another device or number of threads may change."""
    if before is None or now is None:
        return before is now
    pairs = zip(before.model_dump().values(), now.model_dump().values(), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-6) for a, b in pairs)
