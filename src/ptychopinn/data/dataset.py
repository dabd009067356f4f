"""A scan as tensors on the device, and groups gathered from it by index."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from warnings import catch_warnings, filterwarnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.chunks import as_contiguous, changed_masks
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


_SUMMED_TOGETHER = 64
"""Patterns of which counts are made at once where all are summed."""
_SIGNED = {np.dtype(np.uint16): np.int16, np.dtype(np.uint32): np.int32, np.dtype(np.uint64): np.int64}
"""Types whose elements torch cannot select on every device, with the type that has the same bits."""


class _Recorded:
    """Patterns in the type in which they were recorded, on one device; float32 when selected.

    Floats on another device than the host, and those that torch does not have, are held in float32.

    Args:
        patterns: (N, H, W); on the host their memory is shared, and only read.
        device: where they live.
    """

    def __init__(self, patterns: NDArray[Any], device: torch.device) -> None:
        is_shared = patterns.dtype.kind != "f" or (device.type == "cpu" and patterns.dtype.itemsize <= 8)
        kind = patterns.dtype.newbyteorder("=") if is_shared else np.dtype(np.float32)
        patterns = as_contiguous(patterns, kind)
        signed = _SIGNED.get(patterns.dtype)
        self._wrap = 0.0 if signed is None else 2.0 ** (8 * patterns.dtype.itemsize)
        patterns = patterns if signed is None else patterns.view(signed)
        self._type = None if patterns.flags.aligned else getattr(torch, patterns.dtype.name)
        self._values = _shared(patterns if self._type is None else patterns.view(np.uint8)).to(device)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        values = self._values[index]
        if self._type is not None:  # values of a map of a file, which may begin at any byte: aligned in a copy
            values = (values.clone() if isinstance(index, slice) else values).view(self._type)
        values = values.to(torch.float32)
        return torch.where(values < 0, values + self._wrap, values) if self._wrap else values


def _shared(array: NDArray[Any]) -> Tensor:
    """A tensor in the memory of an array that may be read-only: it is never written to."""
    with catch_warnings():
        filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


class ScanTensors:
    """A scan that lives on one device; groups are gathered by index, with no loop over patterns.

    The patterns stay as they were recorded, on the host in the memory of the scan; counts and amplitudes are made of
    those that a step asks for.

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
        self._patterns = _Recorded(scan.patterns, self.device)
        self.measured: Tensor | None = None
        if scan.bad_pixels is not None and scan.bad_pixels.any():
            self.measured = torch.from_numpy(changed_masks(scan.bad_pixels, np.logical_not)).to(self.device)
        positions = torch.from_numpy(np.ascontiguousarray(scan.positions_px))
        whole, remainder = split_position(positions)
        self._whole_host = whole.numpy()
        self.positions_px = positions.to(self.device, torch.float32 if self.device.type == "mps" else torch.float64)
        self.whole_px = whole.to(self.device)
        self.remainder_px = remainder.float().to(self.device)
        labels = scan.truth_patches if labels is None else labels
        self.labels = None if labels is None else _shared(labels).to(self.device)

    def __len__(self) -> int:
        return len(self.scan)

    def amplitude_of(self, index: Tensor | slice) -> Patterns:
        """Amplitudes (..., H, W) of the patterns `index`, sqrt(photons), float32; 0 at bad pixels."""
        values = self._without_bad(self._patterns[index], index)
        return values.sqrt() if self.scan.domain == "counts" else values

    def counts_of(self, index: Tensor | slice) -> Patterns:
        """Counts (..., H, W) of the patterns `index`, photons, float32; 0 at bad pixels."""
        values = self._without_bad(self._patterns[index], index)
        return values if self.scan.domain == "counts" else values.square()

    @property
    def amplitude(self) -> Patterns:
        """(N, H, W), sqrt(photons): of all patterns, made anew."""
        return self.amplitude_of(slice(None))

    def slices(self, size: int, part: slice = slice(None)) -> list[slice]:
        """The patterns of a part, by default all, in their order, `size` at a time."""
        first, last, _ = part.indices(len(self))
        return [slice(start, min(start + size, last)) for start in range(first, last, size)]

    def with_probe(self, probe: Tensor, shifts_px: Tensor | None = None) -> "ScanTensors":
        """The same patterns, which share all memory, with a probe (M, H, W) and shifts (N, 2) of their own."""
        other = copy(self)
        other.probe, other.shifts_px = probe, shifts_px
        return other

    @property
    def pattern_size(self) -> int:
        """Rows (and columns) of a pattern."""
        return self.scan.pattern_size

    def mean_counts_per_pattern(self) -> float:
        """Mean over patterns of the summed counts of measured pixels, photons."""
        return float(self._counts_per_pattern.mean())

    def mean_count(self, index: NDArray[np.int64]) -> float:
        """Mean count of the measured pixels of the patterns `index`, photons."""
        counts = self._counts_per_pattern[index]
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
            return len(self) * self.pattern_size**2
        return self.measured.sum() * (1 if has_own_masks(self.measured) else len(self))

    @cached_property
    def _counts_per_pattern(self) -> Tensor:
        """(N,) float64 on the host: photons on measured pixels."""
        sums = [self.counts_of(part).sum((-2, -1)) for part in self.slices(_SUMMED_TOGETHER)]
        return torch.cat(sums).cpu().double()

    def _without_bad(self, values: Tensor, index: Tensor | slice) -> Tensor:
        """What a bad pixel holds goes no further."""
        measured = self.measured_of(index)
        return values if measured is None else values.masked_fill(~measured, 0)

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
            amplitude=self.amplitude_of(rows),
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


def scaling_constants(tensors: ScanTensors) -> tuple[float, float]:
    """Factors that make, on the mean over the patterns, the summed squared amplitude H^2 and the summed amplitude 1."""
    squares, sums = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for some in tensors.slices(_SUMMED_TOGETHER):
        amplitude = tensors.amplitude_of(some).cpu().double()
        squares, sums = squares + amplitude.square().sum(), sums + amplitude.sum()
    count, size = len(tensors), tensors.pattern_size
    return float((size**2 * count / squares).sqrt()), float(count / sums)
