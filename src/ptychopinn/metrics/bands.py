"""Low spatial frequencies of an image apart from the rest: they converge last, so they are scored apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.frc import FIRST_RING


def low_frequency_limit(shape: tuple[int, ...]) -> float:
    """Frequency, cycles/px, up to which a pattern counts as low: the outer edge of ring 5 of the shorter side.

    >>> low_frequency_limit((110, 200))
    0.05
    """
    return (FIRST_RING + 0.5) / min(shape)


def split_bands(image: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A real image (Y, X) as the sum of its low and its high frequencies.

    The parts are those of the cosine transform of type II, which mirrors the image at its borders, so that unequal
    opposite sides leak nothing. It is orthogonal: mean squares of the parts add up to that of the image. The mean
    belongs to the low part.

    Returns:
        The part up to `low_frequency_limit`, and the part above it.

    >>> low, high = split_bands(np.eye(32))
    >>> bool(np.allclose(low + high, np.eye(32))), abs(float(high.mean())) < 1e-12
    (True, True)
    """
    import scipy.fft

    spectrum = scipy.fft.dctn(np.asarray(image, np.float64), norm="ortho")
    rows, columns = (np.arange(size) / (2 * size) for size in spectrum.shape)
    is_low = np.hypot(rows[:, None], columns[None, :]) <= low_frequency_limit(spectrum.shape)
    low = scipy.fft.idctn(np.where(is_low, spectrum, 0), norm="ortho")
    return low, image - low


def without_plane(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take off the least-squares plane: a ramp that the alignment laid on a constant is no contrast."""
    y, x = (np.arange(size) - (size - 1) / 2 for size in phase.shape)
    centred = phase - phase.mean()
    slope_y = float(y @ centred.mean(1) / (y @ y))
    slope_x = float(x @ centred.mean(0) / (x @ x))
    return centred - slope_y * y[:, None] - slope_x * x[None, :]
