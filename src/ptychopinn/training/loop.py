"""The loop of one process: loaders, callbacks and the Lightning trainer."""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from ptychopinn.config import Recipe
from ptychopinn.training.callbacks import (
    AtomicCheckpointIO,
    BestWeights,
    Checkpoints,
    HistoryRecorder,
    StageKeeper,
)
from ptychopinn.training.contrast_monitor import ContrastMonitor
from ptychopinn.training.history import EpochHook, History, HistoryTable
from ptychopinn.training.loader import WHOLE, Share
from ptychopinn.training.loaders import training_loader, validation_loader
from ptychopinn.training.module import TrainingModule
from ptychopinn.training.prepare import Prepared
from ptychopinn.training.resume import identity_of

_CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Variable of the environment that makes matrix products on a GPU deterministic."""


def train_here(
    start: Prepared,
    folder: Path | None,
    checkpoint: str | None,
    *,
    on_epoch: EpochHook | None,
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
    train = training_loader(start, config, lambda: module.current_epoch, share)
    validation = validation_loader(start, config, share)
    path = folder / "history.csv" if folder and config.logger != "none" and share.index == 0 else None
    table = HistoryTable(path, on_epoch, ContrastMonitor(start).measure if share.index == 0 else None)
    monitor = "train_loss" if validation is None or config.monitor == "train_loss" else "val_loss"
    progress = module.progress
    best = BestWeights(monitor, progress)
    ours: list[Callback] = [HistoryRecorder(table)]
    if progress.is_divided:
        ours += [StageKeeper(progress, monitor)]
    if any(stage.patience is not None for stage in progress.plan):
        ours += [best]
    if config.early_stop_patience is not None and not progress.is_divided:
        ours += [EarlyStopping(monitor, patience=config.early_stop_patience)]
    with _quiet_lightning(), _process_settings_kept():
        if folder is not None and config.checkpoints:
            ours.append(Checkpoints(folder, monitor, identity_of(start), config.checkpoints, progress))
        trainer = _trainer(recipe, folder, start.tensors.device, [*ours, *callbacks], progress.epochs)
        with _interrupts_pass():
            trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)
    best.restore(module)
    return table.history()


def _trainer(
    recipe: Recipe, folder: Path | None, device: torch.device, callbacks: list[Callback], epochs: int
) -> Trainer:
    config = recipe.training
    adaptive = config.gradient_clip_algorithm == "agc"
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        **_processes(recipe, device),
        max_epochs=epochs,
        accumulate_grad_batches=config.accumulate_steps,
        gradient_clip_val=None if adaptive else config.gradient_clip,
        gradient_clip_algorithm=None if adaptive else config.gradient_clip_algorithm,
        deterministic="warn" if config.deterministic else None,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=folder is not None and config.checkpoints > 0,
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
    stages = recipe.training.stages
    labels_alone = stages.data_epochs > 0 and stages.data_loss == "labels"
    unused = recipe.model.kind == "supervised" or labels_alone  # labels say nothing of a trainable probe
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
def _process_settings_kept() -> Iterator[None]:
    """Put back what Lightning sets for the whole process where `training.deterministic` is true."""
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(_CUBLAS_WORKSPACE)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        if workspace is None:
            os.environ.pop(_CUBLAS_WORKSPACE, None)


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
