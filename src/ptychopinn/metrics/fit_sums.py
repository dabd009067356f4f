r"""How far modelled patterns are from measured ones: per pattern, per detector pixel, in one pass over batches.

The Poisson deviance with Anscombe's offset c = 3/8 on both sides,

\[ D = 2 \sum \left( (k + c) \log \frac{k + c}{\lambda + c} - k + \lambda \right) \]

is the usual one where pixels hold a few photons or more. Where they hold few it neither becomes infinite nor rests on
the dimmest pixels. A perfect model gives \(D_0\), the sum of `deviance_allowed`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, xlogy

from ptychopinn.physics.likelihood import ANSCOMBE_PHOTONS

Floats = NDArray[np.float64]

TABLE_PHOTONS = 40.0
"""Up to this expectation the mean deviance is looked up, above it follows a series; they differ by 2e-5 there."""
TABLE_POINTS = 2000
"""Points of the table, evenly spaced in the root of the photons: right to 2e-6."""


def deviance_allowed(expected: NDArray[Any]) -> Floats:
    """Mean deviance of counts that are drawn from an expectation lambda, for each pixel; about 1 from 5 photons on.

    Args:
        expected: lambda, photons, of any shape.

    >>> deviance_allowed(np.array([0.0, 1.0, 1e4])).round(2).tolist()
    [0.0, 0.7, 1.0]
    """
    roots, values = _table()
    large = 1 / np.maximum(expected, TABLE_PHOTONS)
    series = 1 + large * (1 / 6 - ANSCOMBE_PHOTONS) + 0.25 * large**2
    return np.where(expected < TABLE_PHOTONS, np.interp(np.sqrt(expected), roots, values), series)


@cache
def _table() -> tuple[Floats, Floats]:
    """Roots of expectations and the mean deviance there, by the recursion p_k = p_(k-1) lambda / k."""
    roots = np.linspace(0, TABLE_PHOTONS**0.5, TABLE_POINTS)
    mean, c = roots**2, ANSCOMBE_PHOTONS
    probability = np.exp(-mean)
    total = probability * xlogy(c, c)
    for k in range(1, int(TABLE_PHOTONS + 12 * TABLE_PHOTONS**0.5) + 20):
        probability = probability * mean / k
        total += probability * xlogy(k + c, k + c)
    return roots, 2 * (total - xlogy(mean + c, mean + c))


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

    Holds one float64 copy of a batch at a time, and of the whole scan only sums.

    Args:
        mean: (H, W), mean counts over the scan, photons.

    >>> sums = FitSums(np.ones((1, 2)))
    >>> sums.add(np.array([[[3.0, 1.0]]]), np.array([[[2.0, 2.0]]]))
    >>> sums.patterns.counts.tolist(), sums.pixels.expected.tolist()
    ([4.0], [[2.0, 2.0]])
    """

    def __init__(self, mean: NDArray[Any]) -> None:
        self._mean = np.asarray(mean, np.float64)
        self._patterns: list[Floats] = []
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
        k, mean, c = np.asarray(counts, np.float64), np.asarray(expected, np.float64), ANSCOMBE_PHOTONS
        seen = np.ones(k.shape) if measured is None else np.broadcast_to(measured, k.shape).astype(np.float64)
        photons = (k * seen).sum((1, 2), keepdims=True) / np.maximum((self._mean * seen).sum((1, 2), keepdims=True), c)
        allowed, flat = deviance_allowed(mean), 2 * kl_div(k + c, self._mean * photons + c)
        terms = np.stack([2 * kl_div(k + c, mean + c), allowed, flat, k, mean, seen, k * mean, mean**2])
        if measured is not None:
            terms *= seen
        self._patterns.append(terms.sum(axis=(2, 3)))
        self._pixels += terms.sum(axis=1)

    @property
    def patterns(self) -> Part:
        """Sums of each pattern (N,)."""
        return Part(*np.concatenate(self._patterns, axis=1))

    @property
    def pixels(self) -> Part:
        """Sums of each detector pixel (H, W)."""
        return Part(*self._pixels)
