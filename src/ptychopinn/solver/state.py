"""What the solver changes from step to step, and what the updates and constraints are given."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.physics import intensity
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.gradients import Gradients
from ptychopinn.ranks import Ranks
from ptychopinn.solver.bins import bin_side
from ptychopinn.typing import Canvas

LAST_STEP = 0.02
"""Where the cosine of the step lengths ends."""
DISTORTION_START = 10
"""Iterations with position corrections alone before the distortion is fitted: a blurred object looks shrunken."""
COUPLED_FROM = 0.35
"""Part of the iterations with positions after which the object follows them, and their smooth part is corrected too.
With 0.2 the scale of a blurred object misleads the smooth part; with 0.5 little time is left."""


@dataclass(frozen=True)
class Stage:
    """What is done in one iteration."""

    iteration: int
    """0 for the first."""
    step_length: float
    """Factor on the steps of object and probe."""
    probe: bool
    """Whether the probe is refined."""
    positions: bool
    """Whether the positions are."""
    distortion: bool
    """Whether a smooth distortion of the scan is fitted."""
    coupled: bool = False
    """Whether the object follows the positions."""
    intensities: bool = False
    """Whether gradients by the intensities of the patterns are wanted."""
    doses: bool = False
    """Whether they are wanted for the doses of several scans."""
    blur: bool = False
    """Whether those by the point spread of the detector are."""
    relaxation: bool = False
    """Whether the modes by which the probe varies move."""


class State:
    """The estimate with its momentum, and what the changes are counted from.

    Attributes:
        estimate: object (Y, X), probe (M, H, W) in sqrt(photons) and positions (N, 2) in px on the canvas; with several
            probes their modes one after the other, (K M, H, W).
        object_velocity: (Y, X), the last step of the object, part of which is repeated.
        probe_photons: scalar, photons per pattern of the start probe, all modes (and probes) together.
        probe_velocity: (M, H, W), the same of the probe. A constraint that mixes modes mixes these alike.
        relaxation_velocity: (K, M, H, W), the same of the modes by which it varies; (0, M, H, W) where it does not.
        power: (Y, X), photons: the placed intensity of all probes over the last iteration.
        overlap: how many patterns lie on a pixel of the object, on the mean over the illumination.
        stage: what is done in this iteration.
        background: (1, 1) or (H, W), photons, of the model; None where it has none and none is fitted.
        blur_px2: variance of the point spread of the detector, where one is fitted; else None.
        slow_px: side of the bins for what varies slowly, where intensities are fitted.
        deviance: per measured pixel, of the last iteration in which intensities or a blur were looked for.
        gathered: gradients and curvatures by positions and strains of this iteration.
    """

    def __init__(
        self, estimate: Estimate, power: Tensor, config: RefineConfig, background: Tensor | None = None
    ) -> None:
        self.estimate = estimate
        self.object_velocity: Canvas = torch.zeros_like(estimate.object_)
        self.probe_photons = intensity(estimate.probe).sum()
        self.probe_velocity = torch.zeros_like(estimate.probe)
        modes = None if estimate.relaxation is None else estimate.relaxation.modes
        self.relaxation_velocity = estimate.probe[None][:0] if modes is None else torch.zeros_like(modes)
        self.power = power
        self.overlap = 1.0
        self.background = background
        self.blur_px2: float | None = None
        self.deviance = 1.0
        self.slow_px = 1
        self.gathered = Gathered(estimate)
        self.stage = stage_of(0, config, can_distort=False)

    def begin(self, stage: Stage) -> None:
        """Start an iteration."""
        self.stage = stage
        self.overlap = typical(self.power) / typical(self.estimate.beam())
        if self.estimate.intensities is not None:
            self.slow_px = bin_side(self.estimate.beam())
        self.gathered = Gathered(self.estimate)


class Gathered:
    """Gradients and curvatures of the loss, gathered over the batches of an iteration.

    Attributes:
        object_: (Y, X), gradient by the conjugate of the object.
        positions: (N, 2), gradient by each position, 1/px.
        positions_curvature: (N, 2, 2), 1/px^2.
        strain: (N, 4), gradient by the strain of each patch about its centre.
        strain_curvature: (N, 4, 4).
        background: slope by the background, 1/photon; scalar, or (H, W) where it is a pattern.
        background_curvature: the same, 1/photon^2.
        intensities: (N,), slope by the logarithm of the intensity of each pattern.
        intensities_curvature: (N,).
        blur: scalar, slope by the variance of the point spread, 1/px^2.
        blur_curvature: scalar, 1/px^4.
        relaxation: (N, K), slope by the weights of the modes by which the probe varies.
        relaxation_curvature: (N, K, K).
    """

    def __init__(self, estimate: Estimate) -> None:
        positions_px = estimate.positions_px
        count = len(positions_px)
        self.object_ = torch.zeros_like(estimate.object_)
        self.positions = torch.zeros_like(positions_px)
        self.positions_curvature = positions_px.new_zeros(count, 2, 2)
        self.strain = positions_px.new_zeros(count, 4)
        self.strain_curvature = positions_px.new_zeros(count, 4, 4)
        self.background = estimate.probe.real.new_zeros(())
        self.background_curvature = estimate.probe.real.new_zeros(())
        self.intensities = positions_px.new_zeros(count)
        self.intensities_curvature = positions_px.new_zeros(count)
        self.blur = estimate.probe.real.new_zeros(())
        self.blur_curvature = estimate.probe.real.new_zeros(())
        modes = 0 if estimate.relaxation is None else len(estimate.relaxation.modes)
        self.relaxation = positions_px.new_zeros(count, modes)
        self.relaxation_curvature = positions_px.new_zeros(count, modes, modes)
        self._of_patterns: dict[str, Tensor] = {}

    def add(self, index: Tensor, found: Gradients) -> None:
        """Add those of one batch of patterns."""
        self.object_ += found.object_
        pairs = {
            "positions": (self.positions, found.positions),
            "positions_curvature": (self.positions_curvature, found.positions_curvature),
            "strain": (self.strain, found.strain),
            "strain_curvature": (self.strain_curvature, found.strain_curvature),
        }
        if found.intensities is not None:
            pairs["intensities"] = self.intensities, found.intensities.slope
            pairs["intensities_curvature"] = self.intensities_curvature, found.intensities.curvature
        if found.relaxation is not None:
            pairs["relaxation"] = self.relaxation, found.relaxation.weights
            pairs["relaxation_curvature"] = self.relaxation_curvature, found.relaxation.curvature
        for name, (kept, value) in pairs.items():
            if value is not None:
                kept[index] = value.to(kept.dtype)
                self._of_patterns[name] = kept
        if found.background is not None:
            self.background = self.background + found.background.slope
            self.background_curvature = self.background_curvature + found.background.curvature
        if found.blur is not None:
            self.blur += found.blur.slope
            self.blur_curvature += found.blur.curvature

    def complete(self, ranks: Ranks) -> None:
        """Take what the other ranks gathered of their patterns; the gradient of the object is complete already."""
        sums = (self.background, self.background_curvature, self.blur, self.blur_curvature)
        ranks.add(*sums, *self._of_patterns.values())


def typical(power: Tensor) -> float:
    r"""Mean of powers W weighted by themselves, \(\sum W^2 / \sum W\)."""
    return float(power.square().sum() / power.sum())


def stage_of(iteration: int, config: RefineConfig, *, can_distort: bool) -> Stage:
    """What the recipe asks for in an iteration; `can_distort`: the scan is large enough for a distortion."""
    since = iteration - config.positions_start
    positions = config.positions and since >= 0
    late = since >= COUPLED_FROM * (config.iterations - config.positions_start)
    return Stage(
        iteration=iteration,
        step_length=step_length(iteration, config),
        probe=config.probe and iteration >= config.probe_start,
        positions=positions,
        distortion=positions and can_distort and since >= DISTORTION_START,
        coupled=positions and late and config.object and not config.positions_distortion,
    )


def step_length(iteration: int, config: RefineConfig) -> float:
    """Factor on the steps of object and probe: 1 at first, then along a cosine down to `LAST_STEP`.

    >>> step_length(0, RefineConfig(iterations=10)), round(step_length(9, RefineConfig(iterations=10)), 2)
    (1.0, 0.04)
    """
    done = iteration / max(1, config.iterations)
    if config.decay == 0 or done <= 1 - config.decay:
        return 1.0
    return max(LAST_STEP, (1 + math.cos(math.pi * (done - 1 + config.decay) / config.decay)) / 2)
