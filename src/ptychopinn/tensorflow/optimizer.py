"""Optimisers and learning rates that take the same steps as those of `ptychopinn.training.module`."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ptychopinn.config import TrainingConfig
from ptychopinn.tensorflow.pinn import PatchModel

LEAST_NORM = 1e-3
"""Stands for the norm of weights that are about zero in adaptive clipping."""


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then cosine, exponential or constant; counted in steps.

    Args:
        config: which of them.
        steps: of the whole training.
        steps_per_epoch: of one epoch.
    """

    def __init__(self, config: TrainingConfig, steps: int, steps_per_epoch: int) -> None:
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
        self.length = max(1, steps - self.warmup)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate of a step, from 0."""
        step = tf.cast(step, tf.float32)
        highest, warmup = self.config.learning_rate, max(self.warmup, 1)
        start = 1 / (warmup + 1)
        rising = highest * (start + (1 - start) * step / warmup)
        return tf.where(step < self.warmup, rising, self._after(step - self.warmup))

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        config = self.config
        if config.scheduler == "cosine":
            part = (1 + tf.cos(math.pi * step / self.length)) / 2
            return config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * part)
        if config.scheduler == "exponential":
            return config.learning_rate * config.exponential_gamma ** (step / self.steps_per_epoch)
        return tf.fill(tf.shape(step), config.learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Plain values; Keras asks for them."""
        return {"config": self.config.model_dump(), "steps": self.length + self.warmup}


class _Limited:
    """An optimiser that limits gradients and adds weight decay to them, before its own step."""

    training: TrainingConfig
    decayed: Sequence[keras.Variable] = ()
    """Weights whose decay is a part of the gradient, as in Adam and SGD of PyTorch."""

    def apply(self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """One step."""
        variables = list(trainable_variables or self._trainable_variables)  # type: ignore[attr-defined]
        pairs = [pair for pair in zip(grads, variables, strict=True) if pair[0] is not None]
        values, variables = [value for value, _ in pairs], [variable for _, variable in pairs]
        values = limited(values, variables, self.training)
        chosen = {id(variable) for variable in self.decayed}
        values = [
            value + self.training.weight_decay * tf.convert_to_tensor(variable) if id(variable) in chosen else value
            for value, variable in zip(values, variables, strict=True)
        ]
        super().apply(values, variables)  # type: ignore[misc]


class _Adams(_Limited):
    """Adam with its epsilon beside the corrected second moment, as in PyTorch; Keras has it beside the running one.

    Where gradients are as small as epsilon, as in the first steps of a network whose last layer starts at zero, the
    steps of both would differ otherwise.
    """

    _least = 1e-8

    @property
    def epsilon(self) -> tf.Tensor:
        """Times the root of the correction, by which Keras divides it."""
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32)  # type: ignore[attr-defined]
        return self._least * tf.sqrt(1 - tf.pow(tf.cast(self.beta_2, tf.float32), step))  # type: ignore[attr-defined]

    @epsilon.setter
    def epsilon(self, value: float) -> None:
        self._least = value


class LimitedAdamW(_Adams, keras.optimizers.AdamW):
    """Decoupled weight decay."""


class LimitedAdam(_Adams, keras.optimizers.Adam):
    """Weight decay in the gradient."""


class LimitedSGD(_Limited, keras.optimizers.SGD):
    """Weight decay in the gradient."""


def limited(gradients: list[tf.Tensor], variables: Sequence[keras.Variable], config: TrainingConfig) -> list[tf.Tensor]:
    """Gradients as `training.gradient_clip` and `gradient_clip_algorithm` limit them."""
    largest = config.gradient_clip
    if largest is None:
        return gradients
    if config.gradient_clip_algorithm == "norm":
        return list(tf.clip_by_global_norm(gradients, largest)[0])
    if config.gradient_clip_algorithm == "value":
        return [tf.clip_by_value(gradient, -largest, largest) for gradient in gradients]
    return [_adaptive(gradient, variable, largest) for gradient, variable in zip(gradients, variables, strict=True)]


def _adaptive(gradient: tf.Tensor, variable: keras.Variable, largest: float) -> tf.Tensor:
    """The gradient of each output unit limited to `largest` times the norm of its weights (Brock et al. 2021)."""
    value = tf.convert_to_tensor(variable)
    rank = value.shape.rank
    units = 0 if variable.name == "probe_parts" else rank - 1
    axes = [axis for axis in range(rank) if axis != units] or None  # the whole of a vector is one unit
    weight, length = (tf.sqrt(tf.reduce_sum(tf.square(x), axis=axes, keepdims=True)) for x in (value, gradient))
    return gradient * tf.minimum(largest * tf.maximum(weight, LEAST_NORM) / tf.maximum(length, 1e-12), 1.0)


def make_optimizer(model: PatchModel, config: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimiser over what is trainable, with the schedule of the recipe.

    Probe and scale have no weight decay, which would pull a probe towards darkness.
    """
    rate: Any = config.learning_rate
    if config.scheduler != "plateau":
        rate = Schedule(config, steps_per_epoch * (config.epochs or 1), steps_per_epoch)
    network = model.generator.trainable_variables
    physics = [variable for variable in model.beam.trainable_variables if variable.trainable]
    optimizer: Any
    if config.optimizer == "sgd":
        optimizer = LimitedSGD(rate, momentum=config.momentum)
    else:
        first, second = config.betas
        kind = LimitedAdamW if config.optimizer == "adamw" else LimitedAdam
        decay = {"weight_decay": config.weight_decay} if config.optimizer == "adamw" else {}
        optimizer = kind(rate, beta_1=first, beta_2=second, epsilon=1e-8, **decay)
    optimizer.training = config
    if config.optimizer != "adamw":
        optimizer.decayed = network
    elif physics:
        optimizer.exclude_from_weight_decay(var_list=physics)
    optimizer.build(model.trainable_variables)
    return optimizer
