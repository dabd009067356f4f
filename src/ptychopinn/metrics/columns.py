"""A table that grows by some columns at a time."""

from typing import final

import torch
from torch import Tensor

LEAST_COLUMNS = 1024
"""Room at first: 64 kB for eight rows. Each time it is full it doubles."""


@final
class Columns:
    """Values (rows, n) in one array that grows.

    A list of small arrays would do the same, but each of them would split a large block of freed memory, so that the
    next large array would need new memory: 1 MB for each batch of patterns.

    >>> table = Columns()
    >>> for number in range(3):
    ...     table.add(torch.full((2, 1000), float(number)))
    >>> table.values.shape, table.values[:, ::1000].tolist()
    (torch.Size([2, 3000]), [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    """

    def __init__(self) -> None:
        self._space = torch.empty(0, 0)
        self._number = 0

    def add(self, part: Tensor) -> None:
        """Append columns (rows, m)."""
        rows, more = part.shape
        needed = self._number + more
        if needed > self._space.shape[1]:
            room = max(LEAST_COLUMNS, 2 * self._space.shape[1], needed)
            space = torch.empty(rows, room, dtype=part.dtype, device=part.device)
            if self._number:
                space[:, : self._number] = self.values
            self._space = space
        self._space[:, self._number : needed] = part
        self._number = needed

    @property
    def values(self) -> Tensor:
        """All columns (rows, n)."""
        return self._space[:, : self._number]
