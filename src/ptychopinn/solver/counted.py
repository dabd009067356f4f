"""The patterns of a scan as the steps of the solver compare with them."""

from typing import final

import torch
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.large_arrays import new_array
from ptychopinn.data.masks import has_own_masks, masks_of
from ptychopinn.physics.estimate import Counted
from ptychopinn.physics.propagation import Propagator

HELD_BYTES = 1 << 20
"""Kept counts up to this size lie in memory."""
BATCH = 64
"""Patterns whose counts are made at once."""
KEPT_BYTES = 1 << 26
"""Counts up to this size are made once for all iterations, which saves a tenth of each step. They take 4 bytes for each
pixel, on a GPU of its memory, on the host of a scratch file: twice a scan in uint16. Twice this size keeps twice as
many patterns."""


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
        self._kept = self._all(own) if size <= KEPT_BYTES else None

    def of(self, index: Tensor) -> Counted:
        """Those of the patterns `index`, (B,), numbers in the whole scan."""
        if self._kept is None:
            return self._made(index)
        own = index - self._first
        return Counted(self._kept.counts[own], masks_of(self._kept.bad, own))

    def _all(self, own: slice) -> Counted:
        """All of them, made some at a time; on the host in a scratch file, where they are no memory of the process."""
        shape = (own.stop - own.start, self._tensors.pattern_size, self._tensors.pattern_size)
        if self._tensors.device.type != "cpu" or shape[0] == 0:
            return self._made(own)
        counts = _room(shape, self._dtype)
        bad = _room(shape, torch.bool) if has_own_masks(self._tensors.measured) else None
        all_bad: Tensor | None = None
        for part in self._tensors.slices(BATCH, own):
            rows, some = slice(part.start - own.start, part.stop - own.start), self._made(part)
            counts[rows] = some.counts
            if bad is None or some.bad is None:
                all_bad = some.bad
            else:
                bad[rows] = some.bad
        return Counted(counts, all_bad if bad is None else bad)

    def _made(self, index: Tensor | slice) -> Counted:
        counts = self._tensors.amplitude_of(index).to(self._dtype).square()  # as the search of positions has them
        return Counted.of(self._propagator, counts, self._tensors.measured_of(index))


def _room(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An array to be filled, in a scratch file unless it is small."""
    return torch.from_numpy(new_array(shape, str(dtype).removeprefix("torch."), most=HELD_BYTES))
