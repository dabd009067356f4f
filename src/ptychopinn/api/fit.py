"""The verdict on an image from its expected photons, and how it is announced."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.metrics.fit_sums import FitSums
from ptychopinn.metrics.misfit import Misfit
from ptychopinn.metrics.verdict import Maker, Verdict, verdict_of
from ptychopinn.ranks import ALONE, Ranks

logger = logging.getLogger("ptychopinn.verdict")
"""A logger of its own: commands show the verdict at their end."""
BATCH = 64
"""Patterns that are compared at a time."""


@dataclass(frozen=True, eq=False)
class FitQuality:
    """How well an image explains its patterns."""

    scores: dict[str, float]
    """The entry `data` of `metrics.json`."""
    verdict: Verdict
    ratio: NDArray[np.float64]
    """(N,), deviance of each pattern over what its counts allow."""


def judge_fit(
    expected: Iterable[tuple[slice, Tensor]], tensors: ScanTensors, maker: Maker, ranks: Ranks = ALONE
) -> FitQuality:
    """How well an image explains its patterns.

    Args:
        expected: photons (B, H, W) that the image predicts, a batch at a time in the order of the scan, with the
            patterns they belong to.
        tensors: the measured patterns.
        maker: what made the image.
        ranks: each has the expected photons of its own patterns; all get the judgement of all patterns.
    """
    misfit, sums = Misfit(), FitSums(_mean_counts(tensors, ranks))
    for part, photons in expected:
        counts, measured = tensors.counts_of(part), tensors.measured_of(part)
        misfit.add(counts, photons, measured)
        seen = None if measured is None else measured.cpu().numpy()
        sums.add(counts.cpu().numpy(), photons.cpu().numpy(), seen)
    size = tensors.pattern_size
    misfit.complete(ranks, (len(tensors), size, size))
    sums.complete(ranks, len(tensors))
    return FitQuality(misfit.scores(), verdict_of(sums, maker, tensors.scan.positions_px), sums.patterns.ratio)


def announce(verdict: Verdict) -> None:
    """Log the verdict: as a warning where a person has to know it."""
    logger.log(logging.WARNING if verdict.is_warning else logging.INFO, "%s", verdict.message)


def _mean_counts(tensors: ScanTensors, ranks: Ranks) -> NDArray[np.float64]:
    """(H, W), mean counts of the patterns in which a pixel was measured, photons."""
    total, seen = torch.zeros(2, tensors.pattern_size, tensors.pattern_size, dtype=torch.float64)
    for part in tensors.slices(BATCH, ranks.own(len(tensors))):
        counts, measured = tensors.counts_of(part), tensors.measured_of(part)
        total = total + counts.sum(0, dtype=torch.float64).cpu()
        number = torch.ones_like(counts) if measured is None else measured.expand(counts.shape)
        seen = seen + number.sum(0).cpu()
    ranks.add(total, seen)
    return (total / seen.clamp_min(1)).numpy()
