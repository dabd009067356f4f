"""Fit a model to a scan."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data import cached_groups, make_groups, split_by_place, subsample
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.generators import resolve
from ptychopinn.models import (
    PatchModel,
    build_model,
    fit_statistics,
    needs_labels,
    prepare_probe,
    scan_scale,
    with_labels,
)
from ptychopinn.training.callbacks import AtomicCheckpointIO, BestWeights, EpochHook, History, HistoryRecorder
from ptychopinn.training.loader import GroupLoader
from ptychopinn.training.module import TrainingModule
from ptychopinn.training.resume import checkpoint_to_resume

logger = logging.getLogger("ptychopinn.training")


@dataclass(frozen=True)
class Fit:
    """A trained model and how it came to be."""

    model: PatchModel
    recipe: Recipe
    """With the statistics that training measured."""
    history: History
    tensors: ScanTensors
    """The training scan, on the device of the model."""
    groups: NDArray[np.int64]
    """Group table of the training patterns."""


@dataclass(frozen=True)
class TrainingData:
    """The patterns that a recipe trains on, in groups."""

    scan: Scan
    """Sub-sampled, with labels where the recipe needs them."""
    train_groups: NDArray[np.int64]
    """(n_groups, G), into the scan."""
    validation_groups: NDArray[np.int64]
    """(n_groups, G), of patterns that training never sees; none where the region is too small."""


def training_data(scan: Scan, recipe: Recipe) -> TrainingData:
    """Choose patterns, labels and groups; refuses all that training could refuse later.

    Raises:
        PtychoPINNError: no such device or architecture, too few positions for the groups, or no labels.
    """
    choose_device(recipe.training.device)
    resolve(recipe.model.generator.architecture)
    rng = np.random.default_rng(recipe.training.seed)
    scan = subsample(scan, recipe.data.n_patterns, recipe.data.subsampling, rng)
    if needs_labels(recipe.model):
        scan = with_labels(scan, recipe.model.subpixel)
    return TrainingData(scan, *split_groups(scan, recipe))


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"training.device = {name!r} cannot be used here ({reason}); use auto or cpu"
        ) from None
    return device


def fit(
    scan: Scan | TrainingData,
    recipe: Recipe,
    folder: Path | None = None,
    *,
    resume: bool = False,
    tell: EpochHook | None = None,
) -> Fit:
    """Train the model of a recipe on a scan.

    Args:
        scan: what was measured, or what `training_data` made of it and the recipe.
        recipe: without `fitted`; the result's recipe has it.
        folder: where `history.csv` and `checkpoints/` go; nothing is written without it.
        resume: go on from `checkpoints/last.ckpt` of the folder, to the same result as an uninterrupted run.
        tell: called after every epoch.
    """
    config = recipe.training
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    data = scan if isinstance(scan, TrainingData) else training_data(scan, recipe)
    scan, train_groups, validation_groups = data.scan, data.train_groups, data.validation_groups
    tensors = ScanTensors(scan, device)
    probe = prepare_probe(scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("intensity scale %.4g: %s", scale, reason)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(recipe, probe, scale).to(device)
    model.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fitted = fit_statistics(model, tensors, train_groups)
    recipe = recipe.model_copy(update={"fitted": fitted})
    module = TrainingModule(model, config, fitted.mean_count, recipe.model_dump(mode="json"))
    if config.compile:
        model.generator.network.compile()
    train = GroupLoader(
        tensors, train_groups, config.patterns_per_step, config.seed, epoch=lambda: module.current_epoch
    )
    validation = (
        GroupLoader(tensors, validation_groups, config.patterns_per_step) if len(validation_groups) else None
    )
    recorder = HistoryRecorder(folder / "history.csv" if folder else None, tell)
    monitor = "val_loss" if validation is not None else "train_loss"
    best = BestWeights(monitor)
    callbacks: list[Callback] = [recorder]
    if config.early_stop_patience is not None:
        callbacks += [best, EarlyStopping(monitor, patience=config.early_stop_patience)]
    checkpoint = checkpoint_to_resume(folder, recipe) if resume else None
    with _quiet_lightning():
        trainer = _trainer(recipe, folder, device, callbacks, monitor)
        with _interrupts_pass():
            trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)
    best.restore(module)
    model.to(device)  # Lightning leaves it on the CPU
    fitted = fitted.model_copy(update={"intensity_scale": float(model.log_scale.exp())})
    recipe = recipe.model_copy(update={"fitted": fitted})
    return Fit(model.eval(), recipe, recorder.history(), tensors, train_groups)


def split_groups(scan: Scan, recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group tables of the training region and of the validation region, which share no pattern."""
    config = recipe.data
    rng = np.random.default_rng(recipe.training.seed)
    train, validation = split_by_place(scan.positions_px, config.validation_fraction, rng)
    if len(validation) and min(len(validation), len(train)) < config.group_size:
        logger.warning(
            "a validation region of %d patterns is smaller than a group of %d: training on all patterns",
            len(validation),
            config.group_size,
        )
        train, validation = np.arange(len(scan)), validation[:0]
    tables = []
    for part in (train, validation):
        if len(part) == 0:
            tables.append(np.empty((0, config.group_size), dtype=np.int64))
            continue
        index = None if scan.scan_index is None else scan.scan_index[part]
        tables.append(part[_groups(scan, part, recipe, index)])
    return tables[0], tables[1]


def _groups(
    scan: Scan, part: NDArray[np.int64], recipe: Recipe, scan_index: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Group table (n_groups, G) into the positions of one part of the scan."""
    positions, config, seed = scan.positions_px[part], recipe.data, recipe.training.seed
    if config.cache and Path(scan.source).is_file():
        return cached_groups(scan.source, positions, config, seed, scan_index=scan_index).index
    return make_groups(positions, config, np.random.default_rng(seed), scan_index=scan_index).index


def _trainer(
    recipe: Recipe, folder: Path | None, device: torch.device, callbacks: list[Callback], monitor: str
) -> Trainer:
    config = recipe.training
    if folder is not None:
        checkpoints = ModelCheckpoint(
            folder / "checkpoints",
            filename="best",
            monitor=monitor,
            save_last=True,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        callbacks = [*callbacks, checkpoints]
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=config.epochs,
        gradient_clip_val=config.gradient_clip,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


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
