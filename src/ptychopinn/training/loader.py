"""Batches of groups for one epoch after the other, in an order that seed and epoch alone decide."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.mirror import MIRRORS


def steps_in_epoch(groups: NDArray[np.int64], groups_per_step: int) -> int:
    """Steps of a training epoch: as many patterns as `groups` (n_groups, G) has seed points, one step at least."""
    return max(1, round(len(groups) // groups.shape[1] / groups_per_step))


class GroupLoader:
    """An epoch visits about as many patterns as the groups have seed points.

    Args:
        tensors: the scan on its device.
        groups: (n_groups, G), one group for each seed point.
        patterns_per_step: patterns in a batch; at least one group.
        seed: of the order.
        epoch: tells the epoch at the start of each pass; none for one fixed order over all groups
            (validation).
        mirror: show each batch in one of the eight `MIRRORS`, drawn at random.
    """

    def __init__(
        self,
        tensors: ScanTensors,
        groups: NDArray[np.int64],
        patterns_per_step: int,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
        mirror: bool = False,
    ) -> None:
        self.tensors = tensors
        self.groups = groups
        self.groups_per_step = max(1, patterns_per_step // groups.shape[1])
        self._seed = seed
        self._epoch = epoch
        self._mirror = mirror

    def __len__(self) -> int:
        if self._epoch is None:
            return math.ceil(len(self.groups) / self.groups_per_step)
        return steps_in_epoch(self.groups, self.groups_per_step)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the epoch is asked for with the first batch, when a resumed trainer has restored it.
        order = np.arange(len(self.groups))
        rng = np.random.default_rng([self._seed, 0 if self._epoch is None else self._epoch()])
        if self._epoch is not None:
            order = rng.permutation(order)
        order = order[: len(self) * self.groups_per_step]
        for batch in self.tensors.batches(self.groups, self.groups_per_step, order):
            yield MIRRORS[rng.integers(len(MIRRORS))].batch(batch) if self._mirror else batch


class InterleavedLoader:
    """The batches of several scans in one epoch, in an order drawn anew for each.

    Args:
        loaders: one for each scan.
        seed: of the order.
        epoch: as for `GroupLoader`; none for one scan after the other (validation).
    """

    def __init__(self, loaders: Sequence[GroupLoader], seed: int = 0, epoch: Callable[[], int] | None = None) -> None:
        self._loaders = loaders
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return sum(map(len, self._loaders))

    def __iter__(self) -> Iterator[Batch]:
        turns = np.repeat(np.arange(len(self._loaders)), [len(loader) for loader in self._loaders])
        if self._epoch is not None:
            turns = np.random.default_rng([self._seed, self._epoch(), len(turns)]).permutation(turns)
        batches = [iter(loader) for loader in self._loaders]
        for turn in turns:
            yield next(batches[turn])
