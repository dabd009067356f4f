"""Training with Lightning."""

from ptychopinn.training.callbacks import EpochHook, History
from ptychopinn.training.fit import Fit, choose_device, fit, split_groups

__all__ = ["EpochHook", "Fit", "History", "choose_device", "fit", "split_groups"]
