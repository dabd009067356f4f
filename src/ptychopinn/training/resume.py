"""Going on from a checkpoint, if it belongs to this run."""

import logging
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.errors import BundleError, ConfigError

logger = logging.getLogger("ptychopinn.training")

_SECTIONS = ("data", "model", "training")
"""Of the recipe: those that decide the result of training."""
_UNREADABLE = (RuntimeError, LookupError, TypeError, EOFError, OSError, ValueError)


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
    before = Recipe.from_mapping(_stored_recipe(path), str(path))
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


def _stored_recipe(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"{broken} is damaged")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint, dict):
            raise TypeError("no training state inside")
        return dict(checkpoint["hyper_parameters"]["recipe"])
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(
            f"{path}: is not a checkpoint that can be resumed ({reason}); train without --resume"
        ) from None


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
