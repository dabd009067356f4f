"""The TensorFlow backend: the convolutional network, the physics and the training as Keras layers, models, callbacks.

Everything else is shared with PyTorch: recipe, scans, groups, statistics, initial weights, order of the patterns,
stitching, metrics, figures and archives. Only `ptychopinn.api.backends` imports this package, when it is asked for; it
needs the extra `tensorflow`. The names are those of the modules of PyTorch that do the same.
"""

from ptychopinn.tensorflow.fit import train_by_keras
from ptychopinn.tensorflow.pinn import PatchModel, Prediction, PtychoPINN, Supervised, build_model
from ptychopinn.tensorflow.predict import DiffractionToObject, KerasGenerator, keep, with_keras
from ptychopinn.tensorflow.record import record_patterns
from ptychopinn.tensorflow.supported import check_supported

__all__ = [
    "DiffractionToObject",
    "KerasGenerator",
    "PatchModel",
    "Prediction",
    "PtychoPINN",
    "Supervised",
    "build_model",
    "check_supported",
    "keep",
    "record_patterns",
    "train_by_keras",
    "with_keras",
]
