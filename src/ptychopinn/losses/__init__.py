"""What training minimises."""

from ptychopinn.losses.terms import (
    amplitude_mae,
    masked_mean,
    mean_deviation,
    phase_of,
    poisson_nll,
    realspace_mae,
    total_variation,
)

__all__ = [
    "amplitude_mae",
    "masked_mean",
    "mean_deviation",
    "phase_of",
    "poisson_nll",
    "realspace_mae",
    "total_variation",
]
