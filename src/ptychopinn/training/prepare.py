"""All that comes before the first step: patterns, groups, probe, model, statistics."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data import cached_groups, make_groups, split_by_place, subsample
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.models import (
    PatchModel,
    build_model,
    fit_statistics,
    needs_labels,
    prepare_probe,
    scan_scale,
    with_labels,
)
from ptychopinn.reconstruction import check_one_image
from ptychopinn.training.loader import steps_in_epoch

logger = logging.getLogger("ptychopinn.training")

USUAL_EPOCHS = 60
"""Passes over a scan of some hundred patterns and more."""
FEWEST_STEPS = 900
"""Optimiser steps below which images of a small scan stay unfinished (docs/measurements.md)."""


@dataclass(frozen=True)
class Prepared:
    """An untrained model with the patterns that it will be trained on."""

    model: PatchModel
    recipe: Recipe
    """With the statistics of the training patterns."""
    tensors: ScanTensors
    """The patterns, on the device of the model; with labels where the recipe needs them."""
    train_groups: NDArray[np.int64]
    """(n_groups, G), into the patterns."""
    validation_groups: NDArray[np.int64]
    """(n_groups, G), of patterns that training never sees; none where the region is too small."""


def prepare(scan: Scan, recipe: Recipe) -> Prepared:
    """Make everything ready; whatever can be refused is refused here, and nothing is written.

    Args:
        scan: what was measured.
        recipe: without `fitted`; the result's recipe has it.

    Raises:
        PtychoPINNError: no such device or architecture, too few positions for the groups, patterns of several
            objects, no labels where they are needed, or a probe whose scale cannot be told.
    """
    config = recipe.training
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    check_one_image(scan)
    rng = np.random.default_rng(config.seed)
    scan = subsample(scan, recipe.data.n_patterns, recipe.data.subsampling, rng)
    train_groups, validation_groups = split_groups(scan, recipe)
    if needs_labels(recipe.model):
        scan = with_labels(scan, recipe.model.subpixel)
    recipe = _with_epochs(recipe, train_groups)
    tensors = ScanTensors(scan, device)
    model = _untrained(recipe, tensors)
    fitted = fit_statistics(model, tensors, train_groups)
    recipe = recipe.model_copy(update={"fitted": fitted})
    return Prepared(model, recipe, tensors, train_groups, validation_groups)


def _with_epochs(recipe: Recipe, groups: NDArray[np.int64]) -> Recipe:
    """The recipe with its number of epochs written out."""
    config = recipe.training
    if config.epochs is not None:
        return recipe
    steps = steps_in_epoch(groups, max(1, config.patterns_per_step // groups.shape[1]))
    epochs = max(USUAL_EPOCHS, math.ceil(FEWEST_STEPS / steps))
    logger.info("training %d epochs of %d steps", epochs, steps)
    return recipe.model_copy(update={"training": config.model_copy(update={"epochs": epochs})})


def _untrained(recipe: Recipe, tensors: ScanTensors) -> PatchModel:
    """The model with initial weights that the seed of the recipe alone decides."""
    probe = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("intensity scale %.4g: %s", scale, reason)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        model = build_model(recipe, probe, scale).to(tensors.device)
    return model


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
        raise ConfigError(f"training.device = {name!r} cannot be used here ({reason}); use auto or cpu") from None
    return device


def split_groups(scan: Scan, recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group tables of the training region and of the validation region, which share no pattern."""
    config = recipe.data
    rng = np.random.default_rng(recipe.training.seed)
    train, validation = split_by_place(scan.positions_px, config.validation_fraction, rng)
    if len(validation) and min(len(validation), len(train)) < config.group_size:
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
    try:
        if config.cache and Path(scan.source).is_file():
            return cached_groups(scan.source, positions, config, seed, scan_index=scan_index).index
        return make_groups(positions, config, np.random.default_rng(seed), scan_index=scan_index).index
    except ScanError as error:
        raise ScanError(f"{scan.source}: {error}") from None
