"""Trainable models: a generator, the probe and the physics."""

from ptychopinn.models.base import PatchModel
from ptychopinn.models.beam import masked_probe, prepare_probe, scaled_probe, scan_scale
from ptychopinn.models.build import build_model, fit_statistics
from ptychopinn.models.labels import labels_for, needs_labels, with_labels
from ptychopinn.models.pinn import Prediction, PtychoPINN
from ptychopinn.models.supervised import Supervised
from ptychopinn.models.trained import TrainedModel, unseen_pixels

__all__ = [
    "PatchModel",
    "Prediction",
    "PtychoPINN",
    "Supervised",
    "TrainedModel",
    "build_model",
    "fit_statistics",
    "labels_for",
    "masked_probe",
    "needs_labels",
    "prepare_probe",
    "scaled_probe",
    "scan_scale",
    "unseen_pixels",
    "with_labels",
]
