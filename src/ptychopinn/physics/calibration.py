"""Whether a probe is in sqrt(photons), which its photons and the mean counts tell; for arrays of NumPy and of torch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CALIBRATED_RATIO = (0.2, 2.0)
"""A probe whose photons explain the mean counts within these factors is taken to be in sqrt(photons)."""


def photon_ratio(mean_counts_per_pattern: float, probe: "NDArray[Any] | Tensor") -> float:
    """Measured photons per pattern over those of the probe (M, H, W): the mean |object|^2 if it is calibrated."""
    amplitude: Any = abs(probe)
    return mean_counts_per_pattern / float((amplitude**2).sum())
