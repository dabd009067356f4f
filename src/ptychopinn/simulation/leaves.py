"""Grains that hide one another."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ptychopinn.simulation.fields import Field, Texture, random_field, stretched

RADIUS_MIN_PX = 2.5
RADIUS_MAX_PX = 26.0
COVERS = 5.0
"""Total area of the leaves over the area of the picture."""
CHUNK = 8192
"""Leaves whose outlines are computed at once."""


def dead_leaves(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Elliptic grains that hide one another, radii distributed as r^-3: sharp edges at all scales.

    Source: Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 41 (2001).
    """
    count = _leaf_count(shape)
    radius = _power_law_radii(count, rng)
    flattening = rng.uniform(0.65, 1.0, count)
    turn = rng.uniform(0, np.pi, count)
    centre = rng.uniform(0, 1, (count, 2)) * shape
    density = rng.uniform(0, 1, count)
    delay = 0.7 * density + 0.3 * rng.uniform(0, 1, count)
    layers = np.stack([np.full(shape, 0.5), np.full(shape, 0.5)])
    forms, values = np.column_stack([centre, radius, flattening, turn]), np.column_stack([density, delay])
    for start in range(0, count, CHUNK):
        _paint(layers, forms[start : start + CHUNK], values[start : start + CHUNK])
    grain = random_field(shape, 2.0, rng)
    return stretched(layers[0] + 0.03 * grain, layers[1] + 0.03 * grain)


def _leaf_count(shape: tuple[int, int]) -> int:
    low, high = RADIUS_MIN_PX, RADIUS_MAX_PX
    mean_square = 2 * np.log(high / low) / (low**-2 - high**-2)
    return int(np.ceil(COVERS * shape[0] * shape[1] / (np.pi * mean_square)))


def _power_law_radii(count: int, rng: np.random.Generator) -> Field:
    """Radii with density r^-3 between the two limits, by the inverse of the cumulative distribution."""
    low, high = RADIUS_MIN_PX**-2, RADIUS_MAX_PX**-2
    return (low - rng.uniform(0, 1, count) * (low - high)) ** -0.5


def _paint(layers: Field, forms: Field, values: Field) -> None:
    """Cover the picture inside ellipses, in place, one after the other.

    Args:
        layers: (2, Y, X).
        forms: (n, 5): centre y and x, radius, flattening, turn.
        values: (n, 2), what each ellipse puts on each layer.
    """
    low = np.maximum(np.floor(forms[:, :2] - forms[:, 2:3] - 1), 0).astype(int)
    high = np.minimum(np.ceil(forms[:, :2] + forms[:, 2:3] + 2).astype(int), layers.shape[1:])
    covers = _covers(forms, low, high - low)
    for (y0, x0), (y1, x1), cover, value in zip(low.tolist(), high.tolist(), covers, values, strict=True):
        window = layers[:, y0:y1, x0:x1]
        window += cover * (value[:, None, None] - window)


def _covers(forms: Field, low: NDArray[np.int_], size: NDArray[np.int_]) -> list[Field]:
    """How much of each pixel of its window an ellipse covers; windows of one size are computed together."""
    order = np.lexsort((size[:, 1], size[:, 0])).tolist()
    covers: list[Field] = [np.empty((0, 0))] * len(order)
    for (rows, columns), members in groupby(order, key=lambda leaf: (int(size[leaf, 0]), int(size[leaf, 1]))):
        leaves = list(members)
        together = _ellipses(forms[leaves], low[leaves], (rows, columns))
        for leaf, cover in zip(leaves, together, strict=True):
            covers[leaf] = cover
    return covers


def _ellipses(forms: Field, low: NDArray[np.int_], size: tuple[int, int]) -> Field:
    """(n, rows, columns): 1 inside, 0 outside, an edge one pixel wide."""
    y = (low[:, 0, None] + np.arange(size[0]) - forms[:, 0, None])[:, :, None]
    x = (low[:, 1, None] + np.arange(size[1]) - forms[:, 1, None])[:, None, :]
    radius, flattening, turn = (forms[:, column, None, None] for column in (2, 3, 4))
    along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    minor = radius * flattening
    return np.clip((1 - np.hypot(along / radius, across / minor)) * minor + 0.5, 0, 1)
