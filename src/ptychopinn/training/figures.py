"""Figures of a network that is still being trained, of the (first) training scan."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import TrainingConfig
from ptychopinn.models import TrainedModel
from ptychopinn.plotting import PredictedPatch, figure_patches, figure_reconstruction
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training.figure_names import IMAGE, PATCHES
from ptychopinn.training.prepare import Prepared


def figures_so_far(start: Prepared, done: int) -> Iterator[tuple[str, Any]]:
    """What the model as it is makes of the first scan, after `done` epochs; each figure by its name.

    The image is stitched from `training.figure_patterns` patterns, and patches of `training.figure_patches` or
    `training.figure_indices` follow.
    """
    config, model = start.recipe.training, start.model
    is_training, title = model.training, f"After {done} epochs"
    recipe = start.recipe.with_overrides(["reconstruction.physics_steps=null"])
    made = Reconstructor.for_scan(TrainedModel(model, recipe), start.tensors, probe="model")
    try:
        if config.figure_patterns != 0:
            image, _ = made.with_groups(_some(made.groups, config.figure_patterns)).image()
            yield IMAGE, figure_reconstruction(image, title=title)
        chosen = chosen_patterns(config, len(start.tensors))
        if chosen:
            yield PATCHES, figure_patches(_patches(made, chosen), title)
    finally:
        model.train(is_training)


def chosen_patterns(config: TrainingConfig, count: int) -> tuple[int, ...]:
    """Numbers of the patterns of a scan of `count` whose patches are drawn."""
    return config.figure_indices or tuple(int(one) for one in _some(np.arange(count), config.figure_patches))


def _some(values: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """At most so many rows, spread evenly."""
    if most is None or most >= len(values):
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(np.int64)]


def _patches(made: Reconstructor, numbers: tuple[int, ...]) -> list[PredictedPatch]:
    rows = np.array([int(np.flatnonzero((made.groups == one).any(1))[0]) for one in numbers])
    patches, powers = made.with_groups(made.groups[rows]).patches()
    found = []
    for row, one in enumerate(numbers):
        place = int(np.flatnonzero(made.groups[rows[row]] == one)[0])
        counts = made.tensors.counts_of(slice(one, one + 1))[0].cpu().numpy()
        found.append(PredictedPatch(one, counts, patches[row, place], powers[row, place]))
    return found
