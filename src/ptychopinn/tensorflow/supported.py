"""What of a recipe the TensorFlow backend has; the rest is refused before any work."""

from collections.abc import Iterator

import keras

from ptychopinn.bundle.layouts import lacking
from ptychopinn.config import ModelConfig, Recipe, TrainingConfig
from ptychopinn.errors import ConfigError
from ptychopinn.tensorflow.losses import DATA_LOSSES, PENALTIES


def check_supported(recipe: Recipe) -> None:
    """Refuse a recipe that needs PyTorch.

    Raises:
        ConfigError: a setting that only PyTorch has, with its value; or Keras runs on another framework.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras must compute by TensorFlow, and it is set to {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow before Python starts"
        )
    for setting, value, has in (*_of_model(recipe.model), *_of_training(recipe.training)):
        raise ConfigError(
            f"{setting} is {value!r}, and the backend tensorflow has {has} only; change it, or set backend=pytorch"
        )


def _of_model(model: ModelConfig) -> Iterator[tuple[str, object, str]]:
    yield from lacking(model)
    if model.merge.weight == "legacy":
        yield "model.merge.weight", "legacy", "probe, uniform and central"
    if model.positions.trainable:
        yield "model.positions.trainable", True, "false"
    for key, known in (("terms", DATA_LOSSES), ("penalties", PENALTIES)):
        for name in getattr(model.loss, key):
            if name not in known:
                yield f"model.loss.{key}", name, ", ".join(known)


def _of_training(training: TrainingConfig) -> Iterator[tuple[str, object, str]]:
    for name, allowed in (
        ("accumulate_steps", (1,)),
        ("devices", (1,)),
        ("precision", ("float32",)),
        ("compile", (False,)),
        ("logger", ("csv", "none")),
    ):
        value = getattr(training, name)
        if value not in allowed:
            yield f"training.{name}", value, " and ".join(str(one).lower() for one in allowed)
    for section, key in (("stages", "epochs"), ("fine_tune", "epochs"), ("fine_tune", "staged")):
        value = getattr(getattr(training, section), key)
        if value:
            yield f"training.{section}.{key}", value, "trainings without stages"
