r"""Counts that are split at random into two parts with independent noise.

Each photon goes to the second part with probability q. Of Poisson counts k with mean \(\lambda\) both parts are Poisson
again, with means \((1 - q)\lambda\) and \(q\lambda\), and independent (Neufeld et al. 2023, arXiv:2301.07276). In
training a generator is shown one part and the loss compares with the other, so that it learns the object and not the
noise. Images that are made from one part of a scan can be compared by how well they explain the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import Recipe
from ptychopinn.data.chunks import changed_masks
from ptychopinn.data.dataset import Batch
from ptychopinn.data.large_arrays import new_array
from ptychopinn.data.scan import Scan

PATTERNS_AT_ONCE = 256
"""Patterns that are split together: 32 MB of counts at 128 px, in double precision."""
LEAST_WHOLE = 0.99
"""Part of the counts that must be whole numbers for a scan to hold photons; hot pixels and corrections spoil a few."""
_ROUNDING = 2e-6
"""Relative error of counts that were stored as amplitudes in single precision, with a margin of ten."""


@dataclass(frozen=True, eq=False)
class Split:
    """A scan whose counts were split."""

    scan: Scan
    """The scan with the first part of its counts, float32, and a probe with as many photons less."""
    withheld: NDArray[np.float32]
    """(N, H, W), photons: the second part."""
    fraction: float
    """q, the probability with which a photon was withheld."""

    def withheld_photons(self) -> float:
        """Photons of the second part on measured pixels."""
        measured = None if self.scan.bad_pixels is None else changed_masks(self.scan.bad_pixels, np.logical_not)
        if measured is None:
            return float(self.withheld.sum(dtype=np.float64))
        return float(self.withheld.sum(dtype=np.float64, where=np.broadcast_to(measured, self.withheld.shape)))


def thin(batch: Batch, hidden: float, generator: torch.Generator) -> Batch:
    """The batch with a part of its counts for the generator and the rest for the loss.

    Args:
        batch: of photon counts; what is left of a count that is not a whole number is split in proportion.
        hidden: q, the part for the loss, in (0, 1).
        generator: source of the draws, on the device of the batch.
    """
    counts = batch.amplitude.square()
    return replace(batch, seen=_part(counts, 1 - hidden, generator).sqrt(), hidden_fraction=hidden)


def withhold_photons(scan: Scan, fraction: float, seed: int) -> Split:
    """Split the counts of a whole scan.

    Args:
        scan: of photon counts, see `holds_photons`.
        fraction: q, in (0, 1).
        seed: of the draws.
    """
    first, second = (new_array(scan.patterns.shape, np.float32) for _ in range(2))
    for rows, kept, withheld in _parts(scan, fraction, seed):
        first[rows], second[rows] = kept.numpy(), withheld.numpy()
    probe = scan.probe * np.float32((1 - fraction) ** 0.5)
    return Split(replace(scan, patterns=first, domain="counts", probe=probe), second, fraction)


def half_of_photons(scan: Scan, number: Literal[0, 1], seed: int) -> Scan:
    """One of the two halves of the photons of a scan, with a probe of half as many photons.

    Both halves of one seed together are the counts of the scan. Only one is held at a time, in the type of the counts.

    Args:
        scan: of photon counts, see `holds_photons`.
        number: 0 or 1.
        seed: of the draw.
    """
    is_whole = scan.domain == "counts" and scan.patterns.dtype.kind in "ui"
    half = new_array(scan.patterns.shape, scan.patterns.dtype if is_whole else np.float32)
    for rows, *parts in _parts(scan, 0.5, seed):
        half[rows] = parts[number].numpy()
    return replace(scan, patterns=half, domain="counts", probe=scan.probe * np.float32(0.5**0.5), truth_patches=None)


def holds_photons(scan: Scan) -> bool:
    """Whether the counts are whole numbers, so that thinning makes two independent parts of them.

    Measured pixels above half a photon are asked; values in other units, or with a gain, are hardly ever whole.
    """
    whole = asked = 0
    for start in range(0, len(scan), PATTERNS_AT_ONCE):
        part = scan.select(slice(start, start + PATTERNS_AT_ONCE))
        counts = part.counts()
        measured = counts > 0.5
        if part.bad_pixels is not None:
            measured &= ~part.bad_pixels
        values = counts[measured].astype(np.float64)
        asked += values.size
        whole += int((np.abs(values - np.rint(values)) <= 0.01 + _ROUNDING * values).sum())
    return asked > 0 and whole >= LEAST_WHOLE * asked


def for_part(recipe: Recipe, fraction: float) -> Recipe:
    """The recipe for the photons that are not withheld: the background is thinned with all other counts.

    Args:
        recipe: for all photons.
        fraction: q, the part that is withheld.
    """
    return recipe.changed(model=recipe.model.changed(background=(1 - fraction) * recipe.model.background))


def _parts(scan: Scan, fraction: float, seed: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of the scan, some at a time, with both parts of their counts, float32."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(scan), PATTERNS_AT_ONCE):
        rows = slice(start, start + PATTERNS_AT_ONCE)
        counts = torch.from_numpy(scan.select(rows).counts())
        part = _part(counts, 1 - fraction, generator)
        yield rows, part, (counts - part).clamp_min(0)


def _part(counts: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    whole = (counts + 1e-3).floor()
    drawn = torch.binomial(whole, torch.full_like(whole, fraction), generator=generator)
    return (drawn + fraction * (counts - whole)).clamp_min(0)
