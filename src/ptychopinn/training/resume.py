"""Checkpoints: written whole or not at all, and gone on from if they belong to this run."""

import logging
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from ptychopinn.bundle.checkpoint import read_checkpoint, reason_of
from ptychopinn.config import Recipe
from ptychopinn.data.identity import digest_of
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.errors import BundleError, ConfigError, OutputError
from ptychopinn.training.history import CHECKPOINTS
from ptychopinn.training.prepare import Prepared
from ptychopinn.training.stages import StageProgress

logger = logging.getLogger("ptychopinn.training")

_SECTIONS = ("data", "model", "training")
"""Of the recipe: those that decide the result of training."""

_BOOKKEEPING = ("training.logger", "training.experiment", "training.figure_epochs", "training.checkpoints")
"""Settings that do not, and may change."""


def identity_of(start: Prepared) -> str:
    """Hexadecimal digest of the data that a training uses: patterns, masks, positions, probes, groups, labels.

    Two scans that differ in one count, one position or the order of their patterns have different identities.
    """
    parts: list[str | NDArray[Any] | None] = []
    for part in start.parts:
        scan = part.tensors.scan
        parts += [
            scan.domain,
            scan.patterns,
            scan.bad_pixels,
            scan.positions_px,
            scan.probe,
            scan.truth_patches,
            part.train_groups,
            part.validation_groups,
        ]
    return digest_of(*parts)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write plain values and tensors to a temporary file beside `path`, then rename it: a crash leaves the old one.

    Raises:
        OutputError: the file cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        try:
            torch.save(checkpoint, temporary)
        except RuntimeError as error:  # what torch makes of a full disk
            reason = str(error).splitlines()[0]
            raise OutputError(
                f"{path}: the checkpoint cannot be written ({reason}); free space on the disk or name another "
                "folder, then continue with --resume"
            ) from error


def checkpoint_to_resume(folder: Path | None, start: Prepared) -> str | None:
    """The last checkpoint in a run's folder, if it belongs to this recipe and these scans; None before the first.

    The number of epochs may be larger than before, if the training has no stages.

    Args:
        folder: of the run.
        start: the recipe of this run and its scans.

    Raises:
        ConfigError: the checkpoint was made with other settings, or from other data.
        BundleError: it cannot be read.
    """
    path = folder / CHECKPOINTS / "last.ckpt" if folder else None
    if path is None or not path.exists():
        logger.info("nothing to resume: training from the start")
        return None
    what, way_out = "a checkpoint that can be resumed", "train with --overwrite"
    values = read_checkpoint(path, what, way_out)
    try:
        stored = dict(values["hyper_parameters"]["recipe"])
        scans = str(values["callbacks"]["Checkpoints"]["scans"])
    except (LookupError, TypeError) as error:
        raise BundleError(f"{path}: is not {what} ({reason_of(error)}); {way_out}") from None
    before = Recipe.from_mapping(stored, str(path))
    if before.backend != start.recipe.backend:
        raise ConfigError(
            f"{path}: was made by the backend {before.backend}, and this run has {start.recipe.backend}; resume with "
            f"--backend {before.backend}, or train with --overwrite"
        )
    changed = [
        f"{section}.{key}"
        for section in _SECTIONS
        for key in _differences(getattr(before, section).model_dump(), getattr(start.recipe, section).model_dump())
        if f"{section}.{key}" not in _BOOKKEEPING
    ]
    longer = (start.recipe.training.epochs or 0) >= (before.training.epochs or 0)
    if longer and not StageProgress(before.training).is_divided:
        changed = [key for key in changed if key != "training.epochs"]
    if changed:
        raise ConfigError(
            f"{path}: was made with other settings ({', '.join(changed)}); "
            "resume with the same recipe, or train with --overwrite"
        )
    if scans != identity_of(start):
        raise ConfigError(
            f"{path}: was made from other data (patterns, positions, order, probe or groups differ); resume with the "
            "scan that it was begun with, or train with --overwrite"
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
