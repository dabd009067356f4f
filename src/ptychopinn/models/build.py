"""From a recipe and a scan to a model, and from a bundle back to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import FittedStatistics, ModelConfig, ProbeConfig, Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.errors import PtychoPINNError, ScanError
from ptychopinn.models.base import PatchModel
from ptychopinn.models.pinn import PtychoPINN
from ptychopinn.models.supervised import Supervised
from ptychopinn.physics import extract_patches, intensity, split_position, to_detector
from ptychopinn.physics.illumination import smooth_probe, support_mask, with_modes
from ptychopinn.physics.scaling import intensity_scale

_KINDS: dict[str, type[PatchModel]] = {"pinn": PtychoPINN, "supervised": Supervised}
_STATISTICS_PATTERNS = 1024
_LEAST_VISIBLE = 0.01
"""Part of the probe's photons that must fall on measured pixels for the counts to tell its scale."""


def build_model(recipe: Recipe, probe: Tensor, scale: float = 1.0) -> PatchModel:
    """An untrained model; initial weights come from torch's global generator, which the caller seeds."""
    model = _KINDS[recipe.model.kind](recipe, probe, scale)
    model.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def prepare_probe(probe: NDArray[np.complex64], config: ProbeConfig) -> Tensor:
    """The starting probe (M, H, W): modes chosen, smoothed, masked and scaled as the recipe says."""
    modes = torch.from_numpy(np.ascontiguousarray(probe))
    if config.modes is not None:
        modes = with_modes(modes, config.modes)
    modes = smooth_probe(modes, config.smoothing_px)
    if config.mask_radius is not None:
        size = modes.shape[-1]
        modes = modes * support_mask(size, config.mask_radius * size / 2, centre=size // 2, edge_px=config.mask_edge_px)
    return modes * config.scale


def scan_scale(recipe: Recipe, tensors: ScanTensors, probe: Tensor) -> tuple[float, str]:
    """Intensity scale of one scan under a prepared probe, with the reason.

    Counts are compared with those photons of the probe that fall on measured pixels.

    Raises:
        ScanError: nearly all of them fall on bad pixels, and the recipe does not trust the probe's own scale.
    """
    rule = recipe.model.intensity_scale
    visible = visible_part(tensors.measured, probe)
    if visible < _LEAST_VISIBLE and rule != "probe":
        raise ScanError(
            f"{tensors.scan.source}: bad pixels hide {100 * (1 - visible):.3g} % of the probe's photons, "
            "so that the counts do not tell its scale; give a probe in sqrt(photons) and set "
            "model.intensity_scale=probe"
        )
    return intensity_scale(rule, tensors.mean_counts_per_pattern() / max(visible, _LEAST_VISIBLE), probe)


def visible_part(measured: Tensor | None, probe: Tensor) -> float:
    """Part of the photons of a probe (M, H, W) on measured pixels, (H, W) or (N, H, W), with no object."""
    if measured is None:
        return 1.0
    photons = intensity(to_detector(probe))
    share = measured.cpu().float().reshape(-1, *photons.shape).mean(0)
    return float((photons * share).sum() / photons.sum())


@torch.no_grad()
def fit_statistics(model: PatchModel, parts: Sequence[tuple[ScanTensors, NDArray[np.int64]]]) -> FittedStatistics:
    """Measure, on the training groups of each scan, what the input is normalised by, and freeze it in the generator.

    The mean is not subtracted from the back-projected input, which is zero where the object is 1. Counts and scale
    are those of the first scan.
    """
    mean, deviation = _input_statistics(model, parts)
    tensors, groups = parts[0]
    if not deviation > 0:
        raise ScanError(
            f"{tensors.scan.source}: every input of the network is the same number; check patterns and probe"
        )
    if model.config.generator.input == "back_projected":
        mean = 0.0
    model.generator.normalise_by(mean, deviation)
    return FittedStatistics(
        pattern_size=tensors.pattern_size,
        input_mean=mean,
        input_deviation=deviation,
        mean_count=tensors.mean_count(np.unique(groups)),
        intensity_scale=float(model.log_scale.exp()),
        n_patterns=sum(len(np.unique(table)) for _, table in parts),
    )


def _input_statistics(model: PatchModel, parts: Sequence[tuple[ScanTensors, NDArray[np.int64]]]) -> tuple[float, float]:
    """Mean and deviation of the network's input over some groups from all over the tables."""
    step = max(1, sum(groups.size for _, groups in parts) // _STATISTICS_PATTERNS)
    batches = (batch for tensors, groups in parts for batch in tensors.batches(groups[::step], 1))
    inputs = (model.generator.network_input(model.view(batch)) for batch in batches)
    moments = [(float(values.mean()), float(values.var(correction=0))) for values in inputs]
    means, variances = np.array(moments).T
    return float(means.mean()), float(np.sqrt(variances.mean() + means.var()))


def needs_labels(config: ModelConfig) -> bool:
    """Whether training needs labels: always if supervised, else where a term of the loss does."""
    loss = config.loss
    return config.kind == "supervised" or (loss.realspace_mae_weight > 0 and loss.realspace_weight > 0)


def labels_for(scan: Scan, subpixel: Literal["probe", "bilinear"] = "probe") -> NDArray[np.complex64]:
    """Labels (N, H, W): the scan's own `Y`, or patches cut from its object guess.

    They are cut where the model's patches lie: at the rounded positions, or with `bilinear` the exact ones.

    Raises:
        ScanError: neither is there, the object guess is flat, or a patch leaves it.
    """
    if scan.truth_patches is not None:
        return scan.truth_patches
    if scan.object_guess is None:
        raise ScanError(
            f"{scan.source}: training with labels needs a reconstructed object, and the scan has neither Y nor "
            "objectGuess; reconstruct it first and export it again with that object, or set model.kind=pinn"
        )
    if float(np.std(scan.object_guess)) < 1e-6 * float(np.abs(scan.object_guess).max()):
        raise ScanError(
            f"{scan.source}: training with labels needs a reconstructed object, and objectGuess is flat; "
            "reconstruct the scan first and export it again with that object, or set model.kind=pinn"
        )
    positions = torch.from_numpy(scan.positions_px)
    if subpixel == "probe":
        positions, _ = split_position(positions)
    size = (scan.pattern_size, scan.pattern_size)
    try:
        return extract_patches(torch.from_numpy(scan.object_guess), positions, size).numpy()
    except PtychoPINNError as error:
        raise ScanError(f"{scan.source}: labels cannot be cut from objectGuess: {error}") from None


def with_labels(scan: Scan, subpixel: Literal["probe", "bilinear"] = "probe") -> Scan:
    """The scan with labels for supervised training, see `labels_for`."""
    return replace(scan, truth_patches=labels_for(scan, subpixel))
