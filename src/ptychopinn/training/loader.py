"""Batches of groups for one epoch after the other, in an order that seed and epoch alone decide."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.mirror import MIRRORS
from ptychopinn.data.thinning import thin


def steps_in_epoch(groups: NDArray[np.int64], groups_per_step: int) -> int:
    """Steps of a training epoch: as many patterns as `groups` (n_groups, G) has seed points, one step at least."""
    return max(1, round(len(groups) // groups.shape[1] / groups_per_step))


@dataclass(frozen=True)
class Share:
    """The part of every step that one of several processes takes."""

    index: int = 0
    count: int = 1
    """Processes; all take as many steps."""

    def of(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """The groups of a step that are its own; where there are fewer than processes some are taken twice.

        >>> Share(1, 2).of(np.array([4, 5, 6])).tolist(), Share(1, 2).of(np.array([4])).tolist()
        ([5], [4])
        """
        return np.resize(step, max(len(step), self.count))[self.index :: self.count]


WHOLE = Share()
"""The share of a process that is alone."""


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
        share: of this process; `patterns_per_step` are those of all processes together.
        hidden: part of the counts that the loss alone sees, drawn at random; see `data.thinning`.
    """

    def __init__(
        self,
        tensors: ScanTensors,
        groups: NDArray[np.int64],
        patterns_per_step: int,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
        mirror: bool = False,
        share: Share = WHOLE,
        hidden: float = 0.0,
    ) -> None:
        self.tensors = tensors
        self.groups = groups
        self.groups_per_step = max(share.count, patterns_per_step // groups.shape[1])
        self._seed = seed
        self._epoch = epoch
        self._mirror = mirror
        self._share = share
        self._hidden = hidden

    def __len__(self) -> int:
        if self._epoch is None:
            return math.ceil(len(self._validation_order()) / self._own_groups_per_step())
        return steps_in_epoch(self.groups, self.groups_per_step)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the epoch is asked for with the first batch, when a resumed trainer has restored it.
        rng = np.random.default_rng([self._seed, 0 if self._epoch is None else self._epoch()])
        for step in self._validation_steps() if self._epoch is None else self._training_steps(rng):
            batch = self.tensors.gather(self.groups[step])
            batch = MIRRORS[rng.integers(len(MIRRORS))].batch(batch) if self._mirror else batch
            yield self._thinned(batch, rng) if self._hidden else batch

    def _thinned(self, batch: Batch, rng: np.random.Generator) -> Batch:
        generator = torch.Generator(self.tensors.device).manual_seed(int(rng.integers(2**63)))
        return thin(batch, self._hidden, generator)

    def _training_steps(self, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Of every step the share of this process, so that all processes together take the steps of one."""
        order = rng.permutation(np.arange(len(self.groups)))[: len(self) * self.groups_per_step]
        for step in _pieces(order, self.groups_per_step):
            yield self._share.of(step)

    def _validation_steps(self) -> Iterator[NDArray[np.int64]]:
        return _pieces(self._validation_order(), self._own_groups_per_step())

    def _validation_order(self) -> NDArray[np.int64]:
        """The share of all groups: here processes may take different numbers of steps."""
        return self._share.of(np.arange(len(self.groups)))

    def _own_groups_per_step(self) -> int:
        return self.groups_per_step // self._share.count


def _pieces(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


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
