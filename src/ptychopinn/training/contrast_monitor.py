"""Contrast and coverage of the image during training, measured every few epochs at little cost."""

import logging
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.generators import Generator
from ptychopinn.models import TrainedModel
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training.collapse import contrast_and_coverage
from ptychopinn.training.loader import steps_in_epoch
from ptychopinn.training.prepare import Part, Prepared

logger = logging.getLogger("ptychopinn.training")

PATTERNS = (16, 128)
"""Least and largest number of patterns that are measured; between them a quarter of those trained on."""
LARGEST_SHARE = 0.02
"""Of the work of training."""
TRAINING_PASSES = 3
"""A trained pattern costs about three predicted ones: forwards, and backwards twice."""
UNROLLED_PASSES = 1
"""The same for a generator that is mostly a solver, which nothing goes backwards through."""


class ContrastMonitor:
    """Predicts and stitches the patterns nearest to the middle of the first scan, every few epochs and at the end.

    So many epochs lie between two measurements that these take at most 2 % of the work of training. Random generators
    are not used, so that measurements do not change the training.
    """

    def __init__(self, start: Prepared) -> None:
        self._recipe = start.recipe.with_overrides(["reconstruction.physics_steps=null"])
        self._model = start.model
        self._tensors, self._groups = _middle(start.parts[0], start.recipe)
        self.interval = _interval(
            self._groups.size, [part.train_groups for part in start.parts], start.recipe, start.model.generator
        )

    def measure(self, done: int, last: bool) -> dict[str, float]:
        """Columns of the history (see `contrast_and_coverage`) after `done` epochs; empty where none is due."""
        if done % self.interval and not last:
            return {}
        found = self._columns()
        logger.info(
            "epoch %d: amplitude contrast %.3g, phase %.3g rad, %.0f %% covered, on %d patterns",
            done,
            found["contrast_amplitude"],
            found["contrast_phase_rad"],
            100 * found["coverage"],
            len(self._tensors),
        )
        return found

    def _columns(self) -> dict[str, float]:
        training = self._model.training
        so_far = TrainedModel(self._model, self._recipe)
        image, _ = Reconstructor.for_scan(so_far, self._tensors, probe="model", groups=self._groups).image()
        self._model.train(training)
        return contrast_and_coverage(image)


def _middle(part: Part, recipe: Recipe) -> tuple[ScanTensors, NDArray[np.int64]]:
    """The patterns of those training groups that lie nearest to the middle of the scan, and their group table."""
    scan, groups = part.tensors.scan, part.train_groups
    if recipe.model.generator.grouping == "single":
        groups = np.unique(groups)[:, None]
    middle = (scan.positions_px.min(axis=0) + scan.positions_px.max(axis=0)) / 2
    far = np.abs(scan.positions_px[groups].mean(axis=1) - middle).max(axis=1)
    wanted = int(np.clip(groups.size // 4, *PATTERNS))
    kept = groups[np.argsort(far, kind="stable")][: -(-wanted // groups.shape[1])]
    patterns, index = np.unique(kept, return_inverse=True)
    small = replace(scan.select(patterns), object_guess=None, truth_patches=None)
    return ScanTensors(small, part.tensors.device), index.reshape(kept.shape)


def _interval(predicted: int, tables: list[NDArray[np.int64]], recipe: Recipe, generator: Generator) -> int:
    """Epochs between two measurements of so many patterns."""
    trained = 0
    for table in tables:
        per_step = max(1, recipe.training.patterns_per_step // table.shape[1])
        trained += steps_in_epoch(table, per_step) * per_step * table.shape[1]
    passes = TRAINING_PASSES if generator.scene_solver is None else UNROLLED_PASSES
    return math.ceil(predicted / (LARGEST_SHARE * passes * trained))
