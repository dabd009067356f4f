"""Training with Lightning, which is imported when a training starts: an image of the solver does not need it."""

from ptychopinn.training.collapse import judge
from ptychopinn.training.fit import Fit, check_ranks, fit, fit_prepared
from ptychopinn.training.history import CHECKPOINTS, EpochHook, History
from ptychopinn.training.prepare import Part, Prepared, check_trainable, prepare, split_groups, used_patterns
from ptychopinn.training.resume import checkpoint_to_resume
from ptychopinn.training.start import recipe_of_start

__all__ = [
    "CHECKPOINTS",
    "EpochHook",
    "Fit",
    "History",
    "Part",
    "Prepared",
    "check_ranks",
    "check_trainable",
    "checkpoint_to_resume",
    "fit",
    "fit_prepared",
    "judge",
    "prepare",
    "recipe_of_start",
    "split_groups",
    "used_patterns",
]
