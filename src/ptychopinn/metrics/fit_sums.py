r"""How far modelled patterns are from measured ones: per pattern, per detector pixel, in one pass over batches.

The Poisson deviance \(D\) is that of `ptychopinn.physics.deviance` with Anscombe's offset of 3/8 photons: the usual one
where pixels hold a few photons or more. A perfect model gives \(D_0\), what the counts allow.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.metrics.columns import Columns
from ptychopinn.physics.deviance import deviance, ideal_deviance
from ptychopinn.physics.likelihood import ANSCOMBE_PHOTONS
from ptychopinn.ranks import Ranks

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """Sums over the measured pixels of each pattern (N,), or over the patterns of each detector pixel (H, W)."""

    deviance: Floats
    """D of the model."""
    allowed: Floats
    """D of a perfect model, on average."""
    of_mean: Floats
    """D of the mean pattern with the photons of each pattern. What it exceeds `allowed` by is the structure that an
    image has to explain."""
    counts: Floats
    """k, photons."""
    expected: Floats
    """lambda, photons."""
    measured: Floats
    """Number of terms in these sums; may be 0."""
    products: Floats
    """k lambda, photons^2."""
    squares: Floats
    """lambda^2, photons^2."""

    @property
    def ratio(self) -> Floats:
        """Deviance over what the counts allow; 1 where nothing was measured."""
        seen = self.allowed > 0
        return np.where(seen, self.deviance / np.where(seen, self.allowed, 1), 1.0)


@final
class FitSums:
    """Adds up batches of counts k and expected photons lambda, in the order of the scan.

    The terms of a batch are computed in single precision, for which `likelihood_excess` is written, and added up in
    double precision; of the whole scan only sums are held.

    Args:
        mean: (H, W), mean counts over the scan, photons.

    >>> sums = FitSums(np.ones((1, 2)))
    >>> sums.add(np.array([[[3.0, 1.0]]]), np.array([[[2.0, 2.0]]]))
    >>> sums.patterns.counts.tolist(), sums.pixels.expected.tolist()
    ([4.0], [[2.0, 2.0]])
    """

    def __init__(self, mean: NDArray[Any]) -> None:
        self._mean = np.asarray(mean, np.float64)
        self._patterns = Columns()
        self._pixels = np.zeros((8, *self._mean.shape))

    def add(self, counts: NDArray[Any], expected: NDArray[Any], measured: NDArray[np.bool_] | None = None) -> None:
        """Add some patterns.

        Args:
            counts: k, (P, H, W), photons.
            expected: lambda, (P, H, W), photons.
            measured: (H, W) or (P, H, W), True where a pixel was measured; None where all were.

        Raises:
            ValueError: unequal shapes.
        """
        if counts.shape != expected.shape or counts.shape[1:] != self._mean.shape:
            raise ValueError(
                f"counts and expected must be patterns (P, H, W) as large as the mean {self._mean.shape}, "
                f"got {counts.shape} and {expected.shape}"
            )
        k, mean, average = (_as_float32(array) for array in (counts, expected, self._mean))
        c = ANSCOMBE_PHOTONS
        seen = torch.ones(1).expand(k.shape) if measured is None else _as_float32(measured).expand(k.shape)
        photons = (k * seen).sum((1, 2), keepdim=True) / (average * seen).sum((1, 2), keepdim=True).clamp_min(c)
        terms = [deviance(k, mean, c), ideal_deviance(mean, c), deviance(k, average * photons, c)]
        terms += [k, mean, seen, k * mean, mean.square()]
        of_patterns, of_pixels = zip(*(_sums(term if measured is None else term * seen) for term in terms), strict=True)
        self._patterns.add(torch.stack(of_patterns))
        self._pixels += torch.stack(of_pixels).numpy()

    def complete(self, ranks: Ranks, number: int) -> None:
        """Take the sums of the patterns of the other ranks; `number` is that of all patterns."""
        if not ranks.are_many:
            return
        of_patterns = torch.zeros(len(self._pixels), number, dtype=torch.float64)
        own = self._patterns.values
        if own.shape[1]:
            of_patterns[:, ranks.own(number)] = own
        of_pixels = torch.from_numpy(self._pixels)
        ranks.add(of_patterns, of_pixels)
        self._patterns, self._pixels = Columns(), of_pixels.numpy()
        self._patterns.add(of_patterns)

    @property
    def patterns(self) -> Part:
        """Sums of each pattern (N,)."""
        return Part(*self._patterns.values.numpy())

    @property
    def pixels(self) -> Part:
        """Sums of each detector pixel (H, W)."""
        return Part(*self._pixels)


def _sums(terms: Tensor) -> tuple[Tensor, Tensor]:
    """Over pixels (P,) and over patterns (H, W), in double precision."""
    terms = terms.double()
    return terms.sum((1, 2)), terms.sum(0)


def _as_float32(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))
