"""Fit a model to a scan."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.models import PatchModel, TrainedModel, unseen_pixels
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.training.history import EpochHook, History
from ptychopinn.training.loggers import open_tracker
from ptychopinn.training.prepare import Prepared, prepare
from ptychopinn.training.resume import checkpoint_to_resume
from ptychopinn.training.tracking import Tracking, recorded

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from ptychopinn.training.module import TrainingModule

logger = logging.getLogger("ptychopinn.training")

BackendLoop = Callable[[Prepared, Path | None, str | None, EpochHook | None], History]
"""Trains the model of a prepared training in place, on from a checkpoint if one is given."""


@dataclass(frozen=True)
class Fit:
    """A trained model and how it came to be."""

    model: PatchModel
    recipe: Recipe
    """With the statistics that training measured."""
    history: History
    tensors: ScanTensors
    """The training scan, on the device of the model; the first one of several."""
    groups: NDArray[np.int64]
    """(n_groups, G), group table of the training patterns."""
    unseen: NDArray[np.bool_] | None = None
    """(H, W), pixels that training never saw; see `ptychopinn.models.unseen_pixels`."""
    tracking: Tracking | None = None
    """What recorded the training, and takes its files; see `training.logger`."""

    @property
    def trained(self) -> TrainedModel:
        """The model as one value."""
        return TrainedModel(self.model, self.recipe, self.unseen)


def fit(
    scan: Scan | Sequence[Scan],
    recipe: Recipe,
    folder: Path | None = None,
    *,
    resume: bool = False,
    on_epoch: EpochHook | None = None,
) -> Fit:
    """Train the model of a recipe on a scan, or several: `fit_prepared` of what `prepare` makes of them."""
    return fit_prepared(prepare(scan, recipe), folder, resume=resume, on_epoch=on_epoch)


def fit_prepared(
    start: Prepared,
    folder: Path | None = None,
    *,
    resume: bool = False,
    on_epoch: EpochHook | None = None,
    callbacks: "Sequence[Callback]" = (),
    module_type: "Callable[..., TrainingModule] | None" = None,
    backend: BackendLoop | None = None,
    ranks: Ranks = ALONE,
) -> Fit:
    """Train a model.

    Args:
        start: the untrained model and its patterns; the model is changed in place.
        folder: where `history.csv` and `checkpoints/` go; nothing is written without it.
        resume: go on from `checkpoints/last.ckpt` of the folder, to the same result as an uninterrupted run.
        on_epoch: called after every epoch.
        callbacks: further Lightning callbacks; they come after ours. With several devices only their ends of epochs are
            called, see `train_on_devices`.
        module_type: what Lightning trains, with the arguments of `TrainingModule`, which is the default; for clients
            that log under names of their own.
        backend: trains in place of Lightning; `callbacks` and `module_type` are for Lightning alone.
        ranks: processes that share every step; all have the same `start`, and all end with the same model. Only the
            first one writes and calls `on_epoch`; `resume` needs a folder that all see.

    Raises:
        ConfigError: several ranks, and a setting or a backend that does not fit them.
        RankError: another rank was refused or has ended.
    """
    model, recipe, tensors = start.model, start.recipe, start.tensors
    fitted = recipe.fitted
    assert fitted is not None
    if recipe.data.validation_fraction > 0 and not any(len(part.validation_groups) for part in start.parts):
        logger.info(
            "the validation region holds fewer patterns than a group of %d: training on all patterns",
            recipe.data.group_size,
        )
    with ranks.together():
        check_ranks(recipe, ranks)
        checkpoint = checkpoint_to_resume(folder, start) if resume else None
    _check_same(checkpoint, ranks)
    sources = [part.tensors.scan.source for part in start.parts]
    tracker = open_tracker(recipe, sources, folder, resumed=checkpoint is not None) if ranks.is_first else None
    with recorded(start, tracker) as tracking:
        told = tracking.hook(on_epoch) if ranks.is_first else None
        if backend is not None:
            history = backend(start, folder, checkpoint, told)
        else:
            history = _by_lightning(start, folder, checkpoint, told, callbacks, module_type, ranks)
        tracking.complete(history)
    scale = float(model.log_scale.detach().exp())
    fitted = fitted.changed(intensity_scale=scale, scale_correction=scale / fitted.intensity_scale)
    recipe = recipe.changed(fitted=fitted)
    logger.info("trained %d epochs", len(history.get("epoch", [])))
    unseen = unseen_pixels([part.tensors.scan for part in start.parts])
    return Fit(model.eval(), recipe, history, tensors, start.parts[0].train_groups, unseen, tracking)


def check_ranks(recipe: Recipe, ranks: Ranks) -> None:
    """Refuse a recipe that several ranks cannot train together.

    Raises:
        ConfigError: another number of devices, another backend than PyTorch, or figures during training.
    """
    devices = recipe.training.devices
    if not ranks.are_many:
        return
    if devices not in (1, ranks.count):
        raise ConfigError(
            f"training.devices must be 1 or the number of processes that were started, {ranks.count}, got {devices}; "
            "leave it out"
        )
    if recipe.backend != "pytorch":
        raise ConfigError(
            f"the backend {recipe.backend} trains in one process, but {ranks.count} were started; use "
            "--backend pytorch, or start one process"
        )
    if recipe.training.figure_epochs is not None:
        raise ConfigError(
            f"training.figure_epochs draws figures with the model of one process, but {ranks.count} were started; set "
            "it to null, or start one process"
        )


def _check_same(checkpoint: str | None, ranks: Ranks) -> None:
    """Refuse a checkpoint that only some ranks see.

    Raises:
        ConfigError: with their number.
    """
    seen = round(ranks.total(float(checkpoint is not None)))
    if seen not in (0, ranks.count):
        raise ConfigError(
            f"the checkpoint to resume must be seen by all {ranks.count} processes, but {seen} see it; put the output "
            "folder on a file system that all machines share, or train with --overwrite"
        )


def _by_lightning(
    start: Prepared,
    folder: Path | None,
    checkpoint: str | None,
    on_epoch: EpochHook | None,
    callbacks: "Sequence[Callback]",
    module_type: "Callable[..., TrainingModule] | None",
    ranks: Ranks,
) -> History:
    """Train by PyTorch, in this process, which may be one of several ranks, or in one for each device."""
    from ptychopinn.training.distributed import train_on_devices
    from ptychopinn.training.loop import train_here
    from ptychopinn.training.module import TrainingModule

    how: dict[str, Any] = {"on_epoch": on_epoch, "callbacks": callbacks, "module_type": module_type or TrainingModule}
    if ranks.are_many or start.recipe.training.devices == 1:
        history = train_here(start, folder, checkpoint, **how, ranks=ranks)
    else:
        history = train_on_devices(start, folder, checkpoint, **how)
    start.model.to(start.tensors.device)  # Lightning leaves it on the CPU
    return history
