"""The probe and the intensity scale that a model uses: prepared from a scan, and as the model stores them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import ProbeConfig, Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.physics import DiffractionModel, intensity
from ptychopinn.physics.illumination import smooth_probe, support_mask, with_modes
from ptychopinn.physics.scaling import intensity_scale

_LEAST_VISIBLE = 0.01
"""Part of the probe's photons that must fall on measured pixels before the counts determine its scale."""


def prepare_probe(probe: NDArray[np.complex64], config: ProbeConfig) -> Tensor:
    """The starting probe (M, H, W): modes chosen, smoothed, masked and scaled as the recipe says."""
    modes = torch.from_numpy(np.ascontiguousarray(probe))
    if config.modes is not None:
        modes = with_modes(modes, config.modes)
    modes = smooth_probe(modes, config.smoothing_px)
    return masked_probe(modes, config) * config.scale


def masked_probe(modes: Tensor, config: ProbeConfig) -> Tensor:
    """Modes (..., H, W), 0 outside the disk of the settings; as they are where these have none."""
    if config.mask_radius is None:
        return modes
    size = modes.shape[-1]
    mask = support_mask(size, config.mask_radius * size / 2, centre=size // 2, edge_px=config.mask_edge_px)
    return modes * mask.to(modes.device)


def scan_scale(recipe: Recipe, tensors: ScanTensors, probe: Tensor) -> tuple[float, str]:
    """Intensity scale of one scan under a prepared probe, with the reason.

    Counts, less the background of the model, are compared with those photons of the probe that fall on measured pixels.

    Raises:
        ScanError: nearly all of them fall on bad pixels, or the background explains all counts, and the recipe does not
            trust the probe's own scale.
    """
    rule = recipe.model.intensity_scale
    visible = visible_part(tensors.measured, probe, DiffractionModel.of(recipe.model))
    if visible < _LEAST_VISIBLE and rule != "probe":
        raise ScanError(
            f"{tensors.scan.source}: bad pixels hide {100 * (1 - visible):.3g} % of the probe's photons, "
            "so that the counts do not determine its scale; give a probe in sqrt(photons) and set "
            "model.intensity_scale=probe"
        )
    pixels = float(tensors.measured_pixels()) / len(tensors)
    counts = tensors.mean_counts_per_pattern() - pixels * recipe.model.background
    if counts <= 0 and rule != "probe":
        raise ScanError(
            f"{tensors.scan.source}: model.background must be less than the mean count of a pixel, "
            f"{tensors.mean_counts_per_pattern() / pixels:.4g} photons, got {recipe.model.background:g}; lower it"
        )
    return intensity_scale(rule, counts / max(visible, _LEAST_VISIBLE), probe)


def visible_part(measured: Tensor | None, probe: Tensor, model: DiffractionModel) -> float:
    """Part of the photons of a probe (M, H, W) on measured pixels, (H, W) or (N, H, W), with no object."""
    if measured is None:
        return 1.0
    photons = intensity(model.propagator(probe))
    share = measured.cpu().float().reshape(-1, *photons.shape).mean(0)
    return float((photons * share).sum() / photons.sum())


def parts_of(probe: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts (M, H, W, 2) of a probe in new memory, and the unit that they are divided by.

    The unit is about the largest modulus, so that a trainable probe takes optimiser steps of the same relative size at
    any photon number. It is a power of two, so that the division is exact.
    """
    probe = probe.detach().to(torch.complex64)
    largest = probe.abs().amax()
    unit = torch.where(largest > 0, largest.log2().floor().exp2(), torch.ones_like(largest))
    return torch.view_as_real(probe.contiguous()) / unit, unit


def log_of(scale: float) -> Tensor:
    """Logarithm of an intensity scale, in the single precision in which a model stores it."""
    return torch.tensor(float(scale)).log()


def scaled_probe(probe: Tensor, scale: float) -> Tensor:
    """The probe (M, H, W), sqrt(photons), of a model that is built with a prepared probe and an intensity scale."""
    parts, unit = parts_of(probe)
    return torch.view_as_complex(parts) * (unit * log_of(scale).exp())
