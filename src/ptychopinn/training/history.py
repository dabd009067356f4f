"""The history of a training and the hooks that report it; none of them needs Lightning."""

from collections.abc import Callable

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, inside that of a run."""

History = dict[str, list[float]]
"""Column name -> one number per epoch."""

EpochHook = Callable[[int, int, dict[str, float]], None]
"""Called after every epoch with the epochs done, the epochs in all and the numbers of the epoch."""

EpochScores = Callable[[int, bool], dict[str, float]]
"""Further numbers of an epoch; called with the number of epochs done and whether it was the last."""
