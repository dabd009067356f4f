r"""How much of a correction the photons support, from photons that the corrected image was not made from.

A tenth of the photons is withheld, the image is adapted to the others by a few iterations, and corrected by the prior.
With the gradient g of the loss of the withheld photons, before (0) and after (1) the correction \(\delta\), the
strength that fits them best is, in a window and for amplitude and phase each,

\[ \alpha_k = \frac{-\sum w\, \mathrm{Re}(\bar\delta_k g_0)}{\sum w\, \mathrm{Re}(\bar\delta_k (g_1 - g_0))} \]

with the parts \(\delta_k\) of the correction along the object and across it. Where a window has few photons the
strength is drawn towards that of the whole image, and that towards 1. It lies between 0 and 1.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import withhold_photons
from ptychopinn.generators.unrolled import local_mean
from ptychopinn.losses import Poisson
from ptychopinn.metrics.withheld import Preference, preference
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.gradients import Estimate
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.prior.canvas import BATCH, PriorCanvas, canvas_of, object_gradient
from ptychopinn.prior.files import Prior
from ptychopinn.solver import estimate_of, refine, unlogged
from ptychopinn.typing import Canvas

WITHHELD = 0.1
"""Part of the photons."""
ADAPTING = {"iterations": 3, "object_step": 0.7, "momentum": 0.5, "low_frequency_step": 0.0}
"""How the image is adapted to the other photons, with the probe held: it then explains the withheld ones almost as an
image that was made from the others alone. What it keeps of the withheld photons makes the strength lower than it should
be at low dose (0.40 where 16 iterations give 0.41 and an image made anew 0.57), never higher. Momentum adds noise: with
the usual 0.9 the image loses 4 dB, with this 0.2 dB."""
OFFSET_PHOTONS = SOLVER_PHOTONS * WITHHELD / (1 - WITHHELD)
"""Added to the expected withheld photons: what the solver adds to the others, in proportion. Without it, dark pixels in
which a stray photon was counted outweigh all others: the true object would explain the withheld photons less well."""
WINDOW_PX = 14.0
"""Standard deviation of the Gaussian windows; half as much doubles the error of the strength in each of them."""
SPREAD = 0.25
"""Expected standard deviation of the strength from window to window."""
SPREAD_OF_WHOLE = 0.5
"""The same of the strength of whole images about 1."""


@dataclass(frozen=True)
class Strength:
    """What the withheld photons say."""

    canvas: PriorCanvas
    """The image of the other photons, on the canvas of their windows."""
    maps: Tensor
    """(2, Y, X), from 0 to 1: of the amplitude and of the phase."""
    overall: tuple[float, float]
    """The same of the whole image."""
    withheld: Preference
    """Deviance of the withheld photons without (first) and with (second) the correction of this strength; where more
    than nine times the expected photons were counted it rises like the loss of the solver."""


def strength_of(
    image: Reconstruction, tensors: ScanTensors, prior: Prior, model: DiffractionModel, config: RefineConfig, seed: int
) -> Strength:
    """Find the strength of the correction of an image.

    Args:
        image: made from all photons.
        tensors: the scan that it was made from, in photons.
        prior: makes the correction.
        model: of the patterns.
        config: with which the image was made.
        seed: of the draw of photons.
    """
    split = withhold_photons(tensors.scan, WITHHELD, seed)
    kept = ScanTensors(split.scan, tensors.device)
    adapted = _adapted(image, kept, model.dimmed(1 - WITHHELD), config)
    canvas = canvas_of(adapted, kept, model.dimmed(1 - WITHHELD))
    correction = prior.network.correction(canvas)
    other = ScanTensors(replace(split.scan, patterns=split.withheld), tensors.device)
    before = _for_withheld(adapted, canvas, tensors.device)
    dim = model.dimmed(WITHHELD)
    gradient, _, losses = object_gradient(before, other, dim, OFFSET_PHOTONS)
    after = replace(before, object_=canvas.object_ + correction)
    gradient_after, _, _ = object_gradient(after, other, dim, OFFSET_PHOTONS)
    parts = parts_of(correction, canvas.object_)
    gains = -(parts.conj() * gradient).real
    bends = (parts.conj() * (gradient_after - gradient)).real
    overall, strengths = strengths_of(gains, bends)
    change = (strengths * parts).sum(0)
    after = replace(before, object_=canvas.object_ + change)
    losses_after = _losses(after, other, dim) if change.any() else losses
    deviances = [4 * found.double().cpu().numpy() for found in (losses, losses_after)]
    withheld = preference(deviances[0], deviances[1], int(other.measured_pixels()), split.withheld_photons())
    return Strength(canvas, strengths, overall, withheld)


def parts_of(correction: Canvas, object_: Canvas) -> Tensor:
    """(2, Y, X), complex: the parts of a correction that change the amplitude and the phase of an object."""
    along = object_.sgn()
    turned = correction * along.conj()
    return torch.stack((turned.real * along, 1j * turned.imag * along))


def strengths_of(gains: Tensor, bends: Tensor) -> tuple[tuple[float, float], Tensor]:
    """The strengths of the whole image, and those of each window, of slopes and their changes (2, Y, X).

    The loss is half of minus the log-likelihood, so that a sum of slope changes K is known to 1 / sqrt(2 K).
    """
    whole = _posterior(gains.sum((-2, -1), keepdim=True), bends.sum((-2, -1), keepdim=True), 1.0, SPREAD_OF_WHOLE)
    area = 4 * math.pi * WINDOW_PX**2
    in_windows = [area * local_mean(maps[None], WINDOW_PX)[0] for maps in (gains, bends)]
    return (float(whole[0]), float(whole[1])), _posterior(in_windows[0], in_windows[1], whole, SPREAD)


def _posterior(gain: Tensor, bend: Tensor, expected: Tensor | float, spread: float) -> Tensor:
    weight = 1 / spread**2
    return ((2 * gain + weight * expected) / (2 * bend.clamp_min(0) + weight)).clamp(0, 1)


def _adapted(image: Reconstruction, kept: ScanTensors, model: DiffractionModel, config: RefineConfig) -> Reconstruction:
    dimmer = replace(image, probe=image.probe * np.float32(math.sqrt(1 - WITHHELD)), background=None)
    held = config.changed(object=True, probe=False, positions=False, background="given", **ADAPTING)
    with unlogged():
        return refine(dimmer, kept, held, model=model).reconstruction


def _for_withheld(adapted: Reconstruction, canvas: PriorCanvas, device: torch.device) -> Estimate:
    estimate = estimate_of(adapted, canvas.frame, device)
    return replace(estimate, probe=estimate.probe * math.sqrt(WITHHELD / (1 - WITHHELD)))


def _losses(estimate: Estimate, other: ScanTensors, model: DiffractionModel) -> Tensor:
    """(N,): the loss of the withheld photons of each pattern, as `object_gradient` gives it."""
    found = []
    for part in other.slices(BATCH):
        photons = model(estimate.object_, estimate.positions_px[part], estimate.probe)
        value = Poisson(OFFSET_PHOTONS).value(photons, other.counts_of(part))
        measured = other.measured_of(part)
        found.append((value if measured is None else value * measured).sum((-2, -1)))
    return torch.cat(found)
