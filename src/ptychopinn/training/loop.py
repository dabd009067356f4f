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
from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy

from ptychopinn.config import Recipe
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.training.callbacks import (
    AtomicCheckpointIO,
    BestWeights,
    Checkpoints,
    HistoryRecorder,
    StageKeeper,
)
from ptychopinn.training.contrast_monitor import ContrastMonitor
from ptychopinn.training.history import EpochHook, History, HistoryTable
from ptychopinn.training.loader import Share
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
    ranks: Ranks = ALONE,
) -> History:
    """Train the model of `start` in this process, which may be one of several `ranks` with a share of each step each.

    Only the first rank writes.
    """
    recipe, config, fitted = start.recipe, start.recipe.training, start.recipe.fitted
    assert fitted is not None
    share = Share(ranks.index, ranks.count)
    module = module_type(start.model, config, fitted.mean_count, recipe.model_dump(mode="json"))
    if config.compile:
        start.model.generator.compile_networks(config.compile_mode)
    train = training_loader(start, config, lambda: module.current_epoch, share)
    validation = validation_loader(start, config, share)
    path = folder / "history.csv" if folder and config.logger != "none" and ranks.is_first else None
    table = HistoryTable(path, on_epoch, ContrastMonitor(start).measure if ranks.is_first else None)
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
        trainer = _trainer(recipe, folder, start.tensors.device, [*ours, *callbacks], progress.epochs, ranks)
        with _interrupts_pass(), ranks.watched():
            trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)
    best.restore(module)
    return table.history()


def _trainer(
    recipe: Recipe, folder: Path | None, device: torch.device, callbacks: list[Callback], epochs: int, ranks: Ranks
) -> Trainer:
    config = recipe.training
    adaptive = config.gradient_clip_algorithm == "agc"
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        **_processes(recipe, device, ranks),
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


def _processes(recipe: Recipe, device: torch.device, ranks: Ranks) -> dict[str, Any]:
    """How a trainer uses the device of this process, alone or beside the other ranks."""
    number = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    own = [number] if device.type == "cuda" else 1
    if not ranks.are_many:
        return {"devices": own, "plugins": [AtomicCheckpointIO()]}
    stages = recipe.training.stages
    labels_alone = stages.data_epochs > 0 and stages.data_loss == "labels"
    unused = recipe.model.kind == "supervised" or labels_alone  # labels say nothing of a trainable probe
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=unused)
    plugins = [AtomicCheckpointIO(), _StartedRanks(ranks)]
    return {"devices": own, "num_nodes": ranks.count, "strategy": strategy, "plugins": plugins}


class _StartedRanks(ClusterEnvironment):
    """Tells Lightning of ranks that are connected already.

    To Lightning each rank is a machine with one device, so that machines may run different numbers of processes.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning starts no process."""
        return True

    @property
    def main_address(self) -> str:
        """Not used: the connection exists."""
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        """Not used either."""
        return int(os.environ.get("MASTER_PORT", "0"))

    @staticmethod
    def detect() -> bool:
        """Only used where it is given."""
        return False

    def world_size(self) -> int:
        """Ranks in all."""
        return self._ranks.count

    def set_world_size(self, size: int) -> None:
        """Fixed."""

    def global_rank(self) -> int:
        """Number of this rank."""
        return self._ranks.index

    def set_global_rank(self, rank: int) -> None:
        """Fixed."""

    def local_rank(self) -> int:
        """The only one of its machine."""
        return 0

    def node_rank(self) -> int:
        """Number of this rank."""
        return self._ranks.index


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
