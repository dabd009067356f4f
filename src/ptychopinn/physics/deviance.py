r"""The Poisson deviance of counts k under expected photons \(\lambda\), and what it averages to for a perfect model.

\[ D = 2 \left( (k + c) \log \frac{k + c}{\lambda + c} - k + \lambda \right), \qquad
   D_0(\lambda) = \mathrm{E}\, D \quad \text{for } k \sim \mathrm{Poisson}(\lambda) \]

The offset c is 0 in the scores of `metrics.json`. With Anscombe's c = 3/8 the deviance neither becomes infinite nor
rests on the dimmest pixels where pixels hold few photons; the verdict takes that one. Losses, scores and verdict share
these functions.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

TABLE_PHOTONS = 30.0
"""Up to this expectation the mean deviance is looked up, above it follows a series; they differ by 1e-5 at most there.
"""
TABLE_POINTS = 1 << 14
"""Points of the table, evenly spaced in the fourth root of the photons, where the function has no steep part: linear
interpolation is right to 1e-7. Half as many are right to 4e-7."""


def likelihood_excess(counts: Tensor, expected: Tensor, reference: Tensor) -> Tensor:
    r"""Negative log-likelihood of expected photons less that of others, \(\lambda - r - k \log(\lambda / r)\).

    Written with log(1 + (r - lambda) / lambda), which keeps single precision at many photons. Infinite where a photon
    was counted and none expected. Differentiable by `expected`, with a finite gradient where that is above 0.

    Args:
        counts: k, photons.
        expected: lambda, the same shape, photons.
        reference: r, the same shape, photons; 0 only where k is.
    """
    excess = reference - expected
    least = torch.finfo(excess.dtype).eps - 1  # for r = 0, whose logarithm is multiplied by k = 0
    return counts * (excess / expected).nan_to_num(0, torch.inf).clamp_min(least).log1p() - excess


def deviance(counts: Tensor, expected: Tensor, offset_photons: float = 0.0) -> Tensor:
    """D of each pixel; infinite where a photon was counted and none expected, without an offset.

    Args:
        counts: k, photons.
        expected: lambda, the same shape, photons.
        offset_photons: c.

    >>> [round(value, 3) for value in deviance(torch.tensor([4.0, 0.0, 0.0]), torch.tensor([1.0, 0.5, 0.0])).tolist()]
    [5.09, 1.0, 0.0]
    """
    if offset_photons:
        counts, expected = counts + offset_photons, expected + offset_photons
    return likelihood_excess(counts, expected, counts).mul(2)


def ideal_deviance(expected: Tensor, offset_photons: float = 0.0) -> Tensor:
    r"""D_0 of each pixel: what `deviance` averages to when the counts are drawn from `expected` itself.

    From a table below `TABLE_PHOTONS`; \(1 + (1/6 - c) / \lambda + (c^2 - 5c/6 + 1/6) / \lambda^2\) above.

    Args:
        expected: lambda, photons, of any shape.
        offset_photons: c.

    >>> [round(value, 3) for value in ideal_deviance(torch.tensor([0.0, 0.5, 1e4])).tolist()]
    [0.0, 1.007, 1.0]
    """
    c = offset_photons
    values, slopes = (part.to(expected) for part in _table(c))
    place = expected.clamp_max(TABLE_PHOTONS).sqrt_().sqrt_().mul_((TABLE_POINTS - 1) / TABLE_PHOTONS**0.25)
    index = place.nan_to_num_(0).to(torch.int32)
    flat = index.flatten()
    found = slopes.index_select(0, flat).mul_(place.sub_(index).flatten()).add_(values.index_select(0, flat))
    inverse = expected.clamp_min(TABLE_PHOTONS).reciprocal_().flatten()
    series = (inverse * (c * c - 5 * c / 6 + 1 / 6)).add_(1 / 6 - c).mul_(inverse).add_(1)
    return torch.where(expected.flatten() < TABLE_PHOTONS, found, series).view(expected.shape)


@cache
def _table(offset_photons: float) -> tuple[Tensor, Tensor]:
    """D_0 at the points of the table, and its rise to the next one."""
    roots = torch.linspace(0, TABLE_PHOTONS**0.25, TABLE_POINTS, dtype=torch.float64)
    values = summed_deviance(roots**4, offset_photons)
    return values, torch.diff(values, append=values[-1:])


def summed_deviance(expected: Tensor, offset_photons: float = 0.0) -> Tensor:
    """D_0 by its sum over the counts, with the recursion p_k = p_(k-1) lambda / k; slow where photons are many.

    Args:
        expected: lambda, float64, photons, below 700.
        offset_photons: c.
    """
    mean, c = expected.double().numpy(), offset_photons
    largest = float(mean.max(initial=0.0))
    probability = np.exp(-mean)
    total = probability * (c * np.log(c) if c > 0 else 0.0)
    for k in range(1, int(largest + 12 * np.sqrt(largest)) + 20):
        probability *= mean / k
        total += probability * ((k + c) * np.log(k + c))
    own = torch.from_numpy(mean + c)
    return 2 * (torch.from_numpy(total) - torch.xlogy(own, own))
