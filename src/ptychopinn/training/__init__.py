"""Training with Lightning."""

from ptychopinn.training.callbacks import EpochHook, History
from ptychopinn.training.collapse import judge
from ptychopinn.training.fit import Fit, fit, fit_prepared
from ptychopinn.training.prepare import Part, Prepared, prediction_groups, prepare, split_groups

__all__ = [
    "EpochHook",
    "Fit",
    "History",
    "Part",
    "Prepared",
    "fit",
    "fit_prepared",
    "judge",
    "prediction_groups",
    "prepare",
    "split_groups",
]
