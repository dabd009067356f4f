"""The patterns of a scan as the steps of the solver compare with them."""

from typing import final

import torch
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.masks import masks_of
from ptychopinn.physics.estimate import Counted
from ptychopinn.physics.propagation import Propagator

KEPT_BYTES = 1 << 26
"""Counts up to this size are made once for all iterations: making them anew takes a tenth of a step. Those of a larger
scan would be more memory than the rest of the solver needs."""


@final
class CountedPatterns:
    """Counts in the array order of the detector waves: kept from iteration to iteration where the scan is small.

    Args:
        tensors: the scan.
        propagator: of the model that its patterns are compared with.
        dtype: precision of the arithmetic.
        own: consecutive patterns, from which all that are asked for come: those of one rank.
    """

    def __init__(self, tensors: ScanTensors, propagator: Propagator, dtype: torch.dtype, own: slice) -> None:
        self._tensors, self._propagator, self._dtype = tensors, propagator, dtype
        self._first = own.start
        size = (own.stop - own.start) * tensors.pattern_size**2 * dtype.itemsize
        self._kept = self._made(own) if size <= KEPT_BYTES else None

    def of(self, index: Tensor) -> Counted:
        """Those of the patterns `index`, (B,), numbers in the whole scan."""
        if self._kept is None:
            return self._made(index)
        own = index - self._first
        return Counted(self._kept.counts[own], masks_of(self._kept.bad, own))

    def _made(self, index: Tensor | slice) -> Counted:
        counts = self._tensors.amplitude_of(index).to(self._dtype).square()  # as the search of positions has them
        return Counted.of(self._propagator, counts, self._tensors.measured_of(index))
