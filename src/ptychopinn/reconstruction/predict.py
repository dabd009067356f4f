"""From a trained model and a scan to one image."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import ReconstructionConfig
from ptychopinn.config.backend import DEFAULT
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.frame import Frame, check_one_image
from ptychopinn.data.reconstruction import Reconstruction, metadata_of
from ptychopinn.generators import GroupView
from ptychopinn.models import PatchModel
from ptychopinn.physics import extract_patches
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction.stitch import ScanStitcher
from ptychopinn.reconstruction.unrolled import ScanScene

logger = logging.getLogger("ptychopinn.reconstruction")

Progress = Callable[[int, int], None]
"""Called with the number of groups done and of all groups."""


@dataclass(frozen=True)
class Timing:
    """Where the time of a reconstruction went, s."""

    predict_s: float
    stitch_s: float
    patterns: int

    @property
    def patterns_per_s(self) -> float:
        """Patterns predicted and stitched per second."""
        return self.patterns / max(self.predict_s + self.stitch_s, 1e-9)


@torch.inference_mode()
def predict_and_stitch(
    model: PatchModel,
    tensors: ScanTensors,
    groups: NDArray[np.int64],
    config: ReconstructionConfig,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> tuple[Reconstruction, Timing]:
    """Predict the patches of every group in batches and stitch them as they come.

    An unrolled generator solves for the whole scan first, and its patches are cut from that object.

    Args:
        model: trained, on the device of the tensors.
        tensors: the scan.
        groups: (n_groups, G); every pattern in at least one. Patterns that are encoded alone need only groups
            of one.
        config: batch size, weights, coverage threshold.
        progress: called after every batch, and after every pass of a solver, with the groups of this rank.
        ranks: each predicts and stitches its own groups, and the canvases are added up: all have the whole image.

    Raises:
        ScanError: the patterns do not make one image; see `check_one_image`.
    """
    check_one_image(tensors.scan, model.config.propagation)
    model.eval()
    stitcher = ScanStitcher(tensors.scan, config, tensors.device)
    predict_s = 0.0
    groups = groups[ranks.own(len(groups))]
    start, report = time.perf_counter(), _rising(progress)
    patches_of = _patch_source(
        model,
        tensors,
        config.batch_size,
        config.physics_steps,
        lambda part: report(int(part * (len(groups) - 1)), len(groups)),
        ranks,
    )
    predict_s += time.perf_counter() - start
    timing = add_predicted(model, tensors, groups, config, stitcher, patches_of, report)
    start = time.perf_counter()
    stitcher.complete(ranks)
    result = stitched_image(model, tensors, stitcher)
    stitch_s = timing.stitch_s + time.perf_counter() - start
    return result, Timing(predict_s + timing.predict_s, stitch_s, len(tensors))


@torch.inference_mode()
def add_predicted(
    model: PatchModel,
    tensors: ScanTensors,
    groups: NDArray[np.int64],
    config: ReconstructionConfig,
    stitcher: ScanStitcher,
    patches_of: Callable[[Batch, GroupView], Tensor] | None = None,
    report: Progress | None = None,
) -> Timing:
    """Predict the patches of every group in batches, and add them to a canvas.

    Args:
        model: trained, on the device of the tensors.
        tensors: the scan.
        groups: (n_groups, G).
        config: batch size.
        stitcher: its canvas holds every window.
        patches_of: patches (B, G, H, W) of a batch; by default those of the network.
        report: called after every batch.
    """
    patches_of = patches_of or (lambda batch, view: model.generator(view))
    predict_s = stitch_s = 0.0
    per_batch = max(1, config.batch_size // groups.shape[1])
    for number, batch in enumerate(tensors.batches(groups, per_batch)):
        start = time.perf_counter()
        view = model.view(batch)
        patches = patches_of(batch, view)
        _wait(tensors.device)
        middle = time.perf_counter()
        positions = scan_positions(model, tensors, batch)
        stitcher.add(patches.flatten(0, 1), view.power.flatten(0, 1), positions.flatten(0, 1))
        _wait(tensors.device)
        predict_s += middle - start
        stitch_s += time.perf_counter() - middle
        if report is not None:
            report(min((number + 1) * per_batch, len(groups)), len(groups))
    return Timing(predict_s, stitch_s, len(tensors))


def _patch_source(
    model: PatchModel,
    tensors: ScanTensors,
    batch_size: int,
    first_steps: int | None = None,
    report: Callable[[float], None] | None = None,
    ranks: Ranks = ALONE,
) -> Callable[[Batch, GroupView], Tensor]:
    """Patches (B, G, H, W) of a batch: from the network, or from the object of the whole scan if it is unrolled.

    Args:
        model: trained.
        tensors: the scan.
        batch_size: patterns that a solver takes at once.
        first_steps: physics steps of its first stage.
        report: called after each of its passes with the part that is done.
        ranks: share the passes of a solver.
    """
    solver = model.generator.scene_solver
    if solver is None:
        return lambda batch, view: model.generator(view)
    passes = solver.passes(first_steps)
    count = iter(range(1, passes + 1))
    on_pass = None if report is None else lambda: report(next(count) / passes)
    scene = ScanScene(model, tensors, batch_size, on_pass, ranks)
    canvas = solver.canvases(scene, first_steps)[-1]
    _wait(tensors.device)
    return lambda batch, view: scene.patches(canvas, batch.index, batch.remainder_px)


def _rising(progress: Progress | None) -> Progress:
    """Reports only what is more than before: the passes of a solver come first, then the batches."""
    reported = 0

    def report(done: int, groups: int) -> None:
        nonlocal reported
        if progress is not None and done > reported:
            reported = done
            progress(done, groups)

    return report


def scan_positions(model: PatchModel, tensors: ScanTensors, batch: Batch) -> Tensor:
    """Positions (B, G, 2) in the object frame at which the model's patches lie."""
    return model.physics.place(tensors.whole_px[batch.index], batch.remainder_px)


def stitched_image(model: PatchModel, tensors: ScanTensors, stitcher: ScanStitcher) -> Reconstruction:
    """What was stitched, with the probe and the positions that apply."""
    scan = tensors.scan
    object_, coverage, origin = stitcher.finish()
    fitted = 0.0 if tensors.shifts_px is None else tensors.shifts_px.cpu().double().numpy()
    return Reconstruction(
        object_=object_,
        coverage=coverage,
        origin_px=np.asarray(origin),
        positions_px=scan.positions_px + fitted,
        probe=model.probe_of(tensors).detach().cpu().numpy(),
        pixel_size_m=scan.pixel_size_m,
        geometry=scan.geometry,
        metadata=metadata_of(scan, getattr(model.generator, "backend", DEFAULT)),
    )


@torch.inference_mode()
def predict_patches(
    model: PatchModel,
    tensors: ScanTensors,
    groups: NDArray[np.int64],
    batch_size: int = 64,
    *,
    config: ReconstructionConfig | None = None,
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Patches (n_groups, G, H, W) of every group, and the power of the probes (n_groups, G, H, W) over them.

    Args:
        model: trained, on the device of the tensors.
        tensors: the scan.
        groups: (n_groups, G).
        batch_size: patterns predicted at once.
        config: how an unrolled generator solves for the whole scan, from which its patches are cut; without it every
            group is solved alone, as where the positions of different groups say nothing of each other.
    """
    model.eval()
    per_batch = max(1, batch_size // groups.shape[1])
    patches, power = [], []
    patches_of = (
        (lambda batch, view: model.generator(view))
        if config is None
        else _patch_source(model, tensors, batch_size, config.physics_steps)
    )
    for batch in tensors.batches(groups, per_batch):
        view = model.view(batch)
        patches.append(patches_of(batch, view).cpu().numpy())
        power.append(view.power.cpu().numpy())
    return np.concatenate(patches), np.concatenate(power)


@torch.inference_mode()
def expected_counts(
    model: PatchModel,
    tensors: ScanTensors,
    reconstruction: Reconstruction,
    batch_size: int = 64,
    ranks: Ranks = ALONE,
) -> Iterator[tuple[slice, Tensor]]:
    """Photons (B, H, W) that the stitched object and the model's probe predict, with the patterns they belong to."""
    size = tensors.pattern_size
    windows = Frame.of_positions(tensors.whole_px.cpu().numpy(), size, margin=2)
    object_ = torch.from_numpy(reconstruction.in_frame(windows.origin_px, windows.shape)[0]).to(tensors.device)
    origin = torch.tensor(windows.origin_px, device=tensors.device)
    alone = np.arange(len(tensors))[:, None]
    for part in tensors.slices(batch_size, ranks.own(len(tensors))):
        batch = tensors.gather(alone[part])
        view = model.view(batch)
        positions = scan_positions(model, tensors, batch)[:, 0] - origin
        patches = extract_patches(object_, positions, (size, size))
        yield part, model.physics.photons(patches, view.probes[:, 0])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
