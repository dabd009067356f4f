"""All that comes before the first step: patterns, groups, probe, model, statistics."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import DataConfig, Recipe
from ptychopinn.data import cached_groups, check_sizes, inside_bounds, make_groups, split_by_place, subsample
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import check_precision, choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.propagation import with_geometry
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.generators import weights_of_parts
from ptychopinn.losses import data_terms, penalty_terms
from ptychopinn.models import (
    PatchModel,
    build_model,
    fit_statistics,
    labels_for,
    needs_labels,
    prepare_probe,
    scan_scale,
    with_labels,
)
from ptychopinn.training.loader import steps_in_epoch
from ptychopinn.training.loggers import check_logger
from ptychopinn.training.stages import StageProgress
from ptychopinn.training.start import TrainedStart

logger = logging.getLogger("ptychopinn.training")

USUAL_EPOCHS = 60
"""Passes over a scan of some hundred patterns and more."""
FEWEST_STEPS = 900
"""Optimiser steps below which images of a small scan stay unfinished (docs/dev/laboratory_notes.md)."""
FINE_TUNING = 0.1
"""Part of the epochs of a training from random weights that a training from trained weights takes."""


@dataclass(frozen=True)
class Part:
    """One scan of a training run."""

    tensors: ScanTensors
    """Its patterns, on the device of the model; with labels where the recipe needs them."""
    train_groups: NDArray[np.int64]
    """(n_groups, G), into the patterns."""
    validation_groups: NDArray[np.int64]
    """(n_groups, G), of patterns that training never sees; none where the region is too small."""


@dataclass(frozen=True)
class Prepared:
    """An untrained model with the scans that it will be trained on."""

    model: PatchModel
    """With the beam of the first scan."""
    recipe: Recipe
    """With the statistics of the training patterns."""
    parts: tuple[Part, ...]
    """The scans; all but the first carry a beam of their own."""

    @property
    def tensors(self) -> ScanTensors:
        """The first scan."""
        return self.parts[0].tensors


def prepare(scan: Scan | Sequence[Scan], recipe: Recipe) -> Prepared:
    """Make everything ready; whatever can be refused is refused here, and nothing is written.

    Args:
        scan: what was measured; several scans, each with its own beam, dose and sample, train one model.
        recipe: without `fitted`; the result's recipe has it.

    Raises:
        PtychoPINNError: no such device, architecture, loss or penalty, too few positions for the groups, patterns of
            several objects, no labels where they are needed, a probe whose scale cannot be determined, scans that
            cannot be trained on together, or a trained model to start from that does not fit.
    """
    start, earlier = _without_statistics([scan] if isinstance(scan, Scan) else list(scan), recipe)
    normalised_by = None if earlier is None else earlier.into(start.model)
    fitted = fit_statistics(start.model, [(part.tensors, part.train_groups) for part in start.parts], normalised_by)
    fitted = fitted.changed(started_from=None if earlier is None else earlier.label)
    return Prepared(start.model, start.recipe.changed(fitted=fitted), start.parts)


def check_trainable(scan: Scan, recipe: Recipe) -> None:
    """Refuse what `prepare` refuses, without its pass over the patterns.

    Raises:
        PtychoPINNError: see `prepare`.
    """
    _without_statistics([scan], recipe)


def _without_statistics(scans: Sequence[Scan], recipe: Recipe) -> tuple[Prepared, TrainedStart | None]:
    config = recipe.training
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    check_precision(config.precision, device)
    _check_devices(device, config.devices)
    data_terms(recipe.model.loss)
    penalty_terms(recipe.model.loss)
    _check_together(scans, recipe)
    earlier = None if config.start_from is None else TrainedStart.of(config.start_from)
    if earlier is not None:
        earlier.check(recipe, scans)
    for one in scans:
        recipe = with_geometry(recipe, one)
    recipe = _with_data_loss(recipe, scans)
    rng = np.random.default_rng(config.seed)
    parts = tuple(_part(one, recipe, rng, device) for one in scans)
    check_logger(config, len(parts[0].tensors))
    recipe = _with_epochs(recipe, [part.train_groups for part in parts])
    model = _untrained(recipe, parts[0].tensors)
    if StageProgress(recipe.training).has_parts:
        weights_of_parts(model.generator)
    for part in parts[1:]:
        _carry_beam(recipe, part, device)
    return Prepared(model, recipe, parts), earlier


def with_some_validation(start: Prepared) -> Prepared:
    """The same with at least one group for validation: where the region was too small, groups of the training.

    For callers that show a validation loss after every epoch.
    """
    if any(len(part.validation_groups) for part in start.parts):
        return start
    logger.warning("too few patterns for a validation region: the validation loss is that of training patterns")
    first, *others = start.parts
    return replace(start, parts=(replace(first, validation_groups=first.train_groups), *others))


def used_patterns(scan: Scan, recipe: Recipe) -> Scan:
    """The patterns of a scan that `data.n_patterns` asks for; `prepare` draws the same ones."""
    data = recipe.data
    return subsample(scan, data.n_patterns, data.subsampling, np.random.default_rng(recipe.training.seed))


def _part(scan: Scan, recipe: Recipe, rng: np.random.Generator, device: torch.device) -> Part:
    check_one_image(scan, recipe.model.propagation)
    scan = subsample(scan, recipe.data.n_patterns, recipe.data.subsampling, rng)
    train_groups, validation_groups = split_groups(scan, recipe)
    stages = recipe.training.stages
    if needs_labels(recipe.model) or (_compares_data(recipe) and stages.data_loss == "labels"):
        scan = with_labels(scan, recipe.model.subpixel)
    return Part(ScanTensors(scan, device), train_groups, validation_groups)


def _compares_data(recipe: Recipe) -> bool:
    """Whether a stage of the training minimises the data loss."""
    stages = recipe.training.stages
    return stages.data_epochs + stages.transition_epochs > 0


def _with_data_loss(recipe: Recipe, scans: Sequence[Scan]) -> Recipe:
    """The recipe with the loss of the first stage written out: labels where every scan has them."""
    training = recipe.training
    if not _compares_data(recipe) or training.stages.data_loss != "auto":
        return recipe
    try:
        for scan in scans:
            labels_for(scan, recipe.model.subpixel)
        chosen, reason = "labels", "every scan has them"
    except ScanError as error:
        chosen, reason = "amplitude", str(error).partition(";")[0]
    logger.info("loss of the first stage: %s (%s)", chosen, reason)
    return recipe.changed(training=training.changed(stages=training.stages.changed(data_loss=chosen)))


def _check_together(scans: Sequence[Scan], recipe: Recipe) -> None:
    """Refuse scans that one model cannot be trained on.

    Raises:
        ScanError: none, or patterns of different sizes.
        ConfigError: a probe, a scale or positions that are fitted, where each scan has its own.
    """
    if not scans:
        raise ScanError("no scan was given; training needs one at least")
    check_sizes(scans)
    positions = recipe.model.positions.trainable
    if positions and (len(scans) > 1 or recipe.training.mirror):
        raise ConfigError(
            "model.positions.trainable fits the positions of one scan, as it was recorded; this needs one scan and "
            "training.mirror=false, so set model.positions.trainable=false or change these"
        )
    fitted = recipe.model.probe.trainable or recipe.model.intensity_scale == "trainable"
    if len(scans) > 1 and fitted:
        raise ConfigError(
            f"{len(scans)} scans are trained on together, each with its own beam, which cannot be fitted then; "
            "set model.probe.trainable=false and model.intensity_scale=auto, or train on one scan"
        )


def _carry_beam(recipe: Recipe, part: Part, device: torch.device) -> None:
    """Give the patterns of a further scan its own probe, in sqrt(photons), and mean count."""
    tensors = part.tensors
    probe = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("%s: intensity scale %.4g: %s", tensors.scan.source, scale, reason)
    tensors.probe = (probe * scale).to(device)
    tensors.batch_mean_count = tensors.mean_count(np.unique(part.train_groups))


def _check_devices(device: torch.device, count: int) -> None:
    """Refuse more processes than there are devices; of CPUs there are always enough.

    Raises:
        ConfigError: with both numbers.
    """
    if device.type == "cpu":
        return
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if count > there:
        raise ConfigError(f"training.devices is {count} but there are {there} {device.type} devices; lower it")


def _with_epochs(recipe: Recipe, tables: Sequence[NDArray[np.int64]]) -> Recipe:
    """The recipe with its number of epochs written out."""
    config = recipe.training
    if config.stages.epochs:
        return recipe.changed(training=config.changed(epochs=config.stages.epochs))
    if config.epochs is not None or (config.fine_tune.staged and config.start_from is not None):
        return recipe
    steps = sum(steps_in_epoch(groups, max(1, config.patterns_per_step // groups.shape[1])) for groups in tables)
    epochs = max(USUAL_EPOCHS, math.ceil(FEWEST_STEPS / steps))
    if config.start_from is not None:
        epochs = math.ceil(FINE_TUNING * epochs)
    logger.info("training %d epochs of %d steps", epochs, steps)
    return recipe.changed(training=config.changed(epochs=epochs))


def _untrained(recipe: Recipe, tensors: ScanTensors) -> PatchModel:
    """The model with initial weights that the seed of the recipe alone decides."""
    probe = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("intensity scale %.4g: %s", scale, reason)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        model = build_model(recipe, probe, scale).to(tensors.device)
    if recipe.model.positions.trainable:
        model.fit_positions(len(tensors)).remember(tensors.scan)
    return model


def split_groups(scan: Scan, recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group tables of the training region and of the validation region, which share no pattern.

    Validation has one group for every pattern of its region, however many training draws.
    """
    config = recipe.data
    rng = np.random.default_rng(recipe.training.seed)
    inside = inside_bounds(scan.positions_px, config.bounds_y, config.bounds_x)
    train, validation = split_by_place(scan.positions_px[inside], config.validation_fraction, rng)
    train, validation = inside[train], inside[validation]
    if len(validation) and min(len(validation), len(train)) < config.group_size:
        train, validation = inside, validation[:0]
    once = config.changed(n_groups=None, groups_per_pattern=1)
    seed = recipe.training.seed
    return _groups(scan, train, config, seed), _groups(scan, validation, once, seed)


def _groups(scan: Scan, part: NDArray[np.int64], config: DataConfig, seed: int) -> NDArray[np.int64]:
    """Group table (n_groups, G) of one part of the scan."""
    if len(part) == 0:
        return np.empty((0, config.group_size), dtype=np.int64)
    positions = scan.positions_px[part]
    scan_index = None if scan.scan_index is None else scan.scan_index[part]
    try:
        if config.cache and Path(scan.source).is_file():
            return part[cached_groups(scan.source, positions, config, seed, scan_index=scan_index).index]
        return part[make_groups(positions, config, np.random.default_rng(seed), scan_index=scan_index).index]
    except ScanError as error:
        raise ScanError(f"{scan.source}: {error}") from None
