"""Training with Lightning."""

from ptychopinn.training.callbacks import EpochHook, History
from ptychopinn.training.fit import Fit, TrainingData, choose_device, fit, split_groups, training_data

__all__ = [
    "EpochHook",
    "Fit",
    "History",
    "TrainingData",
    "choose_device",
    "fit",
    "split_groups",
    "training_data",
]
