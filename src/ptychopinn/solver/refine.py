"""From a starting object, any, to the object that explains the patterns of the whole scan: an iterative solver."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame, check_one_image
from ptychopinn.data.reconstruction import Reconstruction, metadata_of
from ptychopinn.data.scan import Scan
from ptychopinn.errors import PtychoPINNError
from ptychopinn.losses import data_loss
from ptychopinn.physics import DiffractionModel, check_inside
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver.background import PATTERN_FROM, log_gain, log_too_short, log_without_counts, pattern_gain
from ptychopinn.solver.checkpoint import SolverCheckpoint, SolverInterrupted
from ptychopinn.solver.constraints import named_constraints
from ptychopinn.solver.distortion import limit_px, with_limit
from ptychopinn.solver.gauge import Gauge, log_gauge, with_gauge
from ptychopinn.solver.penalties import penalties_of
from ptychopinn.solver.position_report import log_positions, position_report
from ptychopinn.solver.probe_modes import found_modes, log_modes, with_mode
from ptychopinn.solver.solver import Solver, photons_per_px, placed_power
from ptychopinn.solver.together import Together, with_photons_of
from ptychopinn.solver.trials import Trials

logger = logging.getLogger("ptychopinn.reconstruction")

IterationHook = Callable[[int, int, dict[str, float]], None]
"""Called with iterations done, iterations in all, and `deviance`: per measured pixel, about 1 for a perfect model."""
_LOG_LINES = 10
LEAST_CORRELATION = 0.5
"""Correlation of absorption and phase below which the log warns that a single material may be the wrong assumption."""
LEAST_SHARE = 1e-3
"""Part of the photons above which the factor of the object is corrected at the end; half of it is its error."""
LARGEST_DEVIANCE = 100.0
"""Deviance beyond which a run has diverged and ends, in units of the first iteration's, or of 1 if that is smaller."""


@dataclass(frozen=True)
class Refined:
    """A refined image, and how it came to be."""

    reconstruction: Reconstruction
    """With the refined probe and positions."""
    deviance: list[float]
    """Per measured pixel, over each iteration: about 1 for a perfect model where pixels hold many photons."""
    seconds: float
    """Time of the iterations."""
    together: Together | None = None
    """Of several scans, with the doses that were found."""


def flat_start(scan: Scan, probe: Tensor) -> Reconstruction:
    """An object of 1 everywhere, under a probe (M, H, W) in sqrt(photons), at the positions of a scan."""
    windows = Frame.of_scan(scan, Frame.of_positions(scan.positions_px, scan.pattern_size))
    return Reconstruction(
        object_=np.ones(windows.shape, np.complex64),
        coverage=np.ones(windows.shape, np.float32),
        origin_px=np.asarray(windows.origin_px),
        positions_px=scan.positions_px,
        probe=probe.detach().cpu().numpy(),
        pixel_size_m=scan.pixel_size_m,
        geometry=scan.geometry,
        metadata=metadata_of(scan),
    )


def check_names(config: RefineConfig) -> None:
    """Refuse names of losses, penalties and constraints that nobody registered, before any work.

    Without iterations nothing is looked up, so that a recipe can be used where a package is not installed.

    Raises:
        ConfigError: the setting, the name, and the names that exist.
    """
    if config.iterations == 0:
        return
    data_loss(config.loss)
    penalties_of(config)
    named_constraints(config)


@torch.inference_mode()
def refine(
    start: Reconstruction,
    tensors: ScanTensors,
    config: RefineConfig,
    *,
    model: DiffractionModel | None = None,
    gauge: Gauge | None = None,
    min_coverage: float = 1e-2,
    checkpoint: SolverCheckpoint | None = None,
    on_iteration: IterationHook | None = None,
    ranks: Ranks = ALONE,
    together: Together | None = None,
    as_stated: bool = False,
) -> Refined:
    """Fit object, probe modes and positions to the patterns of a whole scan.

    Args:
        start: the object, the probe and the positions to begin with.
        tensors: the scan, on the device that computes; its positions are not used.
        config: what is refined, how often, and with which steps.
        model: of the patterns; the far field with shifted probes by default. A background of `start` replaces its.
        gauge: what is known of the start probe; by default that it is in sqrt(photons).
        min_coverage: where the placed intensity is below this part of its maximum the object counts as not covered.
        checkpoint: state of an interrupted run with the same arguments, after which to go on.
        on_iteration: called after every iteration.
        ranks: processes that share the work. All make the same call and get the same image; each computes the
            gradients of its own patterns.
        together: of several scans, whose patterns `tensors` holds one after the other; the image is that of all, and
            `Together.parts` has that of each. Its probes are one after the other, (K M, H, W).
        as_stated: fit a background of each pixel without asking withheld photons whether it is needed.

    Returns:
        The image in the frame of the scan, 1 where not covered, by the rules of `with_gauge`; the same seed gives the
        same image.

    Raises:
        ConfigError: `config` names a loss, penalty or constraint that nobody registered, or asks for what several
            scans together do not allow.
        ScanError: the patterns do not make one image; see `check_one_image`.
        PtychoPINNError: the iterations diverged.
        RankError: another rank has ended.
        SolverInterrupted: Ctrl-C; holds the image so far, and the state to give as `checkpoint`.
    """
    model = (model or DiffractionModel()).with_detector(start.background, start.blur_px)
    check_one_image(tensors.scan, model.propagator.name)
    config = with_limit(config, min(start.probe.shape[-2:]))
    if together is not None:
        together.check(config)
    modes = None
    if config.probe_modes == "auto" and checkpoint is None and config.iterations > 0:
        modes = found_modes(start, tensors, config, model, fit=trial_of, predict=photons_in_batches)
        modes = replace(modes, modes=round(ranks.total(modes.modes if ranks.is_first else 0.0)))  # the same in all
        log_modes(modes)
        start = with_mode(start, modes.modes)
    if config.background == "pattern" and config.iterations <= PATTERN_FROM:
        if config.iterations > 0:
            log_too_short(config.iterations)
        config = config.changed(background="flat")
    if config.background == "pattern" and not as_stated:
        needed = _needs_pattern(start, tensors, config, model, checkpoint)
        if not ranks.total(float(needed) if ranks.is_first else 0.0):  # the same in all
            config = config.changed(background="flat" if model.background is not None else "auto")
    frame = _frame(start, config)
    solver = Solver(estimate_of(start, frame, tensors.device, together), tensors, config, model, ranks, together)
    config = solver.config
    logger.info("penalties: smoothness %.4g photons, edge_preserving %s", config.smoothness, config.edge_preserving)
    started = time.perf_counter()
    reached = checkpoint or SolverCheckpoint(solver.snapshot(), ())
    solver.restore(reached.tensors)
    stopped = False
    try:
        for iteration in range(len(reached.deviance), config.iterations):
            deviance = (*reached.deviance, float(solver.iterate(iteration)))
            _check_bounded(deviance)
            reached = SolverCheckpoint(solver.snapshot(), deviance)
            _log_progress(iteration, config.iterations, deviance[-1])
            if on_iteration is not None:
                on_iteration(iteration + 1, config.iterations, {"deviance": deviance[-1]})
    except KeyboardInterrupt:
        stopped = True
        solver.restore(reached.tensors)
    seconds = time.perf_counter() - started
    together = together and together.with_doses(solver.state.estimate)
    image = _described(_image(start, frame, solver, min_coverage), start, config, reached.deviance, solver.material)
    if modes is not None:
        image.metadata["refine"].update(modes.entry())
    if config.positions:
        _report_positions(image, start, config, solver.positions_deviation_px)
    if config.object and _is_low_dose(tensors):
        image = _with_counted_photons(image, tensors, model, ALONE if stopped else ranks, together)
    image = with_gauge(
        image,
        gauge or Gauge(),
        model,
        probe_refined=config.probe,
        object_refined=config.object,
        frame=Frame.of_scan(tensors.scan, frame),
    )
    if together is not None:
        image = with_photons_of(image, together.whole(image), gauge or Gauge())
    log_gauge(image)
    if stopped:
        raise SolverInterrupted(image, reached, together)
    return Refined(image, list(reached.deviance), seconds, together)


def _needs_pattern(
    start: Reconstruction,
    tensors: ScanTensors,
    config: RefineConfig,
    model: DiffractionModel,
    checkpoint: SolverCheckpoint | None,
) -> bool:
    """Whether the background of each pixel is fitted; an interrupted run keeps what it decided."""
    if checkpoint is not None:
        known = checkpoint.tensors.get("background")
        return known is not None and known.numel() > 1
    trials = Trials.of(start, tensors, config, model, partial(trial_of, as_stated=True), photons_in_batches)
    if trials is None:
        log_without_counts()
        return True
    found = pattern_gain(trials)
    log_gain(found)
    return found is not None and found.is_second_better


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep what the solver says of a trial out of the log: it is not the result."""

    def passes(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def photons_per_px_of(image: Reconstruction, tensors: ScanTensors) -> float:
    """Measured photons on a pixel of the object, under the probe and at the positions of an image."""
    frame = Frame.of_positions(image.positions_px, image.probe.shape[-1], margin=2)
    return photons_per_px(tensors, placed_power(estimate_of(image, frame, tensors.device), RefineConfig().batch_size))


def trial_of(
    start: Reconstruction,
    tensors: ScanTensors,
    config: RefineConfig,
    model: DiffractionModel,
    *,
    as_stated: bool = False,
) -> Reconstruction | None:
    """The image of a trial, of which nothing is logged; None where its iterations diverge."""
    try:
        with unlogged():
            return refine(start, tensors, config, model=model, as_stated=as_stated).reconstruction
    except PtychoPINNError:
        return None


@torch.inference_mode()
def photons_in_batches(
    image: Reconstruction,
    tensors: ScanTensors,
    model: DiffractionModel | None = None,
    batch_size: int = 64,
    ranks: Ranks = ALONE,
    together: Together | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """Photons (B, H, W), on the device of the tensors, that an image predicts with its own probe and positions.

    Args:
        image: object, probe and positions.
        tensors: the scan.
        model: of the patterns; the far field with shifted probes by default. A background of the image replaces its.
        batch_size: patterns at once.
        ranks: only the patterns of this rank are modelled.
        together: of an image of several scans.

    Yields:
        Which patterns, in their order, and their photons.
    """
    frame = Frame.of_positions(image.positions_px, image.probe.shape[-1], margin=2)
    estimate = estimate_of(image, frame, tensors.device, together)
    model = (model or DiffractionModel()).with_detector(image.background, image.blur_px)
    for part in tensors.slices(batch_size, ranks.own(len(tensors))):
        yield part, photons_at(estimate, model, part)


def photons_of(
    image: Reconstruction, tensors: ScanTensors, model: DiffractionModel | None = None, batch_size: int = 64
) -> Tensor:
    """The same of all patterns, (N, H, W), on the CPU."""
    return torch.cat([photons.cpu() for _, photons in photons_in_batches(image, tensors, model, batch_size)])


def _frame(start: Reconstruction, config: RefineConfig) -> Frame:
    """A canvas that holds every window, wherever its position may move."""
    room = math.ceil(limit_px(config)) if config.positions else 0
    return Frame.of_positions(start.positions_px, start.probe.shape[-1], margin=2 + room)


def estimate_of(
    start: Reconstruction, frame: Frame, device: torch.device, together: Together | None = None
) -> Estimate:
    """Object, probe and positions of an image as tensors, on the canvas of a frame that holds all its windows."""
    object_ = torch.from_numpy(start.in_frame(frame.origin_px, frame.shape)[0]).to(device)
    probe = torch.from_numpy(start.probe).to(device)
    exact = torch.float32 if device.type == "mps" else torch.float64
    positions = torch.from_numpy(start.positions_px - np.asarray(frame.origin_px)).to(device, exact)
    check_inside(positions, (probe.shape[-2], probe.shape[-1]), frame.shape)
    factors = None if start.intensities is None else torch.from_numpy(start.intensities).to(device, exact)
    estimate = Estimate(object_, probe, positions, factors, _relaxation_of(start, device, exact))
    return estimate if together is None else together.given(estimate)


def photons_at(estimate: Estimate, model: DiffractionModel, part: slice) -> Tensor:
    """Photons (B, H, W) that an estimate predicts in some patterns."""
    return model(estimate.object_, estimate.positions_px[part], estimate.probes(part), estimate.factors(part))


def _relaxation_of(start: Reconstruction, device: torch.device, exact: torch.dtype) -> ProbeRelaxation | None:
    if start.relaxation_modes is None or start.relaxation_weights is None:
        return None
    modes, weights = (torch.from_numpy(one).to(device) for one in (start.relaxation_modes, start.relaxation_weights))
    return ProbeRelaxation(modes, weights.to(exact))


def _check_bounded(deviance: Sequence[float]) -> None:
    highest = LARGEST_DEVIANCE * max(1, deviance[0])
    if not math.isfinite(deviance[-1]) or deviance[-1] > highest:
        raise PtychoPINNError(
            f"refinement diverged in iteration {len(deviance)}: the deviance is {deviance[-1]:.4g} and must "
            f"be at most {highest:.4g}; lower reconstruction.refine.object_step, probe_step or momentum, or raise "
            "reconstruction.refine.damping"
        )


def _log_progress(iteration: int, total: int, deviance: float) -> None:
    if (iteration + 1) % max(1, total // _LOG_LINES) == 0 or iteration + 1 == total:
        logger.info("refined %d/%d: deviance per pixel %.5g", iteration + 1, total, deviance)


def _log_material(correlation: float) -> None:
    text = "single-material penalty: absorption and phase have a correlation of %.3f"
    if abs(correlation) < LEAST_CORRELATION:
        text += "; the sample may have several materials, compare with reconstruction.refine.single_material=0"
        logger.warning(text, correlation)
    else:
        logger.info(text, correlation)


def _image(start: Reconstruction, frame: Frame, solver: Solver, min_coverage: float) -> Reconstruction:
    """The estimate on the canvas of the solver, 1 where not covered."""
    estimate, power = solver.state.estimate, solver.state.power
    relaxation = estimate.relaxation
    coverage = power / power.amax()
    covered = coverage >= min_coverage
    return replace(
        start,
        object_=torch.where(covered, estimate.object_, torch.ones_like(estimate.object_)).cpu().numpy(),
        coverage=torch.where(covered, coverage, torch.zeros_like(coverage)).cpu().numpy(),
        origin_px=np.asarray(frame.origin_px),
        positions_px=estimate.positions_px.cpu().double().numpy() + np.asarray(frame.origin_px),
        probe=estimate.probe.cpu().numpy(),
        background=start.background if solver.fitted_background is None else solver.fitted_background,
        blur_px=start.blur_px if solver.fitted_blur_px is None else solver.fitted_blur_px,
        intensities=None if estimate.intensities is None else estimate.intensities.cpu().double().numpy(),
        relaxation_modes=None if relaxation is None else relaxation.modes.cpu().numpy(),
        relaxation_weights=None if relaxation is None else relaxation.weights.cpu().double().numpy(),
    )


def _is_low_dose(tensors: ScanTensors) -> bool:
    """Whether `SOLVER_PHOTONS`, which the likelihood adds to each pixel, are missing in the object noticeably."""
    return SOLVER_PHOTONS * tensors.pattern_size**2 > LEAST_SHARE * tensors.mean_counts_per_pattern()


def _with_counted_photons(
    image: Reconstruction,
    tensors: ScanTensors,
    model: DiffractionModel,
    ranks: Ranks,
    together: Together | None,
) -> Reconstruction:
    """The image with the most likely factor: it predicts as many photons as were counted."""
    counted = expected = 0.0
    for part, photons in photons_in_batches(image, tensors, model, ranks=ranks, together=together):
        measured = tensors.measured_of(part)
        seen = 1.0 if measured is None else measured
        counted += float((tensors.counts_of(part) * seen).sum(dtype=torch.float64))
        expected += float((photons * seen).sum(dtype=torch.float64))
    counted, expected = ranks.total(counted), ranks.total(expected)
    factor = math.sqrt(counted / expected) if expected > 0 else 1.0
    return replace(image, object_=np.where(image.covered, factor * image.object_, image.object_))


def _report_positions(
    image: Reconstruction, start: Reconstruction, config: RefineConfig, deviation_px: float | None
) -> None:
    """Put what positions did among the metadata of the image, and log it."""
    entry = position_report(
        start.positions_px, image.positions_px, limit_px=limit_px(config), deviation_px=deviation_px
    )
    image.metadata["refine"]["moved_positions"] = entry
    log_positions(entry)


def _described(
    image: Reconstruction,
    start: Reconstruction,
    config: RefineConfig,
    deviance: Sequence[float],
    material: tuple[complex, float] | None,
) -> Reconstruction:
    """The image with what was done to it among its metadata."""
    moved = image.positions_px - start.positions_px
    entry: dict[str, Any] = {
        "iterations": config.iterations,
        "probe": config.probe,
        "positions": config.positions,
        "smoothness": config.smoothness,
        "edge_preserving": config.edge_preserving,
    }
    entry["deviance_of_iterations"] = list(deviance)
    if deviance:
        entry["deviance_per_pixel"] = deviance[-1]
    if config.positions:
        entry["positions_moved_rms_px"] = float(np.sqrt(np.square(moved).mean()))
    if image.background is not None:
        entry["background_photons"] = image.background_photons
        kind = "" if np.ndim(image.background) == 0 else ", the mean of a pattern"
        logger.info("background: %.4g photons per pixel%s", image.background_photons, kind)
    if image.blur_px is not None:
        entry["blur_px"] = image.blur_px
        logger.info("point spread of the detector: %.3g px (standard deviation)", image.blur_px)
    if image.intensities is not None:
        entry["intensities_rms"] = float(image.intensities.std())
        logger.info("intensities of the patterns: %.3g %% rms", 100 * entry["intensities_rms"])
    if image.relaxation_modes is not None:
        powers = image.relaxation_powers
        entry |= {"probe_relaxation": sum(powers), "probe_relaxation_powers": powers}
        logger.info(
            "the probe varies from pattern to pattern by modes with %s of its photons",
            ", ".join(f"{power:.2%}" for power in powers),
        )
    if material is not None:
        direction, correlation = material
        entry["material_angle_rad"] = math.atan2(direction.imag, direction.real)
        entry["material_correlation"] = correlation
        _log_material(correlation)
    return replace(image, metadata={**image.metadata, "refine": entry})
