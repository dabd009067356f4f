"""Data losses and penalties of `ptychopinn.losses` on TensorFlow tensors, under the same names."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ptychopinn.config import LossConfig
from ptychopinn.losses.means import EPSILON_OBJECT
from ptychopinn.physics.likelihood import SMALLEST_AMPLITUDE, TRAINING_PHOTONS


class DataLoss(NamedTuple):
    """A misfit of expected photons and counts, pixel by pixel."""

    value: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    """Expected photons and counts to the loss of each pixel, all (..., H, W)."""
    photons_power: float
    """Training divides by this power of the mean count."""


def poisson(expected: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    r"""\(\lambda' - k' - k \log(\lambda' / k')\), both with 0.001 photons added."""
    expected, reference = expected + TRAINING_PHOTONS, counts + TRAINING_PHOTONS
    excess = reference - expected
    least = np.finfo(expected.dtype.as_numpy_dtype).eps - 1
    ratio = tf.maximum(excess / expected, least)
    return counts * tf.math.log1p(ratio) - excess


def amplitude_difference(expected: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    r"""\(|\sqrt{\lambda + \epsilon^2} - \sqrt k|\)."""
    return tf.abs(tf.sqrt(expected + SMALLEST_AMPLITUDE**2) - tf.sqrt(counts))


def amplitude_square(expected: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    r"""\((\sqrt\lambda - \sqrt k)^2\); at 0 photons the gradient is taken as 0."""
    least = np.finfo(expected.dtype.as_numpy_dtype).tiny
    return tf.square(tf.sqrt(tf.maximum(expected, least)) - tf.sqrt(counts))


def masked_mean(values: tf.Tensor, measured: tf.Tensor | None) -> tf.Tensor:
    """Mean of values (..., H, W) where `measured` (broadcastable) is True; everywhere without a mask."""
    if measured is None:
        return tf.reduce_mean(values)
    weight = tf.broadcast_to(measured, tf.shape(values))
    count = tf.cast(tf.math.count_nonzero(weight), values.dtype)
    return tf.reduce_sum(tf.where(weight, values, 0)) / tf.maximum(count, 1)


def realspace_mae(patches: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean modulus of the difference of complex patches and labels."""
    return tf.reduce_mean(tf.abs(patches - labels))


def _part_of(images: tf.Tensor, part: str) -> tf.Tensor:
    if part == "complex":
        return images
    modulus = tf.abs(images)
    if part == "amplitude":
        return modulus
    real = tf.math.real(images)
    return tf.atan2(tf.math.imag(images), real + EPSILON_OBJECT * tf.cast(modulus < EPSILON_OBJECT, real.dtype))


def _differences(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]


def total_variation(images: tf.Tensor, part: str) -> tf.Tensor:
    """Mean absolute difference of neighbours along rows, plus that along columns."""
    rows, columns = _differences(_part_of(images, part))
    return tf.reduce_mean(tf.abs(rows)) + tf.reduce_mean(tf.abs(columns))


def mean_deviation(images: tf.Tensor, part: str) -> tf.Tensor:
    """Mean absolute deviation of each image from its own mean."""
    image = _part_of(images, part)
    return tf.reduce_mean(tf.abs(image - tf.reduce_mean(image, axis=(-2, -1), keepdims=True)))


def smoothness(images: tf.Tensor, edge: float | None) -> tf.Tensor:
    """Sum over squared differences of neighbours per pixel, or its edge-preserving form."""
    total: Any = 0.0
    for difference in _differences(images):
        square = tf.square(tf.math.real(difference)) + tf.square(tf.math.imag(difference))
        if edge is not None:
            square = 2 * edge**2 * (tf.sqrt(1 + square / edge**2) - 1)
        total += tf.reduce_sum(square)
    return total / tf.cast(tf.size(images), total.dtype)


DATA_LOSSES: dict[str, DataLoss] = {
    "poisson": DataLoss(poisson, 1.0),
    "poisson_likelihood": DataLoss(poisson, 1.0),
    "amplitude": DataLoss(amplitude_square, 1.0),
    "amplitude_mae": DataLoss(amplitude_difference, 0.5),
}
"""Name of a setting `model.loss.<name>_weight`, or of an entry of `model.loss.terms`, -> its loss."""

PENALTIES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    **{
        f"{prefix}{name}": partial(function, part=part)
        for prefix, part in (("", "complex"), ("amplitude_", "amplitude"), ("phase_", "phase"))
        for name, function in (("total_variation", total_variation), ("mean_deviation", mean_deviation))
    },
    "smoothness": partial(smoothness, edge=None),
    "edge_preserving": partial(smoothness, edge=0.03),
}
"""Name of a penalty -> its mean per pixel of complex images (..., H, W)."""


def data_terms(config: LossConfig) -> dict[str, tuple[float, DataLoss]]:
    """Weight and data loss of each term that training minimises, by name."""
    weights = {name: getattr(config, f"{name}_weight") for name in ("poisson", "amplitude_mae")} | config.terms
    return {name: (weight, DATA_LOSSES[name]) for name, weight in weights.items() if weight}


def penalty_terms(config: LossConfig) -> dict[str, tuple[float, Callable[[tf.Tensor], tf.Tensor]]]:
    """Weight and penalty of each further term, by name."""
    weights = {name: getattr(config, f"{name}_weight", 0.0) for name in PENALTIES} | config.penalties
    return {name: (weight, PENALTIES[name]) for name, weight in weights.items() if weight}
