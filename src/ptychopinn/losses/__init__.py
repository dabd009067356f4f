"""Data losses and penalties: one table of each, for training and for the iterative solver."""

from ptychopinn.losses.data import (
    LIKELIHOOD,
    AmplitudeDifference,
    AmplitudeSquare,
    DataLoss,
    Poisson,
    mean_loss,
    slope_by_autograd,
)
from ptychopinn.losses.means import masked_mean, phase_of, realspace_mae, shape_of_amplitudes, weighted_mae
from ptychopinn.losses.penalties import (
    MeanDeviation,
    Penalty,
    SingleMaterial,
    Smoothness,
    TotalVariation,
    gradient_by_autograd,
)
from ptychopinn.losses.registry import DATA_LOSSES, PENALTIES, data_loss, data_terms, penalty, penalty_terms

__all__ = [
    "DATA_LOSSES",
    "LIKELIHOOD",
    "PENALTIES",
    "AmplitudeDifference",
    "AmplitudeSquare",
    "DataLoss",
    "MeanDeviation",
    "Penalty",
    "Poisson",
    "SingleMaterial",
    "Smoothness",
    "TotalVariation",
    "data_loss",
    "data_terms",
    "gradient_by_autograd",
    "masked_mean",
    "mean_loss",
    "penalty",
    "penalty_terms",
    "phase_of",
    "realspace_mae",
    "shape_of_amplitudes",
    "slope_by_autograd",
    "weighted_mae",
]
