"""Fit a model to a scan."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.models import PatchModel, TrainedModel, unseen_pixels
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
    """
    model, recipe, tensors = start.model, start.recipe, start.tensors
    fitted = recipe.fitted
    assert fitted is not None
    if recipe.data.validation_fraction > 0 and not any(len(part.validation_groups) for part in start.parts):
        logger.info(
            "the validation region holds fewer patterns than a group of %d: training on all patterns",
            recipe.data.group_size,
        )
    checkpoint = checkpoint_to_resume(folder, start) if resume else None
    sources = [part.tensors.scan.source for part in start.parts]
    tracker = open_tracker(recipe, sources, folder, resumed=checkpoint is not None)
    with recorded(start, tracker) as tracking:
        told = tracking.hook(on_epoch)
        if backend is not None:
            history = backend(start, folder, checkpoint, told)
        else:
            history = _by_lightning(start, folder, checkpoint, told, callbacks, module_type)
        tracking.complete(history)
    scale = float(model.log_scale.detach().exp())
    fitted = fitted.changed(intensity_scale=scale, scale_correction=scale / fitted.intensity_scale)
    recipe = recipe.changed(fitted=fitted)
    logger.info("trained %d epochs", len(history.get("epoch", [])))
    unseen = unseen_pixels([part.tensors.scan for part in start.parts])
    return Fit(model.eval(), recipe, history, tensors, start.parts[0].train_groups, unseen, tracking)


def _by_lightning(
    start: Prepared,
    folder: Path | None,
    checkpoint: str | None,
    on_epoch: EpochHook | None,
    callbacks: "Sequence[Callback]",
    module_type: "Callable[..., TrainingModule] | None",
) -> History:
    """Train by PyTorch, in this process or in one for each device."""
    from ptychopinn.training.distributed import train_on_devices
    from ptychopinn.training.loop import train_here
    from ptychopinn.training.module import TrainingModule

    train = train_here if start.recipe.training.devices == 1 else train_on_devices
    history = train(
        start, folder, checkpoint, on_epoch=on_epoch, callbacks=callbacks, module_type=module_type or TrainingModule
    )
    start.model.to(start.tensors.device)  # Lightning leaves it on the CPU
    return history
