"""Barycentric stitching of a whole scan in streaming batches: placed sum over placed weight."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.physics import accumulate, average
from ptychopinn.reconstruction.canvas import Frame
from ptychopinn.typing import Canvas, Patches, Patterns

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
        placed, total = accumulate(patches, weight, positions_px - self._origin, self.frame.shape)
        self._placed += placed
        self._weight += total

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
