"""How well modelled patterns explain measured ones: the score that needs no reference object.

`Misfit` sums the Poisson deviance, see `ptychopinn.physics.deviance`, over batches of patterns, beside what it averages
to for a perfect model.
"""

from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.metrics.columns import Columns
from ptychopinn.physics.deviance import deviance, ideal_deviance
from ptychopinn.ranks import Ranks


@final
class Misfit:
    """Sums of the misfit over batches of patterns, so that a scan is never expanded as a whole.

    Attributes:
        deviance_of_patterns: deviance and its expectation for a perfect model (2, N): summed over the measured pixels
            of each pattern.
        deviance_of_pixels: the same summed over the patterns, (2, H, W); None before the first batch.
        measured: (H, W), how often each pixel was measured; None before the first batch.

    >>> misfit = Misfit()
    >>> misfit.add(torch.tensor([[[4.0, 1.0]]]), torch.tensor([[[1.0, 1.0]]]))
    >>> misfit.add(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[1.0, 1.0]]]))
    >>> {name: round(value, 3) for name, value in misfit.scores().items()}
    {'amplitude_misfit': 0.5, 'poisson_deviance_per_pixel': 1.773, 'poisson_deviance_of_a_perfect_model': 1.147}
    """

    def __init__(self) -> None:
        self._patterns = Columns()
        self.deviance_of_pixels: Tensor | None = None
        self.measured: Tensor | None = None
        self._amplitudes: Tensor | None = None

    @property
    def deviance_of_patterns(self) -> Tensor:
        """(2, N)."""
        return self._patterns.values

    def add(self, counts: Tensor, expected: Tensor, measured: Tensor | None = None) -> None:
        """Add one batch.

        Args:
            counts: (B, H, W), photons.
            expected: the same shape, photons.
            measured: boolean, (B, H, W) or (H, W), True where a pixel was measured.
        """
        amplitude, model = counts.sqrt(), expected.sqrt()
        values = [(amplitude - model).abs_(), amplitude, deviance(counts, expected), ideal_deviance(expected)]
        if measured is None:
            seen = torch.full(counts.shape[-2:], float(len(counts)), dtype=torch.float64, device=counts.device)
        else:
            values = [value.masked_fill(~measured, 0) for value in values]
            seen = measured.expand_as(counts).sum(0, dtype=torch.float64)
        amplitudes = torch.stack([_per_pattern(value).sum() for value in values[:2]])
        self._amplitudes = amplitudes if self._amplitudes is None else self._amplitudes.add_(amplitudes)
        self._patterns.add(torch.stack([_per_pattern(value) for value in values[2:]]))
        of_pixels = torch.stack([value.sum(0) for value in values[2:]]).double()
        self.deviance_of_pixels = (
            of_pixels if self.deviance_of_pixels is None else self.deviance_of_pixels.add_(of_pixels)
        )
        self.measured = seen if self.measured is None else self.measured.add_(seen)

    def complete(self, ranks: Ranks, shape: tuple[int, int, int]) -> None:
        """Take the sums of the patterns of the other ranks; `shape` (N, H, W) is that of all patterns."""
        if not ranks.are_many:
            return
        of_patterns = torch.zeros(2, shape[0], dtype=torch.float64)
        of_pixels = torch.zeros(3, *shape[1:], dtype=torch.float64)
        amplitudes = torch.zeros(2, dtype=torch.float64)
        if self.deviance_of_pixels is not None and self.measured is not None and self._amplitudes is not None:
            of_patterns[:, ranks.own(shape[0])] = self.deviance_of_patterns.cpu()
            of_pixels[:2], of_pixels[2] = self.deviance_of_pixels.cpu(), self.measured.cpu()
            amplitudes = self._amplitudes.cpu()
        ranks.add(of_patterns, of_pixels, amplitudes)
        self._patterns, self._amplitudes = Columns(), amplitudes
        self._patterns.add(of_patterns)
        self.deviance_of_pixels, self.measured = of_pixels[:2], of_pixels[2]

    def scores(self) -> dict[str, float]:
        """The mean over all that was measured, under the names of `metrics.json`.

        Raises:
            ValueError: no pixel was measured, or none holds a photon.
        """
        pixels = 0.0 if self.measured is None else float(self.measured.sum())
        if pixels == 0 or self._amplitudes is None:
            raise ValueError("no pixel was measured; give data, or a mask that selects some")
        difference, total = self._amplitudes.tolist()
        if total == 0:
            raise ValueError("the counts are zero wherever they were measured; a relative misfit needs some signal")
        found, ideal = self.deviance_of_patterns.sum(1).tolist()
        return {
            "amplitude_misfit": difference / total,
            "poisson_deviance_per_pixel": found / pixels,
            "poisson_deviance_of_a_perfect_model": ideal / pixels,
        }


def _per_pattern(values: Tensor) -> Tensor:
    """(B,) float64: sums of (B, H, W) over the pixels, by rows in the precision of the values."""
    return values.sum(-1).sum(-1, dtype=torch.float64)


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
    return float(deviance(torch.from_numpy(k), torch.from_numpy(mean)).mean())


def expected_poisson_deviance(expected: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """What `poisson_deviance_per_pixel` averages to when the counts are drawn from `expected` itself.

    The mean of `ideal_deviance`.

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
    return float(ideal_deviance(torch.from_numpy(mean)).mean())


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
