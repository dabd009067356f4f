"""Batches of the shared loaders as TensorFlow tensors, and as the data set that Keras iterates over."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ptychopinn.data.dataset import Batch
from ptychopinn.data.mirror import Mirror

Arrays = dict[str, NDArray[Any]]
PREFETCHED = 2
"""Batches that are gathered while a step runs; more need memory and gain nothing."""


def arrays_of(batch: Batch, mean_count: float, like: np.dtype[Any] | type = np.float32) -> Arrays:
    """What the models of this package take of a batch, by name.

    Args:
        batch: of a loader.
        mean_count: mean count of a pixel, where the batch has none of its own, photons.
        like: type of real numbers.
    """
    arrays: Arrays = {
        "amplitude": batch.amplitude.cpu().numpy().astype(like, copy=False),
        "canvas_shape": np.array(batch.canvas_shape, np.int32),
        "mean_count": np.array(batch.mean_count or mean_count, like),
        "remainder_px": batch.remainder_px.cpu().numpy().astype(like, copy=False),
        "whole_px": batch.whole_px.cpu().numpy().astype(np.int32),
    }
    if batch.measured is not None:
        measured = batch.measured.cpu().numpy()
        arrays["measured"] = measured[(None,) * (4 - measured.ndim)]
    for name in ("labels", "probe", "seen"):
        if (value := getattr(batch, name)) is not None:
            arrays[name] = value.detach().cpu().numpy()
    if batch.seen is not None:
        arrays["hidden_fraction"] = np.array(batch.hidden_fraction, like)
    if batch.mirrored is not None:
        arrays["mirror"] = _flags(batch.mirrored)
    return arrays


def _flags(mirrored: Any) -> NDArray[np.bool_]:
    mirror: Mirror = mirrored.__self__
    return np.array([mirror.rows, mirror.columns, mirror.transpose])


def dataset(loader: Iterable[Batch], mean_count: float, masked: bool) -> tf.data.Dataset:
    """The batches of a loader, anew for every pass over the data set.

    Args:
        loader: of `ptychopinn.training.loader`.
        mean_count: as for `arrays_of`.
        masked: whether some scan has bad pixels: all batches have a mask then, so that they have the same entries.
    """

    def batches() -> Iterator[Arrays]:
        for batch in loader:
            arrays = arrays_of(batch, mean_count)
            if masked:
                arrays.setdefault("measured", np.ones((1, 1, *batch.amplitude.shape[-2:]), np.bool_))
            yield arrays

    signature = {name: _spec(name, array) for name, array in next(iter(batches())).items()}
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    counted = made.apply(tf.data.experimental.assert_cardinality(len(loader)))  # type: ignore[arg-type]
    return counted.prefetch(PREFETCHED)


_LEADING = {"amplitude": 2, "remainder_px": 2, "whole_px": 2, "measured": 2, "labels": 2, "seen": 2}
"""Leading axes of an entry that differ from batch to batch."""


def _spec(name: str, array: NDArray[Any]) -> tf.TensorSpec:
    free = _LEADING.get(name, 0)
    return tf.TensorSpec((None,) * free + array.shape[free:], array.dtype)
