"""How well modelled patterns explain measured ones: the score that needs no reference object."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, xlogy

SMALL_MEAN = 30.0
"""Below this expectation the mean deviance is summed exactly; above it the series is right to 1e-5."""


def amplitude_misfit(
    measured_amplitude: NDArray[Any], model_amplitude: NDArray[Any], mask: NDArray[np.bool_] | None = None
) -> float:
    """sum |measured - model| / sum measured, over the pixels that count.

    Args:
        measured_amplitude: (..., H, W), sqrt(photons).
        model_amplitude: the same shape and unit.
        mask: boolean, broadcast to that shape, True where a pixel was measured.

    Raises:
        ValueError: unequal shapes, negative or non-finite values, or nothing measured.

    >>> import numpy as np
    >>> amplitude_misfit(np.array([2.0, 2.0]), np.array([1.0, 2.0]))
    0.25
    """
    measured, model = _counting(measured_amplitude, model_amplitude, mask, ("measured_amplitude", "model_amplitude"))
    total = float(measured.sum())
    if total == 0:
        raise ValueError("measured_amplitude is zero where it counts; a relative misfit needs some signal")
    return float(np.abs(measured - model).sum() / total)


def poisson_deviance_per_pixel(
    counts: NDArray[Any], expected: NDArray[Any], mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean of 2 (k log(k / lambda) - (k - lambda)) over the pixels that count.

    Infinite where a photon was counted on a pixel that the model leaves dark. A perfect model gives
    `expected_poisson_deviance`, about 1 where pixels hold many photons and far less where they hold few.

    Args:
        counts: k, (..., H, W), photons.
        expected: lambda, the same shape, photons.
        mask: boolean, broadcast to that shape, True where a pixel was measured.

    Raises:
        ValueError: unequal shapes, negative or non-finite values, or an empty mask.
    """
    k, mean = _counting(counts, expected, mask, ("counts", "expected"))
    return float(2 * kl_div(k, mean).mean())


def expected_poisson_deviance(expected: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """What `poisson_deviance_per_pixel` averages to when the counts are drawn from `expected` itself.

    Exact sum over k below 30 photons, 2 (E[k log k] - lambda log lambda); above,
    1 + 1/(6 lambda) + 1/(6 lambda^2).

    Args:
        expected: lambda, (..., H, W), photons.
        mask: boolean, broadcast to that shape, True where a pixel was measured.

    Raises:
        ValueError: negative or non-finite values, or an empty mask.

    >>> import numpy as np
    >>> round(expected_poisson_deviance(np.array([1e4])), 6)
    1.000017
    """
    mean, _ = _counting(expected, expected, mask, ("expected", "expected"))
    small = mean < SMALL_MEAN
    large = mean[~small]
    total = _exact_deviance(mean[small]).sum() + (1 + 1 / (6 * large) + 1 / (6 * large**2)).sum()
    return float(total / mean.size)


def _exact_deviance(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 (E[k log k] - mean log mean) for each mean, by the recursion p_k = p_(k-1) mean / k."""
    if mean.size == 0:
        return mean
    largest = float(mean.max())
    probability = np.exp(-mean)
    entropy = np.zeros_like(mean)
    for k in range(1, int(largest + 12 * np.sqrt(largest)) + 20):
        probability *= mean / k
        entropy += probability * (k * np.log(k))
    return 2 * (entropy - xlogy(mean, mean))


def _counting(
    first: NDArray[Any], second: NDArray[Any], mask: NDArray[np.bool_] | None, names: tuple[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of both arrays where the mask is True, in double precision."""
    a, b = (np.asarray(array, dtype=np.float64) for array in (first, second))
    if a.shape != b.shape:
        raise ValueError(f"{names[0]} has shape {a.shape} and {names[1]} {b.shape}; both must be equal")
    if mask is not None:
        counts = np.broadcast_to(_boolean(mask), a.shape)
        a, b = a[counts], b[counts]
    for name, values in zip(names, (a, b), strict=True):
        if values.size == 0:
            raise ValueError(f"{name} has no pixel that counts; give data, or a mask that selects some")
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"{name} holds negative or non-finite values; mask these pixels out")
    return a.ravel(), b.ravel()


def _boolean(mask: NDArray[Any]) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ValueError(f"mask has type {array.dtype}; must be boolean, True where a pixel was measured")
    return array
