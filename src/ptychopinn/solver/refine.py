"""From a starting object, any, to the object that explains the patterns of the whole scan: an iterative solver."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame, check_one_image
from ptychopinn.data.reconstruction import Reconstruction, metadata_of
from ptychopinn.data.scan import Scan
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import DiffractionModel, check_inside
from ptychopinn.physics.gradients import Estimate, Subpixel
from ptychopinn.solver.solver import Solver

logger = logging.getLogger("ptychopinn.reconstruction")

IterationHook = Callable[[int, int, dict[str, float]], None]
"""Called with iterations done, iterations in all, and `deviance`: per measured pixel, about 1 for a perfect model."""
_LOG_LINES = 10
UNLIKE = 0.5
"""Correlation of absorption and phase below which one material is doubted."""
DIVERGED = 100.0
"""Deviance, in units of the first iteration's, or 1 where that is less, beyond which there is no way back."""


@dataclass(frozen=True)
class Refined:
    """A refined image, and how it came to be."""

    reconstruction: Reconstruction
    """With the refined probe and positions."""
    deviance: list[float]
    """Per measured pixel, over each iteration: about 1 for a perfect model where pixels hold many photons."""
    seconds: float
    """Time of the iterations."""


def flat_start(scan: Scan, probe: Tensor) -> Reconstruction:
    """An object of 1 everywhere, under a probe (M, H, W) in sqrt(photons), at the positions of a scan."""
    windows = Frame.of_scan(scan, Frame.of_positions(_whole(scan.positions_px), scan.pattern_size))
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


@torch.inference_mode()
def refine(
    start: Reconstruction,
    tensors: ScanTensors,
    config: RefineConfig,
    *,
    subpixel: Subpixel = "probe",
    min_coverage: float = 1e-2,
    tell: IterationHook | None = None,
) -> Refined:
    """Fit object, probe modes and positions to the patterns of a whole scan.

    Args:
        start: the object, the probe and the positions to begin with.
        tensors: the scan, on the device that computes; its positions are not used.
        config: what is refined, how often, and with which steps.
        subpixel: as in `DiffractionModel`.
        min_coverage: where the placed light is below this part of its maximum the object counts as not covered.
        tell: told after every iteration.

    Returns:
        The image in the frame of the scan, 1 where not covered; the same seed gives the same image.

    Raises:
        ScanError: the patterns do not make one image; see `check_one_image`.
        PtychoPINNError: the iterations diverged.
    """
    check_one_image(tensors.scan)
    frame = _frame(start, config)
    solver = Solver(_estimate(start, frame, tensors.device), tensors, config, subpixel)
    started = time.perf_counter()
    deviance: list[float] = []
    for iteration in range(config.iterations):
        deviance.append(float(solver.iterate(iteration)))
        _check_bounded(deviance)
        _say(iteration, config.iterations, deviance[-1])
        if tell is not None:
            tell(iteration + 1, config.iterations, {"deviance": deviance[-1]})
    seconds = time.perf_counter() - started
    image = _image(start, frame, solver, tensors.scan, min_coverage)
    return Refined(_described(image, start, config, deviance, solver.material), deviance, seconds)


@torch.inference_mode()
def photons_of(
    image: Reconstruction, tensors: ScanTensors, subpixel: Subpixel = "probe", batch_size: int = 64
) -> Tensor:
    """Photons (N, H, W), on the CPU, that an image predicts with its own probe and positions."""
    frame = Frame.of_positions(_whole(image.positions_px), image.probe.shape[-1], margin=2)
    now = _estimate(image, frame, tensors.device)
    model = DiffractionModel(subpixel)
    parts = [model(now.object_, positions, now.probe).cpu() for positions in now.positions_px.split(batch_size)]
    return torch.cat(parts)


def _whole(positions_px: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(positions_px + 0.5).astype(np.int64)


def _frame(start: Reconstruction, config: RefineConfig) -> Frame:
    """A canvas that holds every window, wherever its position may move."""
    room = math.ceil(config.positions_limit_px) if config.positions else 0
    return Frame.of_positions(_whole(start.positions_px), start.probe.shape[-1], margin=2 + room)


def _estimate(start: Reconstruction, frame: Frame, device: torch.device) -> Estimate:
    object_ = torch.from_numpy(start.in_frame(frame.origin_px, frame.shape)[0]).to(device)
    probe = torch.from_numpy(start.probe).to(device)
    exact = torch.float32 if device.type == "mps" else torch.float64
    positions = torch.from_numpy(start.positions_px - np.asarray(frame.origin_px)).to(device, exact)
    check_inside(positions, (probe.shape[-2], probe.shape[-1]), frame.shape)
    return Estimate(object_, probe, positions)


def _check_bounded(deviance: list[float]) -> None:
    highest = DIVERGED * max(1, deviance[0])
    if not math.isfinite(deviance[-1]) or deviance[-1] > highest:
        raise PtychoPINNError(
            f"refinement diverged in iteration {len(deviance)}: the deviance is {deviance[-1]:.4g}; the rule is at "
            f"most {highest:.4g}, so lower reconstruction.refine.object_step, probe_step or momentum, or raise "
            "reconstruction.refine.damping"
        )


def _say(iteration: int, total: int, deviance: float) -> None:
    if (iteration + 1) % max(1, total // _LOG_LINES) == 0 or iteration + 1 == total:
        logger.info("refined %d/%d: deviance per pixel %.5g", iteration + 1, total, deviance)


def _say_material(correlation: float) -> None:
    text = "held to one material: absorption and phase have a correlation of %.3f"
    if abs(correlation) < UNLIKE:
        text += "; the sample may have several, so compare with reconstruction.refine.single_material=0"
        logger.warning(text, correlation)
    else:
        logger.info(text, correlation)


def _image(start: Reconstruction, frame: Frame, solver: Solver, scan: Scan, min_coverage: float) -> Reconstruction:
    coverage = solver.probe_power / solver.probe_power.amax()
    covered = coverage >= min_coverage
    object_ = torch.where(covered, solver.now.object_, torch.ones_like(solver.now.object_)).cpu().numpy()
    goal = Frame.of_scan(scan, frame)
    return replace(
        start,
        object_=frame.moved(object_, goal, fill=1),
        coverage=frame.moved(torch.where(covered, coverage, torch.zeros_like(coverage)).cpu().numpy(), goal, fill=0),
        origin_px=np.asarray(goal.origin_px),
        positions_px=solver.now.positions_px.cpu().double().numpy() + np.asarray(frame.origin_px),
        probe=solver.now.probe.cpu().numpy(),
    )


def _described(
    image: Reconstruction,
    start: Reconstruction,
    config: RefineConfig,
    deviance: list[float],
    material: tuple[complex, float] | None,
) -> Reconstruction:
    """The image with what was done to it among its metadata."""
    moved = image.positions_px - start.positions_px
    told: dict[str, Any] = {"iterations": config.iterations, "probe": config.probe, "positions": config.positions}
    if deviance:
        told["deviance_per_pixel"] = deviance[-1]
    if config.positions:
        told["positions_moved_rms_px"] = float(np.sqrt(np.square(moved).mean()))
    if material is not None:
        direction, correlation = material
        told["material_angle_rad"] = math.atan2(direction.imag, direction.real)
        told["material_correlation"] = correlation
        _say_material(correlation)
    return replace(image, metadata={**image.metadata, "refine": told})
