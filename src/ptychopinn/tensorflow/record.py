"""Patterns of any object and probe by TensorFlow: `ptychopinn.simulation.record_patterns` for the far field."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ptychopinn.tensorflow.patches import extract_patches
from ptychopinn.tensorflow.physics import detect_patches, shifted_probes, split_position

BATCH = 64
"""Patterns computed at once: 8 MB of waves at 128 px. Twice as many take as long."""


def record_patterns(
    object_: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64],
    rng: np.random.Generator | None,
) -> NDArray[Any]:
    """Poisson counts (N, H, W), or the expected ones in float32 without random numbers.

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons).
        positions_px: (N, 2), (y, x), in the frame of `object_`; every window lies on it.
        rng: draws the counts.
    """
    canvas, modes = tf.constant(object_)[None], tf.constant(probe)
    expected = []
    for start in range(0, len(positions_px), BATCH):
        whole, remainder = split_position(tf.constant(positions_px[start : start + BATCH]))
        probes, _ = shifted_probes(modes, tf.cast(remainder, tf.float32))
        patches = extract_patches(canvas, whole[None], (probe.shape[-2], probe.shape[-1]))[0]
        expected.append(detect_patches(patches, probes).numpy())
    photons = np.concatenate(expected)
    return photons if rng is None else rng.poisson(photons)
