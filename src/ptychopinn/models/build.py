"""From a recipe and a scan to a model, and from a bundle back to it."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import FittedStatistics, ProbeConfig, Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError
from ptychopinn.models.base import PatchModel
from ptychopinn.models.pinn import PtychoPINN
from ptychopinn.models.supervised import Supervised
from ptychopinn.physics.illumination import smooth_probe, support_mask, with_modes
from ptychopinn.physics.patches import check_inside, extract_patches
from ptychopinn.physics.scaling import intensity_scale
from ptychopinn.physics.shift import split_position

_KINDS: dict[str, type[PatchModel]] = {"pinn": PtychoPINN, "supervised": Supervised}
_STATISTICS_GROUPS = 64


def build_model(recipe: Recipe, probe: Tensor, scale: float = 1.0) -> PatchModel:
    """An untrained model; initial weights come from torch's global generator, which the caller seeds."""
    return _KINDS[recipe.model.kind](recipe, probe, scale)


def prepare_probe(probe: NDArray[np.complex64], config: ProbeConfig) -> Tensor:
    """The starting probe (M, H, W): modes chosen, smoothed, masked and scaled as the recipe says."""
    modes = torch.from_numpy(np.ascontiguousarray(probe))
    if config.modes is not None:
        modes = with_modes(modes, config.modes)
    modes = smooth_probe(modes, config.smoothing_px)
    if config.mask_radius is not None:
        size = modes.shape[-1]
        modes = modes * support_mask(size, config.mask_radius * size / 2, centre=size // 2)
    return modes * config.scale


def scan_scale(recipe: Recipe, tensors: ScanTensors, probe: Tensor) -> tuple[float, str]:
    """Intensity scale of one scan under a prepared probe, with the reason."""
    return intensity_scale(recipe.model.intensity_scale, tensors.mean_counts_per_pattern(), probe)


@torch.no_grad()
def fit_statistics(model: PatchModel, tensors: ScanTensors, groups: NDArray[np.int64]) -> FittedStatistics:
    """Measure, on training groups, what the input is normalised by, and freeze it in the generator.

    The lifted input keeps its mean, which is zero where the object is 1; the others lose theirs.
    """
    step = max(1, len(groups) // _STATISTICS_GROUPS)
    values = torch.cat(
        [model.generator.network_input(model.view(b)).flatten() for b in tensors.batches(groups[::step], 1)]
    )
    mean = 0.0 if model.config.generator.input == "lifted" else float(values.mean())
    deviation = float(values.std())
    if not deviation > 0:
        raise ScanError(
            f"{tensors.scan.source}: every input of the network is the same number; check patterns and probe"
        )
    model.generator.normalise_by(mean, deviation)
    pixels = tensors.pattern_size**2
    return FittedStatistics(
        pattern_size=tensors.pattern_size,
        input_mean=mean,
        input_deviation=deviation,
        mean_count=tensors.mean_counts_per_pattern() / pixels,
        intensity_scale=float(model.log_scale.exp()),
        n_patterns=int(np.unique(groups).size),
    )


def labels_for(scan: Scan) -> NDArray[np.complex64]:
    """Labels (N, H, W): the scan's own `Y`, or patches cut from its object guess at the rounded positions.

    Raises:
        ScanError: neither is there, the object guess is flat, or a patch leaves it.
    """
    if scan.truth_patches is not None:
        return scan.truth_patches
    if scan.object_guess is None:
        raise ScanError(
            f"{scan.source}: supervised training needs labels, and the scan has neither Y nor objectGuess; "
            "add one of them, or set model.kind=pinn"
        )
    if float(np.std(scan.object_guess)) < 1e-6 * float(np.abs(scan.object_guess).max()):
        raise ScanError(
            f"{scan.source}: objectGuess is flat, so that labels cut from it teach nothing; "
            "give a reconstructed object, or set model.kind=pinn"
        )
    object_ = torch.from_numpy(scan.object_guess)
    whole, _ = split_position(torch.from_numpy(scan.positions_px))
    size = (scan.pattern_size, scan.pattern_size)
    check_inside(whole, size, (object_.shape[0], object_.shape[1]))
    return extract_patches(object_, whole, size).numpy()


def with_labels(scan: Scan) -> Scan:
    """The scan with labels for supervised training."""
    return replace(scan, truth_patches=labels_for(scan))
