r"""The processes (ranks) that share one run, as a value: what a rank holds, and the sums that all ranks make together.

Each rank works on its own patterns and adds up what all of them found, such as gradients,

\[ g = \sum_{r=0}^{R-1} g_r , \]

so that every rank takes the same step afterwards. One process alone is `ALONE`: it holds all patterns, and its sums
are what it has. `ptychopinn.training.environment` makes the value of a process that torchrun or SLURM has started.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ptychopinn.errors import RankError, one_line

_LONGEST_TEXT = 1024
"""Bytes of an error that the other ranks are told."""
_OF_A_CONNECTION = ("gloo", "NCCL", "nccl", "ProcessGroup", "Connection closed", "Connection reset", "Broken pipe")
"""Words of the errors by which a collective ends when another process is gone."""


@final
@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that share a run.

    >>> ALONE.own(5), Ranks(1, 2).own(5), ALONE.is_first
    (slice(0, 5, None), slice(2, 5, None), True)
    """

    index: int = 0
    """Number of this process, from 0."""
    count: int = 1
    """Processes."""
    group: Any = None
    """`torch.distributed.ProcessGroup` by which they exchange tensors; None where one process is alone."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.index == 0

    @property
    def are_many(self) -> bool:
        """Whether there is more than one."""
        return self.count > 1

    def own(self, number: int) -> slice:
        """Which of `number` things are this rank's own: consecutive ones, at most one fewer than another rank has."""
        return slice(number * self.index // self.count, number * (self.index + 1) // self.count)

    def add(self, *tensors: Tensor) -> None:
        """Replace the values of tensors by their sums over all ranks, in place, with one message for each type.

        Args:
            *tensors: of the same shapes on every rank; floating point, complex or whole numbers.

        Raises:
            RankError: another rank has ended.
        """
        if not self.are_many:
            return
        plain = [torch.view_as_real(one) if one.is_complex() else one for one in tensors]
        for dtype in dict.fromkeys(one.dtype for one in plain):
            alike = [one for one in plain if one.dtype == dtype]
            if len(alike) == 1 and alike[0].is_contiguous():
                self._reduce(alike[0])
                continue
            packed = torch.cat([one.reshape(-1) for one in alike])
            self._reduce(packed)
            for one, total in zip(alike, packed.split([one.numel() for one in alike]), strict=True):
                one.copy_(total.view_as(one))

    def total(self, value: float) -> float:
        """The sum of a number over all ranks."""
        if not self.are_many:
            return value
        sum_ = torch.tensor([value], dtype=torch.float64)
        self.add(sum_)
        return float(sum_)

    def first_bytes(self, content: bytes | None) -> bytes | None:
        """What the first rank has: the argument of the others is not used."""
        if not self.are_many:
            return content
        size = torch.tensor([-1 if content is None else len(content)] if self.is_first else [0])
        self._broadcast(size)
        if int(size) < 0:
            return None
        values = torch.zeros(int(size), dtype=torch.uint8)
        if self.is_first and content:
            values = torch.from_numpy(np.frombuffer(content, np.uint8).copy())
        if len(values):
            self._broadcast(values)
        return values.numpy().tobytes()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do what may be refused on one rank alone, such as reading files: where one raises, all do.

        Raises:
            RankError: another rank was refused; on the first rank the message says what was refused where.
        """
        failure: BaseException | None = None
        try:
            yield
        except Exception as error:
            failure = error
        if self.are_many:
            self._compare(failure)
        if failure is not None:
            raise failure

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn the error by which a sum ends when another process is gone into one that says so.

        Raises:
            RankError: another rank has ended.
        """
        try:
            yield
        except RuntimeError as error:
            if self.are_many and any(word in str(error) for word in _OF_A_CONNECTION):
                raise RankError(self._ended(error)) from error
            raise

    def _compare(self, failure: BaseException | None) -> None:
        """Raise on every rank where one has failed."""
        rows = torch.zeros(self.count, _LONGEST_TEXT, dtype=torch.int32)
        if failure is not None:
            text = f"{one_line(str(failure)) or type(failure).__name__}".encode()[:_LONGEST_TEXT]
            rows[self.index, : len(text)] = torch.from_numpy(np.frombuffer(text, np.uint8).astype(np.int32))
        self.add(rows)
        failed = [rank for rank, row in enumerate(rows) if row.any()]
        if not failed or (failed[0] == 0 and self.is_first):
            return
        row = rows[failed[0]]
        reason = bytes(row[row > 0].to(torch.uint8).numpy()).decode(errors="replace")
        raise RankError(f"rank {failed[0]} of {self.count}: {reason}") from failure

    def _reduce(self, values: Tensor) -> None:
        with self.watched():
            self.group.allreduce([values]).wait()

    def _broadcast(self, values: Tensor) -> None:
        with self.watched():
            self.group.broadcast(values, 0).wait()

    def _ended(self, error: RuntimeError) -> str:
        return (
            f"rank {self.index} of {self.count}: another process of this run has ended ({one_line(str(error), 200)}); "
            "look for its error above or in its own log, and start all processes again"
        )


ALONE = Ranks()
"""One process, without others."""
