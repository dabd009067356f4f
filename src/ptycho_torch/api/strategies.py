"""Words that the high-level API takes for how models are trained and kept."""

from enum import Enum


class Orchestration(Enum):
    """Where a training is recorded, and a model kept: a run of MLflow, or plain files."""

    MLFLOW = "mlflow"
    LIGHTNING = "lightning"
    PYTORCH = "pytorch"


class TrainStrategy(Enum):
    """What trains; Lightning does in both cases."""

    LIGHTNING = "lightning"
    PYTORCH = "pytorch"
