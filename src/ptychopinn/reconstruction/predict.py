"""From a trained model and a scan to one image."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import ReconstructionConfig
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.models import PatchModel
from ptychopinn.physics import FarField, detect_patches, extract_patches, power_weight
from ptychopinn.reconstruction.canvas import Frame, check_one_image
from ptychopinn.reconstruction.result import Reconstruction
from ptychopinn.reconstruction.stitch import Stitcher

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
) -> tuple[Reconstruction, Timing]:
    """Predict the patches of every group in batches and stitch them as they come.

    Args:
        model: trained, on the device of the tensors.
        tensors: the scan.
        groups: (n_groups, G); every pattern in at least one. Patterns that are encoded alone need only groups
            of one.
        config: batch size, weights, coverage threshold.
        progress: told after every batch.

    Raises:
        ScanError: the patterns do not make one image; see `check_one_image`.
    """
    check_one_image(tensors.scan)
    model.eval()
    size = tensors.pattern_size
    windows = Frame.of_positions(tensors.whole_px.cpu().numpy(), size)
    stitcher = Stitcher(windows, tensors.device)
    predict_s = stitch_s = 0.0
    per_batch = max(1, config.batch_size // groups.shape[1])
    for number, batch in enumerate(tensors.batches(groups, per_batch)):
        start = time.perf_counter()
        view = model.view(batch)
        patches = model.generator(view)
        _wait(tensors.device)
        middle = time.perf_counter()
        weight = power_weight(config.weight, view.power)
        stitcher.add(patches.flatten(0, 1), weight.flatten(0, 1), scan_positions(model, tensors, batch).flatten(0, 1))
        _wait(tensors.device)
        predict_s += middle - start
        stitch_s += time.perf_counter() - middle
        if progress is not None:
            progress(min((number + 1) * per_batch, len(groups)), len(groups))
    start = time.perf_counter()
    result = _result(model, tensors, stitcher, config)
    stitch_s += time.perf_counter() - start
    return result, Timing(predict_s, stitch_s, len(tensors))


def scan_positions(model: PatchModel, tensors: ScanTensors, batch: Batch) -> Tensor:
    """Positions (B, G, 2) in the object frame at which the model's patches lie."""
    whole = tensors.whole_px[batch.index]
    return whole + batch.remainder_px if model.config.subpixel == "bilinear" else whole


def _result(
    model: PatchModel, tensors: ScanTensors, stitcher: Stitcher, config: ReconstructionConfig
) -> Reconstruction:
    scan = tensors.scan
    object_, coverage = stitcher.finish(config.min_coverage)
    whole = Reconstruction(
        object_=object_,
        coverage=coverage,
        origin_px=np.asarray(stitcher.frame.origin_px),
        positions_px=scan.positions_px,
        probe=model.probe.detach().cpu().numpy(),
        pixel_size_m=scan.pixel_size_m,
        metadata={"source": scan.source, "domain": scan.domain, "backend": "pytorch"},
    )
    frame = Frame.of_scan(scan, stitcher.frame)
    object_, coverage = whole.in_frame(frame.origin_px, frame.shape)
    cropped = int(whole.covered.sum()) - int((coverage > 0).sum())
    if cropped:
        logger.warning(
            "%s: %d of %d covered pixels lie outside the frame of objectGuess and are cropped",
            scan.source,
            cropped,
            int(whole.covered.sum()),
        )
    return replace(whole, object_=object_, coverage=coverage, origin_px=np.asarray(frame.origin_px))


@torch.inference_mode()
def expected_counts(
    model: PatchModel, tensors: ScanTensors, reconstruction: Reconstruction, batch_size: int = 64
) -> Tensor:
    """Photons (N, H, W), on the CPU, that the stitched object and the model's probe predict."""
    size = tensors.pattern_size
    windows = Frame.of_positions(tensors.whole_px.cpu().numpy(), size, margin=2)
    object_ = torch.from_numpy(reconstruction.in_frame(windows.origin_px, windows.shape)[0]).to(tensors.device)
    origin = torch.tensor(windows.origin_px, device=tensors.device)
    expected = []
    alone = np.arange(len(tensors))[:, None]
    for batch in tensors.batches(alone, batch_size):
        view = model.view(batch)
        positions = scan_positions(model, tensors, batch)[:, 0] - origin
        patches = extract_patches(object_, positions, (size, size))
        expected.append(detect_patches(patches, view.probes[:, 0], FarField()).cpu())
    return torch.cat(expected)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
