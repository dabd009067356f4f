"""Barycentric stitching of a whole scan in streaming batches: placed sum over placed weight."""

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import ReconstructionConfig
from ptychopinn.data.frame import Frame
from ptychopinn.data.scan import Scan
from ptychopinn.physics import add_weighted, average, power_weight
from ptychopinn.physics.merge import central_window
from ptychopinn.ranks import Ranks
from ptychopinn.typing import Canvas, Patches, Patterns

logger = logging.getLogger("ptychopinn.reconstruction")
_SMALLEST = torch.finfo(torch.float32).tiny


class Stitcher:
    """Collects weighted patches on one canvas.

    Args:
        frame: the canvas; it must hold every window.
        device: where the canvas lives.
    """

    def __init__(self, frame: Frame, device: torch.device | str = "cpu") -> None:
        self.frame = frame
        self._origin = torch.tensor(frame.origin_px, device=device)
        self._placed = torch.zeros(frame.shape, dtype=torch.complex64, device=device)
        self._weight = torch.zeros(frame.shape, dtype=torch.float32, device=device)

    def add(self, patches: Patches, weight: Patterns, positions_px: Tensor) -> None:
        """Add patches and weights (P, H, W) at positions (P, 2) of the object frame, whole or fractional."""
        where = positions_px - self._origin
        add_weighted(self._placed, self._weight, patches, weight.expand(patches.shape), where)

    def on(self, frame: Frame) -> "Stitcher":
        """The same on a larger canvas, which holds this one."""
        larger = Stitcher(frame, self._placed.device)
        top, left = (own - other for own, other in zip(self.frame.origin_px, frame.origin_px, strict=True))
        rows, columns = (slice(first, first + n) for first, n in zip((top, left), self.frame.shape, strict=True))
        larger._placed[rows, columns] = self._placed
        larger._weight[rows, columns] = self._weight
        return larger

    def complete(self, ranks: Ranks) -> None:
        """Add what the other ranks have placed on canvases of the same frame."""
        ranks.add(self._placed, self._weight)

    def weight(self) -> Tensor:
        """The placed weight (Y, X) so far."""
        return self._weight

    def object_(self) -> Canvas:
        """The stitched object (Y, X) so far, 1 where nothing was placed."""
        return average(self._placed, self._weight, epsilon=_SMALLEST)

    def finish(self, min_coverage: float) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Object (Y, X) and coverage (Y, X), weight over its maximum; 1 and 0 where not covered."""
        coverage = self._weight / self._weight.max().clamp_min(_SMALLEST)
        covered = coverage >= min_coverage
        object_ = torch.where(covered, self.object_(), torch.ones_like(self._placed))
        coverage = torch.where(covered, coverage, torch.zeros_like(coverage))
        return object_.cpu().numpy(), coverage.cpu().numpy()


def stitch(
    patches: Tensor, weight: Tensor, positions_px: Tensor, frame: Frame, min_coverage: float = 1e-3
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Stitch patches (P, H, W) that are all there already; see `Stitcher`."""
    stitcher = Stitcher(frame, patches.device)
    stitcher.add(patches, weight.expand(patches.shape), positions_px)
    return stitcher.finish(min_coverage)


class ScanStitcher:
    """Stitches the patches of one scan, weighted and framed as a recipe says.

    With the weight `central` only the central windows of patches count, weighted by the probe inside: a beam with a
    dark middle says little there. Where no window reaches, whole patches count, so that wide steps leave no holes.

    Args:
        scan: whose patches they are; its object guess, where it has one, is the frame of the result.
        config: weight, window and coverage threshold.
        device: where the canvas lives.
    """

    def __init__(self, scan: Scan, config: ReconstructionConfig, device: torch.device | str = "cpu") -> None:
        self._scan = scan
        self._config = config
        self._windows = Frame.of_positions(scan.positions_px, scan.pattern_size)
        central = config.weight == "central"
        self._main = Stitcher(self._windows, device)
        self._central = Stitcher(self._windows, device) if central else None

    def cover(self, positions_px: NDArray[np.float64]) -> None:
        """Enlarge the canvas so that it also holds the windows at further positions (N, 2)."""
        frame = self._windows.union(Frame.of_positions(positions_px, self._scan.pattern_size))
        if frame != self._windows:
            self._windows = frame
            self._main = self._main.on(frame)
            self._central = None if self._central is None else self._central.on(frame)

    def add(self, patches: Patches, power: Patterns, positions_px: Tensor) -> None:
        """Add patches (P, H, W), under probes of the given power (P, H, W), at positions (P, 2) of the object frame."""
        weight = power_weight("uniform" if self._config.weight == "uniform" else "probe", power)
        self._main.add(patches, weight, positions_px)
        if self._central is not None:
            window = central_window((patches.shape[-2], patches.shape[-1]), self._config.window_px).to(patches.device)
            self._central.add(patches, window * weight, positions_px)

    def complete(self, ranks: Ranks) -> None:
        """Add the patches of the other ranks."""
        self._main.complete(ranks)
        if self._central is not None:
            self._central.complete(ranks)

    def finish(self) -> tuple[NDArray[np.complex64], NDArray[np.float32], tuple[int, int]]:
        """Object (Y, X) and coverage (Y, X) in the frame of the scan, and the frame's origin, (y, x)."""
        object_, coverage = self._main.finish(self._config.min_coverage)
        if self._central is not None:
            inside = (self._central.weight() > 0).cpu().numpy() & (coverage > 0)
            object_ = np.where(inside, self._central.object_().cpu().numpy(), object_)
        return self._framed(object_, coverage)

    def _framed(
        self, object_: NDArray[np.complex64], coverage: NDArray[np.float32]
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32], tuple[int, int]]:
        frame = Frame.of_scan(self._scan, self._windows)
        covered = int((coverage > 0).sum())
        object_ = self._windows.moved(object_, frame, fill=1)
        coverage = self._windows.moved(coverage, frame, fill=0)
        cropped = covered - int((coverage > 0).sum())
        if cropped:
            logger.warning(
                "%s: %d of %d covered pixels lie outside the frame of objectGuess and are cropped",
                self._scan.source,
                cropped,
                covered,
            )
        return object_, coverage, frame.origin_px
