r"""What patterns alone show of a background, which hardly varies, and of a beam that varies from pattern to pattern.

**Background.** In the corners of the detector the counts k of all pixels and patterns have the variance

\[ \mathrm{var}\, k = \lambda + c^2 \lambda^2 , \]

counting noise and the contrast c of the photons there. Diffraction has speckles, and falls off; its squared contrast
was 0.1 or more on 80 drawn scans. A background has none.

**Beam.** The photons of a pattern are the modulus of the object, weighted by the beam: over the scan they vary as
slowly as the autocorrelation a of the beam's intensity, at the fastest. What varies from each pattern to the next
beside that is counting noise, and the beam. Its variance \(\sigma^2 \tau\) is the most likely one of

\[ k_n / \bar k \sim \mathcal{N}\left( \mu,\; \sigma^2 [a(y_n - y_m) + \tau\, \delta_{nm}] \right) . \]
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.scan import Scan

CORNER_PART = 8
"""Side of a corner: the eighth of the pattern."""
FLAT = 0.1
"""Squared contrast, with two standard errors, below which the corners hold a background. That of
diffraction was 0.1, with an error of 0.2; half as much misses backgrounds beside some diffraction."""
LEAST_PART = 1e-3
"""Part of the photons from which a background is reported."""
MOST_PATTERNS = 128
"""Patterns from which the variation of the beam is taken; the time grows with their third power, 5 ms for these."""
FEWEST_PATTERNS = 24
"""With fewer patterns it is not estimated."""
LEAST_VARIATION = 0.02
"""Rms from which a beam is called unsteady. On 80 drawn scans with a steady beam 0.010 was found at most."""
SURE = 8.0
"""Logarithm of the ratio of likelihoods, with the variation and with counting noise alone, from which it is sure."""

MOST_PAIRS = 64
"""Pairs of patterns at the same position that are compared."""
FEWEST_PAIRS = 3
"""With fewer pairs nothing is concluded."""
LEAST_SCATTER = 0.3
"""Of the scatter of patterns at the same position beyond 1, from which they differ. Patterns with dark counts that were
subtracted, or a small gain, scatter by some percent too much or too little."""
SURE_ERRORS = 8.0
"""Standard errors by which it must exceed 1."""


@dataclass
class CornerCounts:
    """Photons of the corners of the detector, summed over patterns.

    Attributes:
        size: of a pattern, px.
        bad: (H, W), pixels that are not used.
    """

    size: int
    bad: NDArray[np.bool_] | None = None
    _patterns: int = 0
    _sums: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def _corners(self) -> list[tuple[slice, slice]]:
        ends = slice(0, max(1, self.size // CORNER_PART)), slice(-max(1, self.size // CORNER_PART), None)
        return [(rows, columns) for rows in ends for columns in ends]

    def add(self, counts: NDArray[np.float64]) -> None:
        """Photons (B, H, W) of some patterns."""
        values = [counts[:, rows, columns] for rows, columns in self._corners]
        found = np.array([[corner.sum(axis=0), np.square(corner).sum(axis=0)] for corner in values])
        self._sums = [found + self._sums[0]] if self._sums else [found]
        self._patterns += len(counts)

    @property
    def background_photons(self) -> float:
        """Per pixel, of the dimmer half of the pixels; 0 where the corners hold no photons, or diffraction."""
        if not self._sums:
            return 0.0
        totals, squared = self._sums[0].swapaxes(0, 1).reshape(2, -1)
        if self.bad is not None:
            good = ~np.concatenate([self.bad[corner].ravel() for corner in self._corners])
            totals, squared = totals[good], squared[good]
        dim = totals <= np.median(totals) if len(totals) else slice(None)
        number, total, squares = self._patterns * totals[dim].size, totals[dim].sum(), squared[dim].sum()
        if total == 0:
            return 0.0
        mean = total / number
        contrast = (squares / number - mean**2 - mean) / mean**2
        error = np.sqrt(2 / number) * (1 + mean) / mean
        return float(mean) if contrast + 2 * error < FLAT else 0.0


def beam_variation(
    photons: NDArray[np.float64], positions_px: NDArray[np.float64], probe: NDArray[np.complex64]
) -> float:
    """Rms of the intensity of the beam from pattern to pattern, relative to its mean; 0 where it seems steady.

    Args:
        photons: (N,), of the patterns.
        positions_px: (N, 2).
        probe: (M, H, W).
    """
    middle = np.median(positions_px, axis=0)
    near = np.argsort(np.square(positions_px - middle).sum(axis=1), kind="stable")[:MOST_PATTERNS]
    near = near[photons[near] > 0]
    if len(near) < FEWEST_PATTERNS:
        return 0.0
    places, counted = positions_px[near], photons[near]
    noise = float(np.mean(1 / counted))
    powers, vectors = np.linalg.eigh(_likeness(places, probe))
    values = vectors.T @ np.stack([counted / counted.mean(), np.ones(len(near))], axis=1)
    ratios = np.geomspace(1e-6, 100, 65)
    weights = 1 / (np.maximum(powers, 0) + ratios[:, None])
    mean = (weights @ values.prod(axis=1)) / (weights @ np.square(values[:, 1]))
    rest = np.square(values[:, 0] - mean[:, None] * values[:, 1])
    scale = (weights * rest).mean(axis=1)
    misfit = (len(near) * np.log(scale) - np.log(weights).sum(axis=1)) / 2
    found = int(misfit.argmin())
    steady = misfit[scale * ratios <= max(noise, scale[0] * ratios[0])].min()
    variation = float(np.sqrt(max(scale[found] * ratios[found] - noise, 0)))
    return variation if variation > LEAST_VARIATION and steady - misfit[found] > SURE else 0.0


@dataclass(frozen=True)
class Repeats:
    """How patterns at the same position differ."""

    pairs: int
    """Of patterns, each with the same position."""
    scatter: float
    """Mean square of their difference beyond a factor, in units of counting noise; about 1 where they are alike."""
    error: float
    """Largest standard error of the scatter by counting noise."""

    @property
    def differ(self) -> bool:
        """Whether they differ by more than counting noise and a factor."""
        return self.pairs >= FEWEST_PAIRS and self.scatter - 1 > max(LEAST_SCATTER, SURE_ERRORS * self.error)


def repeats(scan: Scan) -> Repeats:
    r"""Compare patterns that were recorded at the same position.

    Of the counts a and b of a pixel in two patterns with A and B photons, given their sum s, a is binomial with
    \(c = A / (A + B)\) where both have the same shape, so that \((a - c s)^2 / (c (1 - c) s)\) has the mean 1.

    Args:
        scan: of any object; patterns of different objects are not compared.
    """
    places = scan.positions_px
    if scan.scan_index is not None:
        places = np.column_stack([places, scan.scan_index])
    order = np.lexsort(places.T)
    same = (np.diff(places[order], axis=0) == 0).all(axis=1)
    first = np.flatnonzero(same & ~np.r_[False, same[:-1]])[:MOST_PAIRS]
    total = pixels = 0.0
    compared = 0
    for one, other in zip(order[first], order[first + 1], strict=True):
        pair = scan.select(np.array([one, other]))
        a, b = pair.counts().astype(np.float64)
        good = a + b > 0
        if pair.bad_pixels is not None:
            good &= ~np.broadcast_to(pair.bad_pixels, pair.patterns.shape).any(axis=0)
        a, s = a[good], (a + b)[good]
        if s.sum() == 0 or not 0 < a.sum() < s.sum():
            continue
        c = a.sum() / s.sum()
        total += float((np.square(a - c * s) / (c * (1 - c) * s)).sum())
        pixels += s.size - 1
        compared += 1
    if pixels <= 0:
        return Repeats(0, 1.0, 0.0)
    return Repeats(compared, total / pixels, float((2 / pixels) ** 0.5))


def _likeness(positions_px: NDArray[np.float64], probe: NDArray[np.complex64]) -> NDArray[np.float64]:
    """(N, N): autocorrelation of the beam's intensity between positions, 1 for no distance."""
    power = np.square(np.abs(probe)).sum(axis=0)
    height, width = power.shape
    spectrum = np.square(np.abs(np.fft.rfft2(power, (2 * height, 2 * width))))
    overlap = np.fft.fftshift(np.fft.irfft2(spectrum, (2 * height, 2 * width)))
    apart = positions_px[:, None] - positions_px
    return _between_pixels(overlap, apart + np.array([height, width])) / overlap.max()


def _between_pixels(image: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of an image (Y, X) at places (..., 2), (y, x) in px, by bilinear interpolation; 0 beyond its pixels."""
    last = np.array(image.shape) - 1
    inside = ((places >= 0) & (places <= last)).all(axis=-1)
    whole = np.clip(np.floor(places), 0, np.maximum(last - 1, 0)).astype(np.int64)
    y, x = np.moveaxis(whole, -1, 0)
    by_y, by_x = np.moveaxis(places - whole, -1, 0)
    above, below = (
        image[row, x] * (1 - by_x) + image[row, np.minimum(x + 1, last[1])] * by_x
        for row in (y, np.minimum(y + 1, last[0]))
    )
    return np.where(inside, above * (1 - by_y) + below * by_y, 0.0)
