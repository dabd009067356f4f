r"""Which of two images explains counts better that neither was made from.

The withheld counts k of N patterns and the counts \(\lambda\) that an image predicts for them give the Poisson
deviance of each pattern,

\[ D_n = 2 \sum_{pixels} \left( k \ln\frac{k}{\lambda} - k + \lambda \right) . \]

With \(d_n\) the difference between two images, the total is \(\sum_n d_n\), and its standard error
\(\sqrt{N}\,\mathrm{sd}(d_n)\) follows from the scatter over the patterns, so that it also covers errors beyond the
counting noise. The deviance has no free factor: an image of the wrong brightness explains the counts less well.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.thinning import Split
from ptychopinn.physics.deviance import deviance

LEAST_EXPECTED = 1e-6
"""Photons. Lower predictions count as this, so that a stray photon on a dark pixel adds 27 and not infinity."""
CERTAIN_ERRORS = 2.0
"""Standard errors beyond which a difference counts. Of two equal images the second is called better once in forty."""


@dataclass(frozen=True)
class Preference:
    """How two images compare on withheld counts."""

    patterns: int
    photons: float
    """Withheld, in all."""
    deviance: tuple[float, float]
    """Of the first and the second image, per measured pixel."""
    difference: float
    """Deviance of the second image less that of the first, over all pixels; above 0 the first one is better."""
    standard_error: float
    """Of the difference; infinite for a single pattern."""

    @property
    def errors(self) -> float:
        """The difference in standard errors; 0 where both images explain the counts alike."""
        return self.difference / self.standard_error if self.difference else 0.0

    @property
    def is_second_better(self) -> bool:
        """Whether the second image explains the counts better by more than `CERTAIN_ERRORS`."""
        return self.errors < -CERTAIN_ERRORS

    @property
    def is_first_better(self) -> bool:
        """Whether the first image explains the counts better by more than `CERTAIN_ERRORS`."""
        return self.errors > CERTAIN_ERRORS

    @property
    def is_tie(self) -> bool:
        """Whether the difference is within `CERTAIN_ERRORS`."""
        return abs(self.errors) <= CERTAIN_ERRORS


def preference(first: NDArray[np.float64], second: NDArray[np.float64], pixels: int, photons: float) -> Preference:
    """Compare two images by the deviance of the same counts.

    Args:
        first: (N,), of the first image, for each pattern; see `deviance_of_patterns`.
        second: that of the second image.
        pixels: measured pixels of all patterns.
        photons: withheld, in all.

    >>> counts = np.array([[[9.0]], [[11.0]], [[10.0]]])
    >>> right, wrong = (deviance_of_patterns(counts, np.full_like(counts, photons)) for photons in (10, 20))
    >>> preference(right, wrong, 3, 30.0).is_second_better, preference(wrong, right, 3, 30.0).is_second_better
    (False, True)
    """
    each = second - first
    error = math.sqrt(len(each)) * float(each.std(ddof=1)) if len(each) > 1 else math.inf
    return Preference(
        patterns=len(each),
        photons=photons,
        deviance=(float(first.sum() / pixels), float(second.sum() / pixels)),
        difference=float(each.sum()),
        standard_error=max(error, float(np.finfo(float).tiny)),
    )


def deviance_of_patterns(
    counts: NDArray[Any], expected: NDArray[Any], measured: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """D (N,) of counts k under predictions lambda, summed over the measured pixels of each pattern.

    Args:
        counts: k, (N, H, W), photons.
        expected: lambda, the same shape, photons.
        measured: (N, H, W) or (H, W), True where a pixel was measured; all by default.
    """
    mean = np.maximum(expected.astype(np.float64), LEAST_EXPECTED)
    values = deviance(torch.from_numpy(counts.astype(np.float64)), torch.from_numpy(mean)).numpy()
    if measured is not None:
        values = np.where(measured, values, 0.0)
    return np.asarray(values.sum((-2, -1)))


def withheld_deviance(
    photons: Iterable[tuple[slice, Tensor]], split: Split, tensors: ScanTensors
) -> NDArray[np.float64]:
    """(N,): of the withheld counts of each pattern under an image that was made from the others.

    Args:
        photons: that the image predicts for the counts that it was made from, some patterns at a time.
        split: the counts.
        tensors: the first part of them.
    """
    brightness = split.fraction / (1 - split.fraction)
    deviances = []
    for part, expected in photons:
        measured = tensors.measured_of(part)
        known = None if measured is None else measured.cpu().numpy()
        deviances.append(deviance_of_patterns(split.withheld[part], brightness * expected.cpu().numpy(), known))
    return np.concatenate(deviances)
