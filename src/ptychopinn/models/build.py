"""From a recipe to an untrained model, and the statistics that its input is normalised by."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.models.base import PatchModel
from ptychopinn.models.pinn import PtychoPINN
from ptychopinn.models.supervised import Supervised

_KINDS: dict[str, type[PatchModel]] = {"pinn": PtychoPINN, "supervised": Supervised}
_STATISTICS_PATTERNS = 1024


def build_model(recipe: Recipe, probe: Tensor, scale: float = 1.0) -> PatchModel:
    """An untrained model; initial weights come from torch's global generator, which the caller seeds."""
    model = _KINDS[recipe.model.kind](recipe, probe, scale)
    model.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


@torch.no_grad()
def fit_statistics(
    model: PatchModel,
    parts: Sequence[tuple[ScanTensors, NDArray[np.int64]]],
    normalised_by: tuple[float, float] | None = None,
) -> FittedStatistics:
    """Measure, on the training groups of each scan, what the input is normalised by, and freeze it in the generator.

    The mean is not subtracted from the back-projected input, which is zero where the object is 1. Counts and scale
    are those of the first scan.

    Args:
        model: with the beam of the first scan.
        parts: each scan with its group table (n_groups, G).
        normalised_by: mean and deviation that trained weights expect; they are used in place of measured ones.
    """
    mean, deviation = normalised_by or _input_statistics(model, parts)
    tensors, groups = parts[0]
    if not deviation > 0:
        raise ScanError(
            f"{tensors.scan.source}: every input of the network is the same number; check patterns and probe"
        )
    if model.config.generator.input == "back_projected" and normalised_by is None:
        mean = 0.0
    model.generator.normalise_by(mean, deviation)
    return FittedStatistics(
        pattern_size=tensors.pattern_size,
        input_mean=mean,
        input_deviation=deviation,
        mean_count=tensors.mean_count(np.unique(groups)),
        intensity_scale=float(model.log_scale.exp()),
        n_patterns=sum(len(np.unique(table)) for _, table in parts),
        probe_estimated=tensors.scan.probe_estimated,
    )


def _input_statistics(model: PatchModel, parts: Sequence[tuple[ScanTensors, NDArray[np.int64]]]) -> tuple[float, float]:
    """Mean and deviation of the network's input over some groups from all over the tables."""
    step = max(1, sum(groups.size for _, groups in parts) // _STATISTICS_PATTERNS)
    batches = (batch for tensors, groups in parts for batch in tensors.batches(groups[::step], 1))
    inputs = (model.generator.network_input(model.view(batch)) for batch in batches)
    moments = [(float(values.mean()), float(values.var(correction=0))) for values in inputs]
    means, variances = np.array(moments).T
    return float(means.mean()), float(np.sqrt(variances.mean() + means.var()))
