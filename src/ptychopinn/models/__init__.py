"""Trainable models: a generator, the probe and the physics."""

from ptychopinn.models.base import PatchModel
from ptychopinn.models.build import (
    build_model,
    fit_statistics,
    labels_for,
    needs_labels,
    prepare_probe,
    scan_scale,
    with_labels,
)
from ptychopinn.models.pinn import Prediction, PtychoPINN
from ptychopinn.models.supervised import Supervised

__all__ = [
    "PatchModel",
    "Prediction",
    "PtychoPINN",
    "Supervised",
    "build_model",
    "fit_statistics",
    "labels_for",
    "needs_labels",
    "prepare_probe",
    "scan_scale",
    "with_labels",
]
