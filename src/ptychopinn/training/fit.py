"""Fit a model to a scan."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray

from ptychopinn.config import Recipe, TrainingConfig
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.models import PatchModel
from ptychopinn.training.callbacks import (
    AtomicCheckpointIO,
    BestWeights,
    Checkpoints,
    EpochHook,
    History,
    HistoryRecorder,
)
from ptychopinn.training.distributed import train_on_devices
from ptychopinn.training.loader import WHOLE, GroupLoader, InterleavedLoader, Share
from ptychopinn.training.module import TrainingModule
from ptychopinn.training.prepare import Prepared, prepare
from ptychopinn.training.resume import checkpoint_to_resume, identity_of
from ptychopinn.training.watch import Watch

logger = logging.getLogger("ptychopinn.training")


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
    """Group table of the training patterns."""


def fit(
    scan: Scan | Sequence[Scan],
    recipe: Recipe,
    folder: Path | None = None,
    *,
    resume: bool = False,
    tell: EpochHook | None = None,
) -> Fit:
    """Train the model of a recipe on a scan, or several: `fit_prepared` of what `prepare` makes of them."""
    return fit_prepared(prepare(scan, recipe), folder, resume=resume, tell=tell)


def fit_prepared(
    start: Prepared,
    folder: Path | None = None,
    *,
    resume: bool = False,
    tell: EpochHook | None = None,
    callbacks: Sequence[Callback] = (),
    module_type: Callable[..., TrainingModule] = TrainingModule,
) -> Fit:
    """Train a model.

    Args:
        start: the untrained model and its patterns; the model is changed in place.
        folder: where `history.csv` and `checkpoints/` go; nothing is written without it.
        resume: go on from `checkpoints/last.ckpt` of the folder, to the same result as an uninterrupted run.
        tell: called after every epoch.
        callbacks: further Lightning callbacks; they come after ours. With several devices only their ends of epochs are
            called, see `train_on_devices`.
        module_type: what Lightning trains, with the arguments of `TrainingModule`; for clients that log under names of
            their own.
    """
    model, recipe, tensors = start.model, start.recipe, start.tensors
    fitted = recipe.fitted
    assert fitted is not None
    if recipe.data.validation_fraction > 0 and not any(len(part.validation_groups) for part in start.parts):
        logger.warning(
            "the validation region holds fewer patterns than a group of %d: training on all patterns",
            recipe.data.group_size,
        )
    checkpoint = checkpoint_to_resume(folder, start) if resume else None
    train = train_here if recipe.training.devices == 1 else train_on_devices
    history = train(start, folder, checkpoint, tell=tell, callbacks=callbacks, module_type=module_type)
    model.to(tensors.device)  # Lightning leaves it on the CPU
    scale = float(model.log_scale.detach().exp())
    fitted = fitted.model_copy(update={"intensity_scale": scale, "scale_correction": scale / fitted.intensity_scale})
    recipe = recipe.model_copy(update={"fitted": fitted})
    logger.info("trained %d epochs", len(history.get("epoch", [])))
    return Fit(model.eval(), recipe, history, tensors, start.parts[0].train_groups)


def train_here(
    start: Prepared,
    folder: Path | None,
    checkpoint: str | None,
    *,
    tell: EpochHook | None,
    callbacks: Sequence[Callback],
    module_type: Callable[..., TrainingModule],
    share: Share = WHOLE,
) -> History:
    """Train the model of `start` in this process, which may be one of several with a `share` of each step."""
    recipe, config, fitted = start.recipe, start.recipe.training, start.recipe.fitted
    assert fitted is not None
    module = module_type(start.model, config, fitted.mean_count, recipe.model_dump(mode="json"))
    if config.compile:
        start.model.generator.compile_networks()
    train = _training_loader(start, config, lambda: module.current_epoch, share)
    validation = _validation_loader(start, config, share)
    table = folder / "history.csv" if folder and config.logger != "none" and share.index == 0 else None
    recorder = HistoryRecorder(table, tell, Watch(start).look if share.index == 0 else None)
    monitor = "train_loss" if validation is None else "val_loss"
    best = BestWeights(monitor)
    ours: list[Callback] = [recorder]
    if config.early_stop_patience is not None:
        ours += [best, EarlyStopping(monitor, patience=config.early_stop_patience)]
    with _quiet_lightning():
        if folder is not None:
            ours.append(Checkpoints(folder, monitor, identity_of(start)))
        trainer = _trainer(recipe, folder, start.tensors.device, [*ours, *callbacks])
        with _interrupts_pass():
            trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)
    best.restore(module)
    return recorder.history()


def _training_loader(
    start: Prepared, config: TrainingConfig, epoch: Callable[[], int], share: Share
) -> Iterable[Batch]:
    per_step, seed, mirror, hidden = config.patterns_per_step, config.seed, config.mirror, config.thinning
    loaders = [
        GroupLoader(part.tensors, part.train_groups, per_step, seed, epoch, mirror, share, hidden)
        for part in start.parts
    ]
    return loaders[0] if len(loaders) == 1 else InterleavedLoader(loaders, config.seed, epoch)


def _validation_loader(start: Prepared, config: TrainingConfig, share: Share) -> Iterable[Batch] | None:
    loaders = [
        GroupLoader(part.tensors, part.validation_groups, config.patterns_per_step, share=share, hidden=config.thinning)
        for part in start.parts
        if len(part.validation_groups)
    ]
    if len(loaders) < 2:
        return loaders[0] if loaders else None
    return InterleavedLoader(loaders)


def _trainer(recipe: Recipe, folder: Path | None, device: torch.device, callbacks: list[Callback]) -> Trainer:
    config = recipe.training
    adaptive = config.gradient_clip_algorithm == "agc"
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        **_processes(recipe, device),
        max_epochs=config.epochs,
        accumulate_grad_batches=config.accumulate_steps,
        gradient_clip_val=None if adaptive else config.gradient_clip,
        gradient_clip_algorithm=None if adaptive else config.gradient_clip_algorithm,
        deterministic="warn" if config.deterministic else None,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name="tensorboard") if folder and config.logger == "tensorboard" else False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def _processes(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """How a trainer uses its device, alone or beside other processes that were started for it."""
    count = recipe.training.devices
    if count == 1:
        alone = [device.index or 0] if device.type == "cuda" else 1
        return {"devices": alone, "plugins": [AtomicCheckpointIO()]}
    unused = recipe.model.kind == "supervised"  # labels say nothing of a trainable probe
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=unused)
    return {"devices": count, "strategy": strategy, "plugins": [AtomicCheckpointIO(), LightningEnvironment()]}


@contextmanager
def _interrupts_pass() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, as any library does; Lightning ends the process instead."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's tips, banners and advice out of our log while it runs."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
