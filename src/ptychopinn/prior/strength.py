r"""How much of a correction is supported by photons that the corrected image was not made from.

A tenth of the photons is withheld, the image is adapted to the others by a few iterations, and corrected by the prior.
The deviance D of the withheld photons is found for half and for all of the correction, of amplitude and phase each. The
parabola through these and D without it has its lowest point at the part

\[ \alpha = \frac{3 D_0 - 4 D_{1/2} + D_1}{4 (D_0 - 2 D_{1/2} + D_1)} . \]

The probe, which is held, was fitted together with the errors of the object and makes up for some of them, so that
\(\alpha\) is smaller than the part that fits the truth best. The whole correction is used where it is 0.4 or more,
nothing where it is less than 0.1, and between these the strength rises linearly.
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
from ptychopinn.losses import Poisson
from ptychopinn.metrics.withheld import Preference, preference
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.prior.canvas import BATCH, PriorCanvas, canvas_of
from ptychopinn.prior.files import Prior
from ptychopinn.prior.network import has_fast_bfloat16
from ptychopinn.solver import estimate_of, photons_at, refine, unlogged
from ptychopinn.solver.trials import nearest
from ptychopinn.typing import Canvas

WITHHELD = 0.1
"""Part of the photons."""
MOST_PATTERNS = 400
"""Of a larger scan, those nearest to its middle serve; the rule below was chosen on scans of 70 to 170 patterns."""
ADAPTING = {"iterations": 3, "object_step": 0.7, "momentum": 0.5, "low_frequency_step": 0.0}
"""How the image is adapted to the other photons, with the probe held: it then explains the withheld ones almost as an
image that was made from the others alone. What it keeps of the withheld photons makes the strength lower than it should
be at low dose (0.40 where 16 iterations give 0.41 and an image made anew 0.57), never higher. Momentum adds noise: with
the usual 0.9 the image loses 4 dB, with this 0.2 dB."""
OFFSET_PHOTONS = SOLVER_PHOTONS * WITHHELD / (1 - WITHHELD)
"""Added to the expected withheld photons: what the solver adds to the others, in proportion. Without it, dark pixels in
which a stray photon was counted outweigh all others: the true object would explain the withheld photons less well."""


NOTHING_UP_TO, ALL_FROM = 0.1, 0.4
"""Parts of lowest deviance up to which nothing, and from which on the whole correction is used. Chosen on 60
simulated scans of other kinds than those of the training. All from 0.25 gains 0.03 dB of amplitude more in the mean of
them, and loses more than 0.2 dB on two; without a lower end noise is not refused. A strength for each neighbourhood
gained nothing."""
EXACT = Poisson(OFFSET_PHOTONS, steepest=None)
"""A quarter of the deviance. The solver's loss, a straight line where more than nine times the expected photons were
counted, is lowest at a part whose correlation with the best one is 0.48 for the amplitude and -0.06 for the phase;
that of the deviance is 0.71 and 0.52 (benchmarks/prior_strength.py)."""


@dataclass(frozen=True)
class Strength:
    """Found from the withheld photons."""

    overall: tuple[float, float]
    """Of the correction of amplitude and of phase, from 0 to 1."""
    asked: tuple[float, float]
    """The parts of it that fit the withheld photons best, of any size and sign."""
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
    index = nearest(image.positions_px, MOST_PATTERNS)
    image = image.at_positions(index)
    split = withhold_photons(tensors.scan.select(index), WITHHELD, seed)
    kept = ScanTensors(split.scan, tensors.device)
    adapted = _adapted(image, kept, model.dimmed(1 - WITHHELD), config)
    canvas = canvas_of(adapted, kept, model.dimmed(1 - WITHHELD))
    correction = prior.network.correction(canvas, orientations=1, half=has_fast_bfloat16(tensors.device))  # for time
    parts = parts_of(correction, canvas.object_)
    other = ScanTensors(replace(split.scan, patterns=split.withheld), tensors.device)
    before = _for_withheld(adapted, canvas, tensors.device)

    def deviances(change: Tensor) -> Tensor:
        return 4 * _losses(replace(before, object_=canvas.object_ + change), other, model.dimmed(WITHHELD)).double()

    without = deviances(torch.zeros_like(canvas.object_))
    asked = [part_asked_for(*(float((deviances(f * part) - without).sum()) for f in (0.5, 1.0))) for part in parts]
    overall = [min(max((part - NOTHING_UP_TO) / (ALL_FROM - NOTHING_UP_TO), 0.0), 1.0) for part in asked]
    change = sum(strength * part for strength, part in zip(overall, parts, strict=True))
    found = [one.cpu().numpy() for one in (without, deviances(torch.as_tensor(change)))]
    withheld = preference(found[0], found[1], int(other.measured_pixels()), split.withheld_photons())
    return Strength((overall[0], overall[1]), (asked[0], asked[1]), withheld)


def part_asked_for(half: float, whole: float) -> float:
    """The lowest point of the parabola through 0, and the changes of a deviance by half and by all of a correction.

    A parabola without a lowest point gives 1 where the whole correction lowers the deviance, else 0.

    >>> part_asked_for(-0.75, -1.0), part_asked_for(1.25, 3.0), part_asked_for(-1.0, -2.0), part_asked_for(0.0, 0.0)
    (1.0, -1.0, 1.0, 0.0)
    """
    bend = whole - 2 * half
    if bend <= 0:
        return float(whole < 0)
    return (whole - 4 * half) / (4 * bend)


def parts_of(correction: Canvas, object_: Canvas) -> Tensor:
    """(2, Y, X), complex: the parts of a correction that change the amplitude and the phase of an object."""
    along = object_.sgn()
    turned = correction * along.conj()
    return torch.stack((turned.real * along, 1j * turned.imag * along))


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


def _losses(estimate: Estimate, other: ScanTensors, model: DiffractionModel) -> Tensor:
    """(N,): the loss of the withheld photons of each pattern, as `object_gradient` gives it."""
    found = []
    for part in other.slices(BATCH):
        photons = photons_at(estimate, model, part)
        value = EXACT.value(photons, other.counts_of(part))
        measured = other.measured_of(part)
        found.append((value if measured is None else value * measured).sum((-2, -1)))
    return torch.cat(found)
