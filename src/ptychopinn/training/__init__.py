"""Training with Lightning."""

from ptychopinn.training.callbacks import EpochHook, History
from ptychopinn.training.fit import Fit, fit, fit_prepared
from ptychopinn.training.prepare import Part, Prepared, choose_device, prepare, split_groups

__all__ = [
    "EpochHook",
    "Fit",
    "History",
    "Part",
    "Prepared",
    "choose_device",
    "fit",
    "fit_prepared",
    "prepare",
    "split_groups",
]
