r"""Several probes that scan one object, each in patterns of its own: which probe a pattern has.

The modes of K probes lie one after the other in one array, (K M, H, W), so that all that is done to every mode alike
is done to every probe alike. A pattern n of probe \(k_n\) sees the M modes of that probe,

\[ P_{nm} = P_{k_n M + m}, \qquad \frac{\partial L}{\partial \bar P_{kM+m}} = \sum_{n:\, k_n = k} g_{nm} . \]
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from ptychopinn.physics.detection import intensity


@final
@dataclass(frozen=True, eq=False)
class SeveralProbes:
    """Which of K probes each pattern has.

    >>> several = SeveralProbes(torch.tensor([0, 1, 1]), 2)
    >>> several.of(torch.tensor([5.0, 7.0]).view(2, 1, 1), torch.tensor([2, 0])).flatten().tolist()
    [7.0, 5.0]
    >>> several.summed(torch.tensor([1.0, 2.0, 4.0]), slice(None)).tolist()
    [1.0, 6.0]
    """

    number: Tensor
    """(N,), from 0."""
    count: int
    """K."""

    @cached_property
    def shares(self) -> Tensor:
        """(K,): part of the patterns that each probe has."""
        found = torch.bincount(self.number, minlength=self.count)
        return found.to(torch.float32) / len(self.number)

    def split(self, modes: Tensor) -> Tensor:
        """(K, M, H, W): modes (K M, H, W) by probe."""
        return modes.unflatten(0, (self.count, -1))

    def modes(self, probes: Tensor) -> Tensor:
        """(K M, H, W), of (K, M, H, W)."""
        return probes.flatten(0, 1)

    def of(self, modes: Tensor, index: Tensor | slice) -> Tensor:
        """(B, M, H, W): the modes (K M, H, W) that some patterns see."""
        return self.split(modes)[self.number[index]]

    def summed(self, values: Tensor, index: Tensor | slice) -> Tensor:
        """(K, ...): sums of values (B, ...) of some patterns over those of each probe."""
        total = values.new_zeros(self.count, *values.shape[1:])
        return total.index_add_(0, self.number[index], values)

    def for_modes(self, values: Tensor, modes: Tensor) -> Tensor:
        """(K M, ...): a value (K, ...) of each probe for each mode of an array (K M, H, W)."""
        return values.repeat_interleave(len(modes) // self.count, 0)

    def beam(self, modes: Tensor) -> Tensor:
        """(H, W), photons: the intensity on the mean over the patterns."""
        return torch.einsum("k,khw->hw", self.shares.to(modes.real.dtype), intensity(self.split(modes)))
