r"""How much of a correction the photons support, from photons that the corrected image was not made from.

A tenth of the photons is withheld, the image is adapted to the others by a few iterations, and corrected by the prior.
With the gradient g of the loss of the withheld photons, before (0) and after (1) the correction \(\delta\), the
strength that fits them best is, in a window and for amplitude and phase each,

\[ \alpha_k = \frac{-\sum w\, \mathrm{Re}(\bar\delta_k g_0)}{\sum w\, \mathrm{Re}(\bar\delta_k (g_1 - g_0))} \]

with the parts \(\delta_k\) of the correction along the object and across it. The probe, which is held, was fitted
together with the errors of the object and hides a part of them: the photons ask for less than the truth does. By how
much was found on simulated scans, see `Leaning`. Where a window has few photons the strength is drawn towards that of
the whole image, and that towards 1. It lies between 0 and 1, and that of the whole image exceeds what the photons ask
for by at most one and a half of its standard errors.
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
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.prior.canvas import BATCH, PriorCanvas, canvas_of, object_gradient
from ptychopinn.prior.files import Prior
from ptychopinn.solver import estimate_of, photons_at, refine, unlogged
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


@dataclass(frozen=True)
class Leaning:
    r"""How the strength \(\beta\) that fits the truth follows from the strength \(\alpha\) that fits withheld photons.

    \(\beta = s \alpha + o\), with a further standard deviation; chosen on 50 simulated scans of the kinds of the
    training and 40 of others (benchmarks/prior_strength.py). There the photons asked for 0.67 and 0.57 of the
    corrections of amplitude and phase in the mean (0.59 and 0.45 on the others), the truth for 1.05 and 1.05 (0.83 and
    1.09).
    """

    slope: float
    offset: float
    deviation: float
    """Of the true strength, beyond the counting noise of the withheld photons."""
    spread: float
    """Expected standard deviation of the strength of whole images about 1."""


LEANINGS = (Leaning(1.5, -0.2, 0.0, 0.5), Leaning(1.0, 0.4, 0.5, 0.3))
"""Of amplitude and phase, where the photons are explained better with the correction by more than two standard errors.
The amplitude's is steep: weak support is often a sign of structure that is not there. The phase's is flat: its two
strengths had a correlation of 0.02 and -0.3."""
DOUBTED = (Leaning(1.0, -0.1, 0.0, 0.5), Leaning(1.0, 0.0, 0.0, 0.5))
"""The same elsewhere: of ten scans that lost more than 0.2 dB by leaning, seven had no such support. Without the offset
a crystal that the network took for something else lost 0.39 dB of amplitude."""
ALLOWED_ERRORS = 1.5
"""Standard errors by which a strength may exceed the one that the photons ask for. With 1 phase gains 0.05 dB less in
the mean, with 2 as much more."""
EXACT = Poisson(OFFSET_PHOTONS, steepest=None)
"""A quarter of the deviance. It decides whether anything is changed: the solver's loss, a straight line where more than
nine times the expected photons were counted, let corrections of -0.7 dB pass that the deviance refuses."""
WINDOW_PX = 14.0
"""Standard deviation of the Gaussian windows; half as much doubles the error of the strength in each of them."""
SPREAD = 0.25
"""Expected standard deviation of the strength from window to window."""


@dataclass(frozen=True)
class Strength:
    """What the withheld photons say."""

    canvas: PriorCanvas
    """The image of the other photons, on the canvas of their windows."""
    maps: Tensor
    """(2, Y, X), from 0 to 1: of the amplitude and of the phase."""
    overall: tuple[float, float]
    """The same of the whole image."""
    asked: tuple[float, float]
    """The strengths of the whole image that fit the withheld photons best, of any size and sign."""
    withheld: Preference
    """Deviance of the withheld photons without (first) and with (second) the correction of this strength."""


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
    gradient, _, losses = object_gradient(before, other, dim, _compared)
    after = replace(before, object_=canvas.object_ + correction)
    gradient_after, _, _ = object_gradient(after, other, dim, Poisson(OFFSET_PHOTONS).value_and_slope)
    parts = parts_of(correction, canvas.object_)
    gains = -(parts.conj() * gradient).real
    bends = (parts.conj() * (gradient_after - gradient)).real
    for leanings in (LEANINGS, DOUBTED):
        overall, strengths = strengths_of(gains, bends, leanings)
        change = (strengths * parts).sum(0)
        after = replace(before, object_=canvas.object_ + change)
        losses_after = _losses(after, other, dim) if change.any() else losses
        deviances = [4 * found.double().cpu().numpy() for found in (losses, losses_after)]
        withheld = preference(deviances[0], deviances[1], int(other.measured_pixels()), split.withheld_photons())
        if withheld.is_second_better:
            break
    asked = (gains.sum((-2, -1)) / bends.sum((-2, -1))).nan_to_num().tolist()
    return Strength(canvas, strengths, overall, (asked[0], asked[1]), withheld)


def parts_of(correction: Canvas, object_: Canvas) -> Tensor:
    """(2, Y, X), complex: the parts of a correction that change the amplitude and the phase of an object."""
    along = object_.sgn()
    turned = correction * along.conj()
    return torch.stack((turned.real * along, 1j * turned.imag * along))


def strengths_of(
    gains: Tensor, bends: Tensor, leanings: tuple[Leaning, Leaning] = LEANINGS
) -> tuple[tuple[float, float], Tensor]:
    """The strengths of the whole image, and those of each window, of slopes and their changes (2, Y, X)."""
    parts = [_strengths_of_part(*part) for part in zip(gains, bends, leanings, strict=True)]
    return (parts[0][0], parts[1][0]), torch.stack([part[1] for part in parts])


def _strengths_of_part(gains: Tensor, bends: Tensor, leaning: Leaning) -> tuple[float, Tensor]:
    gain, bend = gains.sum(), bends.sum()
    most = allowed(float(gain), float(bend))
    leant = leaning.slope * gain + leaning.offset * bend
    whole = _posterior(leant, bend, 1.0, leaning.spread, leaning.deviation)
    whole = whole.clamp_max(most) if most < 1 else whole
    shifted = gains + bends * (whole - gain / bend.clamp_min(1e-9))
    whole = whole.clamp(0, 1)
    area = 4 * math.pi * WINDOW_PX**2
    in_windows = area * local_mean(torch.stack((shifted, bends))[None], WINDOW_PX)[0]
    return float(whole), _posterior(in_windows[0], in_windows[1], whole, SPREAD, leaning.deviation).clamp(0, 1)


def allowed(gain: float, bend: float) -> float:
    """The largest strength, up to 1: what the photons ask for, G / K, and `ALLOWED_ERRORS` of its error 1 / sqrt(2 K).

    >>> allowed(0.6, 1.0), round(allowed(6.0, 50.0), 2), allowed(-9.0, 20.0)
    (1.0, 0.27, 0.0)
    """
    return min(max(gain / bend + ALLOWED_ERRORS / math.sqrt(2 * bend), 0.0), 1.0) if bend > 0 else 1.0


def _posterior(gain: Tensor, bend: Tensor, expected: Tensor | float, spread: float, deviation: float) -> Tensor:
    """The loss is half of minus the log-likelihood, so that a strength is known to 1 / sqrt(2 K)."""
    bend = bend.clamp_min(0)
    doubt = 1 + 2 * bend * deviation**2
    weight = 1 / spread**2
    return (2 * gain / doubt + weight * expected) / (2 * bend / doubt + weight)


def _adapted(image: Reconstruction, kept: ScanTensors, model: DiffractionModel, config: RefineConfig) -> Reconstruction:
    dimmer = replace(image, background=None).with_beam(lambda wave: wave * np.float32(math.sqrt(1 - WITHHELD)))
    given = dict.fromkeys(("probe_modes", "background", "intensities", "blur"), "given")
    held = config.changed(object=True, probe=False, positions=False, probe_relaxation=0, **given, **ADAPTING)
    with unlogged():
        return refine(dimmer, kept, held, model=model).reconstruction


def _for_withheld(adapted: Reconstruction, canvas: PriorCanvas, device: torch.device) -> Estimate:
    estimate = estimate_of(adapted, canvas.frame, device)
    estimate.scale_beam(math.sqrt(WITHHELD / (1 - WITHHELD)))
    return estimate


def _compared(expected: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """A quarter of the deviance of each pixel, and the slope of the solver's loss, which is bounded at dark pixels."""
    return EXACT.value(expected, counts), Poisson(OFFSET_PHOTONS).value_and_slope(expected, counts)[1]


def _losses(estimate: Estimate, other: ScanTensors, model: DiffractionModel) -> Tensor:
    """(N,): the loss of the withheld photons of each pattern, as `object_gradient` gives it."""
    found = []
    for part in other.slices(BATCH):
        photons = photons_at(estimate, model, part)
        value = EXACT.value(photons, other.counts_of(part))
        measured = other.measured_of(part)
        found.append((value if measured is None else value * measured).sum((-2, -1)))
    return torch.cat(found)
