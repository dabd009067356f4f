"""A scan as tensors on the device, and groups gathered from it by index."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.masks import has_own_masks, masks_of
from ptychopinn.data.scan import Scan
from ptychopinn.physics import split_position
from ptychopinn.typing import Mask, Patches, Patterns, Positions


@dataclass(frozen=True)
class Batch:
    """B groups of G patterns."""

    index: Tensor
    """(B, G) int64, into the scan."""
    amplitude: Patterns
    """(B, G, H, W), sqrt(photons)."""
    measured: Mask | None
    """(B, G, H, W) or (H, W) bool; none where every pixel was measured."""
    whole_px: Tensor
    """(B, G, 2) int64, on the canvas of each group, one pixel wider than its windows on every side."""
    remainder_px: Positions
    """(B, G, 2), fractional part of the positions."""
    relative_px: Positions
    """(B, G, 2), positions minus the group centre."""
    canvas_shape: tuple[int, int]
    """(Y, X) that holds every group of the batch."""
    labels: Patches | None
    """(B, G, H, W) complex, where the scan has them."""
    mirrored: Callable[[Tensor], Tensor] | None = None
    """How the probe has to be mirrored to belong to this batch; none for the experiment as it was."""
    probe: Tensor | None = None
    """(M, H, W), sqrt(photons), of a scan that has a beam of its own; none for the beam of the model."""
    shifts_px: Tensor | None = None
    """(B, G, 2), (y, x), added to the positions: what training has fitted; none for the model's own, if any."""
    mean_count: float | None = None
    """Mean count of a pixel of a scan that has a beam of its own, photons."""
    seen: Patterns | None = None
    """(B, G, H, W), sqrt(photons), of those counts that a generator is shown; none for all. See `data.thinning`."""
    hidden_fraction: float = 1.0
    """Part of the photons that the loss compares with: 1 where the counts were not thinned."""

    @property
    def hidden_counts(self) -> Patterns:
        """(B, G, H, W), photons that the loss compares with."""
        counts = self.amplitude.square()
        return counts if self.seen is None else (counts - self.seen.square()).clamp_min(0)


class ScanTensors:
    """A scan that lives on one device; groups are gathered by index, with no loop over patterns.

    Args:
        scan: what was measured.
        device: where the tensors live.
        labels: (N, H, W) complex, instead of the scan's own labels.
    """

    probe: Tensor | None = None
    """(M, H, W), given to every batch; see `Batch.probe`."""
    shifts_px: Tensor | None = None
    """(N, 2), given to every batch; see `Batch.shifts_px`."""
    batch_mean_count: float | None = None
    """Given to every batch; see `Batch.mean_count`."""

    def __init__(self, scan: Scan, device: torch.device | str = "cpu", labels: NDArray[np.complex64] | None = None):
        self.scan = scan
        self.device = torch.device(device)
        self.amplitude = torch.from_numpy(scan.amplitudes()).to(self.device)
        self.measured: Tensor | None = None
        if scan.bad_pixels is not None and scan.bad_pixels.any():
            self.measured = torch.from_numpy(~scan.bad_pixels).to(self.device)
            self.amplitude.masked_fill_(~self.measured, 0)  # what a bad pixel holds goes no further
        positions = torch.from_numpy(np.ascontiguousarray(scan.positions_px))
        whole, remainder = split_position(positions)
        self._whole_host = whole.numpy()
        self.positions_px = positions.to(self.device, torch.float32 if self.device.type == "mps" else torch.float64)
        self.whole_px = whole.to(self.device)
        self.remainder_px = remainder.float().to(self.device)
        labels = scan.truth_patches if labels is None else labels
        self.labels = None if labels is None else torch.from_numpy(labels).to(self.device)

    def __len__(self) -> int:
        return len(self.amplitude)

    def with_probe(self, probe: Tensor, shifts_px: Tensor | None = None) -> "ScanTensors":
        """The same patterns, which share all memory, with a probe (M, H, W) and shifts (N, 2) of their own."""
        other = copy(self)
        other.probe, other.shifts_px = probe, shifts_px
        return other

    @property
    def pattern_size(self) -> int:
        """Rows (and columns) of a pattern."""
        return int(self.amplitude.shape[-1])

    def mean_counts_per_pattern(self) -> float:
        """Mean over patterns of the summed counts of measured pixels, photons."""
        return float(self._counts_per_pattern().mean())

    def mean_count(self, index: NDArray[np.int64]) -> float:
        """Mean count of the measured pixels of the patterns `index`, photons."""
        counts = self._counts_per_pattern()[index]
        pixels: float | Tensor = len(counts) * self.pattern_size**2
        if self.measured is not None:
            pixels = self.measured.sum((-2, -1)).cpu().expand(len(self))[index].sum()
        return float(counts.sum() / pixels)

    def measured_of(self, index: Tensor | slice) -> Tensor | None:
        """True at the measured pixels of the patterns `index`: (..., H, W), or (H, W) for all; None where all were."""
        return masks_of(self.measured, index)

    def measured_pixels(self) -> float | Tensor:
        """How many pixels of all patterns were measured; a scalar on the device where some were not."""
        if self.measured is None:
            return self.amplitude.numel()
        return self.measured.sum() * (1 if has_own_masks(self.measured) else len(self))

    def _counts_per_pattern(self) -> Tensor:
        """(N,) float64 on the host: photons on measured pixels."""
        return self.amplitude.square().sum((-2, -1)).cpu().double()

    def gather(self, index: NDArray[np.int64]) -> Batch:
        """The groups of a host index table (B, G); nothing waits for the device."""
        whole_host = self._whole_host[index]
        low = whole_host.min(axis=1, keepdims=True)
        extent = (whole_host - low).max(axis=(0, 1))
        size = self.pattern_size
        rows = torch.from_numpy(index).to(self.device)
        whole = torch.from_numpy(whole_host - low + size // 2 + 1).to(self.device)
        positions = self.positions_px[rows]
        return Batch(
            index=rows,
            amplitude=self.amplitude[rows],
            measured=self.measured_of(rows),
            whole_px=whole,
            remainder_px=self.remainder_px[rows],
            relative_px=(positions - positions.mean(1, keepdim=True)).float(),
            canvas_shape=(int(extent[0]) + size + 2, int(extent[1]) + size + 2),
            labels=None if self.labels is None else self.labels[rows],
            probe=self.probe,
            shifts_px=None if self.shifts_px is None else self.shifts_px[rows],
            mean_count=self.batch_mean_count,
        )

    def batches(
        self, groups: NDArray[np.int64], groups_per_batch: int, order: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """Go once through an index table (n_groups, G), in the given order of groups."""
        order = np.arange(len(groups)) if order is None else order
        for start in range(0, len(order), groups_per_batch):
            yield self.gather(groups[order[start : start + groups_per_batch]])
