"""The loop of the solver: batches of patterns, updates after each batch, constraints after each iteration."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Background
from ptychopinn.losses import data_loss
from ptychopinn.physics import DiffractionModel, intensity, place_patches, split_position
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import Gradients, TiltResponse, gradients, tilt_response
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver.background import LEAST_SHARE, BackgroundPattern, FlatBackground, start_of_background
from ptychopinn.solver.batch import summed_gradients
from ptychopinn.solver.blur import START, blur_of, width_px
from ptychopinn.solver.constraints import Constraint, constraints_of
from ptychopinn.solver.counted import CountedPatterns
from ptychopinn.solver.distortion import DistortionStep
from ptychopinn.solver.intensities import intensities_of
from ptychopinn.solver.low_frequencies import LowFrequencyPhase
from ptychopinn.solver.penalties import EstimatedMaterial, ObjectPenalty, penalties_of, with_penalties
from ptychopinn.solver.position_search import PositionSearch
from ptychopinn.solver.positions import PositionStep
from ptychopinn.solver.relaxation import RelaxedProbe, first_iteration, with_relaxation
from ptychopinn.solver.state import State, stage_of
from ptychopinn.solver.steps import ObjectStep, ProbeStep, Update
from ptychopinn.solver.together import DosesOfScans, Together
from ptychopinn.typing import Canvas

FEWEST_STEPS = 8
"""Steps in an iteration, on a scan of fewer patterns than so many batches."""
MOST_STEPS = 12
"""Steps in an iteration, but twice as many early, on a scan of more patterns than so many batches: its batches are
larger. Each step moves the whole object, so that with more of them the cost of a pattern would grow with the scan. And
momentum moves a pixel on until its next pattern comes, so that many steps converge worse: see docs/dev/refinement.md.
"""
EARLY = 0.4
"""Part of the iterations with half of the batch size: more steps bring a poor probe to the data sooner."""
TILTED_PATTERNS = 32
"""Largest number of patterns from which the curvature of the low-frequency phase is taken."""
TILTED_PART = 16
"""At most one in so many patterns is taken for it, so that it costs little on a small scan."""


class Solver:
    """Refines an estimate in place.

    Args:
        estimate: object, probe and positions to begin with.
        tensors: patterns, on the device of the estimate.
        config: what is refined and how.
        model: of the patterns.
        ranks: processes that share the patterns; each computes the gradients of its own and takes every step, with the
            sums of all, so that all hold the same estimate.
        together: how the patterns belong together where they are of several scans; the estimate states the probe and
            the dose of each.

    Raises:
        ConfigError: the recipe names a loss, penalty or constraint that nobody registered.
    """

    def __init__(
        self,
        estimate: Estimate,
        tensors: ScanTensors,
        config: RefineConfig,
        model: DiffractionModel,
        ranks: Ranks = ALONE,
        together: Together | None = None,
    ) -> None:
        self._tensors = tensors
        self._ranks = ranks
        self._own = ranks.own(len(tensors))
        estimate = with_relaxation(estimate, config)
        power = placed_power(estimate, config.batch_size)
        dose = photons_per_px(tensors, power)
        config = with_penalties(config, dose)
        self._config = config
        self._model = model
        self._patterns = CountedPatterns(tensors, model.propagator, power.dtype, self._own)
        self._loss = data_loss(config.loss)
        self._penalties = penalties_of(config)
        self._distortion = DistortionStep(estimate.positions_px, config)
        self._updates = updates_of(config, self._penalties)
        self._positions = PositionStep(estimate.positions_px, config, self._distortion, self._penalties)
        self._search = PositionSearch(estimate.positions_px, config, self._photons_at, self._counted, ranks)
        self._generator = torch.Generator().manual_seed(config.seed)
        phase = LowFrequencyPhase(config, self._penalties, self._tilt_response)
        known = model.background
        self._fits_background = config.background in ("flat", "pattern") or (
            config.background == "auto" and known is None and model.propagator.is_fourier
        )
        self._intensities = intensities_of(config, self._penalties, estimate.beam())
        self._doses = DosesOfScans(together) if together and together.common == "both" and config.object else None
        self._blur = blur_of(config, model.blur_px, dose, is_far_field=model.propagator.is_fourier)
        fitted: list[Constraint] = [step for step in (self._doses, self._intensities, self._blur) if step]
        if self._fits_background:
            fitted.insert(0, self._background_step(config))
        if config.probe_relaxation:
            fitted.append(RelaxedProbe(first_iteration(config)))
        self._constraints = constraints_of(config, fitted, phase, self._positions, self._distortion)
        if self._fits_background:
            known = start_of_background(config, known, estimate.probe)
        self.state = State(estimate, power, config, known)
        if self._blur is not None:
            self.state.blur_px2 = self._blur.start_px2

    @property
    def config(self) -> RefineConfig:
        """What is refined and how, with the penalties that the dose chose."""
        return self._config

    @property
    def material(self) -> tuple[complex, float] | None:
        """Direction and correlation of `material_direction`, if the single-material penalty acts."""
        for penalty in self._penalties:
            if isinstance(penalty, EstimatedMaterial) and penalty.direction is not None:
                return penalty.direction, penalty.correlation
        return None

    @property
    def fitted_background(self) -> Background:
        """Photons per pixel, or of each pixel (H, W), where a background is fitted."""
        if not self._fits_background or self.state.background is None:
            return None
        if self._config.background == "pattern":
            return self.state.background.cpu().numpy()
        found = float(self.state.background)
        return found if found > 0 or self._config.background == "flat" else None

    @property
    def fitted_blur_px(self) -> float | None:
        """Standard deviation of the point spread of the detector, where one is fitted."""
        return width_px(self.state.blur_px2)

    @property
    def positions_deviation_px(self) -> float | None:
        """Standard deviation of a refined position along an axis by counting noise; None before the first iteration."""
        return self._positions.deviation_px(self.state)

    def snapshot(self) -> dict[str, Tensor]:
        """What the next iterations depend on, by name; steps replace these tensors and do not write into them."""
        state, estimate = self.state, self.state.estimate
        return {
            "object": estimate.object_,
            "probe": estimate.probe,
            "positions_px": estimate.positions_px,
            "object_velocity": state.object_velocity,
            "probe_velocity": state.probe_velocity,
            "power": state.power,
            **({} if estimate.intensities is None else {"intensities": estimate.intensities}),
            **({} if estimate.doses is None else {"doses": estimate.doses}),
            **({"background": state.background} if self._fits_background and state.background is not None else {}),
            **self._relaxation_now(),
            **({} if state.blur_px2 is None else {"blur_px2": torch.tensor(state.blur_px2, dtype=torch.float64)}),
            "positions_velocity_px": self._positions.velocity_px,
            "positions_reference_px": self._distortion.reference_px,
            "generator": self._generator.get_state(),
        }

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Take the state of a snapshot, of this solver or of another one with the same input."""
        state, device = self.state, self.state.power.device
        known = {name: value.to(device) for name, value in snapshot.items() if name not in ("generator", "blur_px2")}
        relaxation = state.estimate.relaxation
        if "relaxation_modes" in known:
            relaxation = ProbeRelaxation(known["relaxation_modes"], known["relaxation_weights"])
            state.relaxation_velocity = known["relaxation_velocity"]
        state.estimate = replace(
            state.estimate,
            object_=known["object"],
            probe=known["probe"],
            positions_px=known["positions_px"],
            intensities=known.get("intensities"),
            relaxation=relaxation,
            doses=known.get("doses"),
        )
        state.object_velocity, state.probe_velocity = known["object_velocity"], known["probe_velocity"]
        state.power = known["power"]
        state.background = known.get("background", state.background)
        if self._blur is not None:
            state.blur_px2 = float(snapshot["blur_px2"]) if "blur_px2" in snapshot else None
        self._positions.velocity_px = known["positions_velocity_px"]
        self._distortion.reference_px = known["positions_reference_px"]
        self._generator.set_state(snapshot["generator"].cpu())

    def iterate(self, iteration: int) -> Tensor:
        """Go once through all patterns; the deviance per measured pixel (4 times the loss), a scalar on the device."""
        state = self.state
        if self._search.is_due(iteration):
            state.estimate.positions_px = self._search.found(state.estimate.positions_px)
            self._positions.velocity_px = torch.zeros_like(self._positions.velocity_px)
        stage = stage_of(iteration, self._config, can_distort=self._distortion.possible)
        wanted = self._intensities is not None and self._intensities.acts(state, iteration)
        blur = self._blur is not None and self._blur.acts(state, iteration)
        relaxation = bool(self._config.probe_relaxation) and iteration >= first_iteration(self._config)
        doses = self._doses is not None and self._doses.acts(iteration)
        state.begin(replace(stage, intensities=wanted, blur=blur, relaxation=relaxation, doses=doses))
        loss = torch.zeros((), device=state.power.device)
        power = torch.zeros_like(state.power)
        for batch in self._batches():
            parts = self._own_of(batch).split(self._config.batch_size)
            found = summed_gradients(parts, self._gradients)
            self._sum(found)
            for update in self._updates:
                update.apply(state, found, len(batch) / len(self._tensors))
            state.gathered.add(torch.cat(parts), found)
            loss += found.loss
            power += found.probe_power
        state.gathered.complete(self._ranks)
        self._ranks.add(loss)
        state.power = power
        deviance = 4 * loss / self._tensors.measured_pixels()
        if state.stage.intensities or state.stage.blur:
            state.deviance = float(deviance)
        for constraint in self._constraints:
            constraint.apply(state)
        return deviance

    def _relaxation_now(self) -> dict[str, Tensor]:
        known = self.state.estimate.relaxation
        if known is None:
            return {}
        velocity = self.state.relaxation_velocity
        return {
            "relaxation_modes": known.modes,
            "relaxation_weights": known.weights,
            "relaxation_velocity": velocity,
        }

    def _background_step(self, config: RefineConfig) -> Constraint:
        if config.background == "pattern":
            return BackgroundPattern()
        if config.background == "flat":
            return FlatBackground()
        pixels = float(self._tensors.measured_pixels()) / len(self._tensors)
        least = LEAST_SHARE * self._tensors.mean_counts_per_pattern() / pixels
        return FlatBackground(config.iterations // 2, least)

    def _batches(self) -> Iterator[Tensor]:
        count = len(self._tensors)
        is_early = self.state.stage.iteration < EARLY * self._config.iterations
        size = patterns_in_step(count, self._config.batch_size, is_early=is_early)
        return iter(torch.randperm(count, generator=self._generator).split(size))

    def _own_of(self, index: Tensor) -> Tensor:
        """Those of some patterns, (B,) on the host, that are this rank's own; on the device."""
        if self._ranks.are_many:
            index = index[(index >= self._own.start) & (index < self._own.stop)]
        return index.to(self.state.power.device)

    def _sum(self, found: Gradients) -> None:
        """Add up the gradients of a batch by object and probe, and the powers that precondition them, over all ranks.

        What belongs to single patterns is exchanged once after each iteration, by `Gathered.complete`.
        """
        modes = None if found.relaxation is None else found.relaxation.modes
        of_probe = [one for one in (found.probe, found.object_power, modes) if one is not None]
        self._ranks.add(found.object_, found.probe_power, *of_probe)

    def _gradients(self, index: Tensor, onto: tuple[Canvas, Tensor] | None = None) -> Gradients:
        state, counted = self.state, self._patterns.of(index)
        return gradients(
            self._model_now(),
            state.estimate,
            index,
            counted,
            loss=self._loss.value_and_slope,
            probe=state.stage.probe,
            positions=state.stage.positions,
            positions_curvature=state.stage.positions,
            strain=state.stage.distortion,
            background=self._fits_background,
            background_pattern=self._config.background == "pattern",
            intensities=state.stage.intensities or state.stage.doses,
            blur=state.stage.blur,
            relaxation=state.stage.relaxation,
            mean_photons=self._mean_photons(counted) if state.stage.distortion else None,
            onto=onto,
        )

    def _mean_photons(self, counted: Counted) -> Tensor:
        """Of a measured pixel, over the patterns of a batch that all ranks have."""
        photons, pixels = counted.summed()
        sums = photons.new_tensor([float(photons), float(pixels)], dtype=torch.float64)
        self._ranks.add(sums)
        return (sums[0] / sums[1]).to(photons)

    def _photons_at(self, index: Tensor, positions_px: Tensor) -> Tensor:
        now = self.state.estimate
        return self._model_now()(now.object_, positions_px, now.probes(index), now.factors(index))

    def _counted(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        amplitude = self._tensors.amplitude_of(index).to(self.state.power.dtype)
        return amplitude.square(), self._tensors.measured_of(index)

    def _model_now(self) -> DiffractionModel:
        """The model with the present background and point spread."""
        background = self.state.background if self._fits_background else None
        is_early = self.state.stage.iteration < min(START, self._config.iterations - 1)
        return self._model.with_detector(background, 0.0 if is_early and self._is_blurred else self.fitted_blur_px)

    @property
    def _is_blurred(self) -> bool:
        return self._model.blur_px > 0 or bool(self.state.blur_px2)

    def _tilt_response(self) -> TiltResponse:
        """Of some patterns, drawn anew each time."""
        tensors, state = self._tensors, self.state
        count = min(TILTED_PATTERNS, math.ceil(len(tensors) / TILTED_PART))
        index = self._own_of(torch.randperm(len(tensors), generator=self._generator)[:count])
        curvature = spread = state.power.new_zeros(2, 2)
        photons: Tensor | float = 0.0
        if len(index):
            found = tilt_response(self._model_now(), state.estimate, index, self._patterns.of(index))
            if not self._ranks.are_many:
                return found
            curvature, spread, photons = found.curvature, found.spread, found.photons
        weighted = torch.stack((curvature * photons, spread * photons, torch.ones_like(spread) * photons))
        self._ranks.add(weighted)
        return TiltResponse(weighted[0] / weighted[2], weighted[1] / weighted[2], weighted[2, 0, 0])


def patterns_in_step(count: int, batch_size: int, *, is_early: bool) -> int:
    """Patterns of a batch, of a scan of `count` patterns; the last batch of an iteration holds what is left.

    >>> [patterns_in_step(count, 64, is_early=False) for count in (100, 600, 12_000)]
    [13, 64, 1000]
    """
    largest = max(batch_size, math.ceil(count / MOST_STEPS))
    return min(math.ceil(largest / 2) if is_early else largest, math.ceil(count / FEWEST_STEPS))


def updates_of(config: RefineConfig, penalties: list[ObjectPenalty]) -> list[Update]:
    """What is done after each batch, in this order."""
    chosen: list[Update] = []
    if config.object:
        chosen.append(ObjectStep(config, penalties))
    if config.probe:
        chosen.append(ProbeStep(config))
    return chosen


def photons_per_px(tensors: ScanTensors, power: Tensor) -> float:
    r"""Measured photons on a pixel of the object: all counts over the area \((\sum W)^2 / \sum W^2\) of powers W."""
    area = power.sum().square() / power.square().sum()
    return float(len(tensors) * tensors.mean_counts_per_pattern() / area)


def placed_power(estimate: Estimate, batch_size: int) -> Tensor:
    """(Y, X), photons: the probe's intensity placed at the pixels nearest to all positions, a batch at a time."""
    several, parts = estimate.several, estimate.positions_px.split(batch_size)
    power = intensity(estimate.probe if several is None else several.split(estimate.probe))
    numbers = [None] * len(parts) if several is None else several.number.split(batch_size)
    shape = (estimate.object_.shape[-2], estimate.object_.shape[-1])
    total = torch.zeros(shape, dtype=power.dtype, device=power.device)
    for positions, number in zip(parts, numbers, strict=True):
        whole, _ = split_position(positions)
        beams = power.expand(len(whole), *power.shape) if number is None else power[number]
        total += place_patches(beams, whole, shape)
    return total
