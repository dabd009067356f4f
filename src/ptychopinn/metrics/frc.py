"""Fourier ring correlation of two complex objects, and where it falls below a threshold."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.checks import checked_pair

Threshold = float | Literal["half_bit", "one_bit"]
Outcome = Literal["crossed", "stays above", "never above"]
FIRST_RING = 5
NYQUIST_CYCLES_PER_PX = 0.5


@dataclass(frozen=True, eq=False)
class FRCCurve:
    """Correlation on rings 1, 2, ... up to the Nyquist frequency of the smaller side."""

    frequency_cycles_per_px: NDArray[np.float64]
    """(R,): frequency of each ring."""
    correlation: NDArray[np.float64]
    """(R,): -1..1; 0 on a ring where one image has no power at all."""
    pixels_per_ring: NDArray[np.int64]
    """(R,): Fourier pixels on each ring."""

    @property
    def low_rings(self) -> NDArray[np.float64]:
        """Correlation on rings 1..5: few pixels each, so they are shown apart and never decide a crossing."""
        return self.correlation[:FIRST_RING]

    def threshold_curve(self, threshold: Threshold) -> NDArray[np.float64]:
        r"""(R,): the threshold on each ring; a constant, or the curve of half a bit or one bit per pixel.

        \[ T_{1/2}(n) = \frac{0.2071 + 1.9102 / \sqrt{n}}{1.2071 + 0.9102 / \sqrt{n}}, \qquad
           T_1(n) = \frac{0.5 + 2.4142 / \sqrt{n}}{1.5 + 1.4142 / \sqrt{n}} \]

        for n pixels on a ring (van Heel and Schatz, J. Struct. Biol. 151, 250, 2005): the correlation of two halves
        of the data at which an image of all data holds so much information. All pixels count: a complex object has no
        symmetric half.

        Raises:
            ValueError: neither a number between 0 and 1 nor "half_bit" or "one_bit".
        """
        root = np.sqrt(self.pixels_per_ring)
        if threshold == "half_bit":
            return (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
        if threshold == "one_bit":
            return (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root)
        if isinstance(threshold, str) or not 0 < threshold < 1:
            raise ValueError(
                f'threshold must be a number between 0 and 1, "half_bit" or "one_bit", got {threshold!r}; give one'
            )
        return np.full_like(self.correlation, threshold)

    def outcome(self, threshold: Threshold, first_ring: int = FIRST_RING) -> Outcome:
        """How to read `crossing`: as a resolution, as "at least Nyquist", or as "no resolution at all".

        Arguments and errors are those of `crossing`.
        """
        excess = self._excess(threshold, first_ring)
        if excess[0] < 0:
            return "never above"
        return "crossed" if np.any(excess < 0) else "stays above"

    def crossing(self, threshold: Threshold, first_ring: int = FIRST_RING) -> float:
        """Frequency, cycles/px, where the curve first falls below the threshold after `first_ring`.

        Linear between rings. 0.5, the Nyquist frequency, where it never does. Where the curve is below at
        `first_ring` already, the frequency of that ring: read it as "not above".

        Raises:
            ValueError: an unknown threshold, or a ring that the curve does not have.
        """
        excess = self._excess(threshold, first_ring)
        frequency = self.frequency_cycles_per_px[first_ring - 1 :]
        below = np.flatnonzero(excess < 0)
        if below.size == 0:
            return NYQUIST_CYCLES_PER_PX
        ring = int(below[0])
        if ring == 0:
            return float(frequency[0])
        part = excess[ring - 1] / (excess[ring - 1] - excess[ring])
        return float(frequency[ring - 1] + part * (frequency[ring] - frequency[ring - 1]))

    def crossing_nyquist(self, threshold: Threshold, first_ring: int = FIRST_RING) -> float:
        """`crossing` in units of the Nyquist frequency: 0..1, 1 where the curve never falls below."""
        return self.crossing(threshold, first_ring) / NYQUIST_CYCLES_PER_PX

    def _excess(self, threshold: Threshold, first_ring: int) -> NDArray[np.float64]:
        """Correlation less threshold from `first_ring` on."""
        if not 1 <= first_ring <= len(self.correlation):
            raise ValueError(
                f"first_ring is {first_ring} but the rings are 1..{len(self.correlation)}; take larger images"
            )
        return (self.correlation - self.threshold_curve(threshold))[first_ring - 1 :]


def fourier_ring_correlation(image: NDArray[Any], reference: NDArray[Any]) -> FRCCurve:
    """FRC(q) = Re sum F1 conj(F2) / sqrt(sum |F1|^2 sum |F2|^2) over the Fourier pixels of ring q.

    The mean is taken off and a two-dimensional Hann window laid on before the transform. Rings are one
    Fourier pixel of the smaller side wide. The images must be aligned: a shift or a ramp lowers the curve.

    Args:
        image: complex or real (Y, X), at least 4 px on each side.
        reference: the same shape.

    Raises:
        ValueError: unequal or non-finite images, or too small ones.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(32, 32))
    >>> fourier_ring_correlation(noise, noise).crossing_nyquist(0.5)
    1.0
    """
    first, second = checked_pair(image, reference)
    if min(first.shape) < 4:
        raise ValueError(f"images are {first.shape}; ring correlation needs 4 px on each side; take more")
    rings, inside = _ring_index(first.shape)
    f1, f2 = (_windowed_spectrum(array)[inside] for array in (first, second))
    cross, power1, power2 = (
        np.bincount(rings, weights=values)[1:] for values in ((f1 * f2.conj()).real, np.abs(f1) ** 2, np.abs(f2) ** 2)
    )
    norm = np.sqrt(power1 * power2)
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    frequency = np.arange(1, len(cross) + 1) / min(first.shape)
    return FRCCurve(frequency, correlation, np.bincount(rings)[1:])


def _windowed_spectrum(image: NDArray[Any]) -> NDArray[np.complex128]:
    import scipy.fft

    rows, columns = (np.hanning(size + 2)[1:-1] for size in image.shape)
    return scipy.fft.fft2((image - image.mean()) * rows[:, None] * columns[None, :])


def _ring_index(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Ring number of each Fourier pixel that lies within Nyquist, and which pixels these are."""
    fy, fx = (np.fft.fftfreq(size) for size in shape)
    side = min(shape)
    rings = np.rint(np.hypot(fy[:, None], fx[None, :]) * side).astype(np.int64)
    inside = rings <= side // 2
    return rings[inside], inside
