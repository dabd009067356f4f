"""Single pictures for training: one real field in [0, 1] at a time, from which samples are put together.

Unlike the textures of `OBJECTS`, a picture says nothing of how absorption and phase belong together.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.simulation.fields import Field, grid, random_field, to_unit
from ptychopinn.simulation.leaves import dead_leaves
from ptychopinn.simulation.textures import diagonals, gaussian_field, lines, points, siemens_star

FINER = 2
"""Polygons are drawn on a grid that is so many times finer, so that their edges are not jagged."""
LARGEST_BLUR_PX = 1.4
"""Standard deviation of the strongest blur of a picture."""


def polygons(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Opaque polygons of random corners and levels that hide one another."""
    from skimage.draw import polygon as polygon_pixels

    fine = (FINER * shape[0], FINER * shape[1])
    field = np.full(fine, rng.uniform())
    for _ in range(int(rng.integers(5, 60))):
        radius = FINER * rng.uniform(3, 40) * rng.uniform(0.3, 1)
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        reach = radius * rng.uniform(0.4, 1, len(angles))
        centre = rng.uniform(0, 1, 2) * fine
        field[polygon_pixels(centre[0] + reach * np.sin(angles), centre[1] + reach * np.cos(angles), fine)] = (
            rng.uniform()
        )
    return _coarser(field)


def blocks(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Rectangles along two perpendicular directions, added or opaque, like the layers of a circuit."""
    y, x = grid(shape)
    turn, adds = rng.choice([0.0, rng.uniform(0, np.pi / 2)]), rng.uniform() < 0.5
    along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    field = np.zeros(shape)
    levels = rng.uniform(0, 1, int(rng.integers(1, 5)))
    for _ in range(int(rng.integers(8, 60))):
        centre = rng.uniform(0, 1, 2) * shape
        middle = centre @ [np.cos(turn), np.sin(turn)], centre @ [-np.sin(turn), np.cos(turn)]
        half = np.exp(rng.uniform(np.log(1.0), np.log(25.0), 2))
        inside = np.minimum(half[0] - np.abs(along - middle[0]), half[1] - np.abs(across - middle[1]))
        share = np.clip(inside + 0.5, 0, 1)
        level = rng.choice(levels)
        field = field + share * level if adds else field * (1 - share) + share * level
    return to_unit(field)


def cells(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Voronoi cells: a level each, or walls between them, or both."""
    from scipy.spatial import KDTree

    count = int(np.exp(rng.uniform(np.log(8), np.log(500))))
    fine = (FINER * shape[0], FINER * shape[1])
    seeds = rng.uniform(-0.1, 1.1, (count, 2)) * fine
    pixels = _pixels(fine)
    distance, nearest = KDTree(seeds).query(pixels, k=2)
    level = rng.uniform(0, 1, count)[nearest[:, 0]].reshape(fine)
    wall = np.clip(FINER * rng.uniform(0.6, 2.5) - (distance[:, 1] - distance[:, 0]).reshape(fine) / 2 + 0.5, 0, 1)
    kind = int(rng.integers(3))
    return to_unit(_coarser((level, wall, level * 0.6 + wall)[kind]))


def strokes(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Bent strokes of a constant width each, smooth or winding."""
    from scipy.spatial import KDTree

    pixels = _pixels(shape)
    field = np.zeros(shape)
    for _ in range(int(rng.integers(1, 5))):
        paths = [_path(shape, rng) for _ in range(int(rng.integers(2, 10)))]
        width = rng.uniform(0.6, 4)
        reach = width + 1
        distance, _ = KDTree(np.concatenate(paths)).query(pixels, distance_upper_bound=reach + 1)
        drawn = np.clip(width - np.minimum(distance, reach) + 0.5, 0, 1).reshape(shape)
        field = np.maximum(field, drawn * rng.uniform(0.3, 1)) if rng.uniform() < 0.5 else field + drawn
    return to_unit(field)


def contours(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Level sets of a smooth random field: bent stripes, or terraces."""
    smooth = random_field(shape, rng.uniform(3.5, 5.5), rng)
    if rng.uniform() < 0.5:
        return to_unit(np.floor(smooth * rng.uniform(1, 4)))
    return to_unit(np.tanh(rng.uniform(1, 6) * np.sin(smooth * rng.uniform(2, 9))))


def gratings(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Patches of stripes; each has one direction and a period that may change along it."""
    y, x = grid(shape)
    owner = cells_index(shape, int(rng.integers(1, 8)), rng)
    field = np.zeros(shape)
    for part in range(int(owner.max()) + 1):
        turn, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(3), np.log(20)))
        along = y * np.cos(turn) + x * np.sin(turn)
        chirp = 1 + rng.choice([0.0, rng.uniform(-0.4, 0.4)]) * along / max(shape)
        wave = np.sin(2 * np.pi * along / period * chirp + rng.uniform(0, 2 * np.pi))
        hard = rng.choice([0.0, rng.uniform(1, 5)])
        field = np.where(owner == part, np.tanh(hard * wave) if hard else wave * rng.uniform(0.3, 1), field)
    return to_unit(field)


def particles(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Disks, rings or spheres (by projected thickness) of few or of many sizes, which add."""
    y, x = grid(shape)
    field = np.zeros(shape)
    smallest, largest = 1.0, np.exp(rng.uniform(np.log(3), np.log(22)))
    kind = int(rng.integers(3))
    count = int(np.clip(rng.uniform(0.1, 0.7) * shape[0] * shape[1] / (3.1 * (largest / 2) ** 2), 4, 250))
    for _ in range(count):
        centre, radius = rng.uniform(0, 1, 2) * shape, rng.uniform(smallest, largest)
        away = np.hypot(y - centre[0], x - centre[1])
        if kind == 0:
            field += np.clip(radius - away + 0.5, 0, 1) * rng.uniform(0.5, 1)
        elif kind == 1:
            field += np.clip(1 + radius / 5 - np.abs(away - radius), 0, 1)
        else:
            field += np.sqrt(np.clip(radius**2 - away**2, 0, None)) / largest
    return to_unit(field)


def smooth(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A slowly varying field."""
    return to_unit(random_field(shape, rng.uniform(3, 5), rng))


def grain(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A random texture of one grain size, perhaps stretched along a direction, perhaps thresholded."""
    from scipy.fft import irfft2, rfft2

    k = _stretched_frequencies(shape, rng)
    centre, width = np.exp(rng.uniform(np.log(0.03), np.log(0.35))), rng.uniform(0.15, 0.8)
    weight = np.exp(-np.square(np.log(np.maximum(k, 1e-3) / centre)) / (2 * width**2))
    field = irfft2(rfft2(rng.standard_normal(shape)) * weight, s=shape)
    field /= max(float(field.std()), 1e-12)
    return to_unit(np.tanh(rng.uniform(1, 8) * (field - rng.uniform(-0.7, 0.7))) if rng.uniform() < 0.4 else field)


def rough(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A random field with a power law that keeps much of its power at high frequencies."""
    return to_unit(random_field(shape, rng.uniform(0.3, 3), rng))


def cells_index(shape: tuple[int, int], count: int, rng: np.random.Generator) -> NDArray[Any]:
    """(Y, X), int: which of `count` random points is nearest."""
    from scipy.spatial import KDTree

    _, nearest = KDTree(rng.uniform(0, 1, (count, 2)) * shape).query(_pixels(shape))
    return nearest.reshape(shape)


PICTURES: Mapping[str, Callable[[tuple[int, int], np.random.Generator], Field]] = MappingProxyType(
    {
        "polygons": polygons,
        "blocks": blocks,
        "cells": cells,
        "strokes": strokes,
        "contours": contours,
        "gratings": gratings,
        "particles": particles,
        "smooth": smooth,
        "grain": grain,
        "rough": rough,
        "dead_leaves": lambda shape, rng: dead_leaves(shape, rng).absorption,
        "lines": lambda shape, rng: lines(shape, rng).absorption,
        "diagonals": lambda shape, rng: diagonals(shape, rng).absorption,
        "points": lambda shape, rng: points(shape, rng).absorption,
        "siemens_star": lambda shape, rng: siemens_star(shape, rng).absorption,
        "gaussian_field": lambda shape, rng: gaussian_field(shape, rng).absorption,
    }
)
"""The kinds of `draw_picture`."""


def draw_picture(shape: tuple[int, int], rng: np.random.Generator, kinds: tuple[str, ...] = tuple(PICTURES)) -> Field:
    """One picture (Y, X) in [0, 1]: a kind, or two kinds side by side, added or multiplied; perhaps blurred.

    Args:
        shape: rows and columns, px.
        rng: the only source of randomness.
        kinds: keys of `PICTURES` to draw from.

    >>> picture = draw_picture((40, 48), np.random.default_rng(3))
    >>> picture.shape, float(picture.min()), float(picture.max())
    ((40, 48), 0.0, 1.0)
    """
    from scipy.ndimage import gaussian_filter

    field = PICTURES[str(rng.choice(kinds))](shape, rng)
    if rng.uniform() < 0.35:
        other = PICTURES[str(rng.choice(kinds))](shape, rng)
        how = int(rng.integers(3))
        if how == 0:
            border = 1 / (1 + np.exp(-np.clip(rng.uniform(2, 40) * random_field(shape, 4.5, rng), -50, 50)))
            field = border * field + (1 - border) * other
        else:
            field = field + rng.uniform(0.05, 1) * other if how == 1 else field * (0.2 + other)
    if rng.uniform() < 0.4:
        field = gaussian_filter(field, rng.uniform(0.2, LARGEST_BLUR_PX), mode="nearest")
    field = to_unit(field)
    return field ** np.exp(rng.uniform(-0.6, 0.6)) if rng.uniform() < 0.3 else field


def _path(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[Any]:
    """(K, 2), points of a random walk half a pixel apart whose direction turns smoothly."""
    count = int(rng.uniform(0.2, 1.5) * 2 * max(shape))
    bend = np.cumsum(rng.standard_normal(count)) * rng.uniform(0.001, 0.02)
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(bend) * rng.choice([0.1, 1.0])
    steps = 0.5 * np.stack([np.sin(direction), np.cos(direction)], -1)
    return rng.uniform(0, 1, 2) * shape + np.cumsum(steps, 0)


def _stretched_frequencies(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Moduli of frequencies, cycles/px, longer along a random direction."""
    from scipy.fft import fftfreq, rfftfreq

    ky, kx = fftfreq(shape[0])[:, None], rfftfreq(shape[1])[None]
    turn, longer = rng.uniform(0, np.pi), np.exp(rng.choice([0.0, rng.uniform(0, 1.5)]))
    along, across = ky * np.cos(turn) + kx * np.sin(turn), kx * np.cos(turn) - ky * np.sin(turn)
    return np.hypot(longer * along, across)


def _coarser(field: Field) -> Field:
    """Means of squares of `FINER` pixels."""
    rows, columns = field.shape[0] // FINER, field.shape[1] // FINER
    return field.reshape(rows, FINER, columns, FINER).mean((1, 3))


def _pixels(shape: tuple[int, int]) -> NDArray[np.int64]:
    """(Y X, 2), coordinates of all pixels."""
    return np.stack(list(np.indices(shape)), -1).reshape(-1, 2)
