"""What samples are made of: pairs of real fields in [0, 1], absorption and phase delay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq

Field = NDArray[np.float64]

STAR_SPOKES = 16
"""Dark spokes of the Siemens star."""
LEAF_RADIUS_MIN_PX = 2.5
LEAF_RADIUS_MAX_PX = 26.0
LEAF_COVERS = 5.0
"""Total area of the leaves over the area of the picture."""
FIELD_EXPONENT = 3.0
"""The power spectrum of the random field falls as |k| to minus this."""
LINES_PER_PX = 0.25
"""Random lines for each pixel of the larger side: about twelve cross a window of 64 px."""


@dataclass(frozen=True, eq=False)
class Texture:
    """Absorption and phase delay of a material, each (Y, X) with smallest value 0 and largest 1.

    The two are correlated but not proportional, as for a sample of more than one chemical element.
    """

    absorption: Field
    phase: Field


def siemens_star(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """A star of spokes with two ring gaps on a slightly uneven membrane, turned at random.

    The spokes narrow towards the centre, so the radius where they blur tells the resolution.
    """
    star = _star(shape, centre=((shape[0] - 1) / 2, (shape[1] - 1) / 2), radius=0.47 * min(shape), rng=rng)
    metal, membrane = _random_field(shape, FIELD_EXPONENT, rng), _random_field(shape, FIELD_EXPONENT, rng)
    absorption = star * (1 + 0.05 * metal) + 0.03 * membrane
    phase = star * (1 - 0.05 * metal) + 0.06 * membrane
    return _texture(absorption, phase)


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
    for leaf in range(count):
        _paint_ellipse(layers, centre[leaf], radius[leaf], (flattening[leaf], turn[leaf]), (density[leaf], delay[leaf]))
    grain = _random_field(shape, 2.0, rng)
    return _texture(layers[0] + 0.03 * grain, layers[1] + 0.03 * grain)


def gaussian_field(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """A random field with power spectrum |k|^-3, like a porous or cloudy material: no edges, all scales."""
    density, composition = (
        _random_field(shape, FIELD_EXPONENT, rng),
        _random_field(shape, FIELD_EXPONENT, rng),
    )
    return _texture(0.85 * density + 0.5 * composition, 0.85 * density - 0.5 * composition)


def lines(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Straight fibres of random place, direction, width and material, which add where they cross."""
    y, x = _grid(shape)
    absorption, delay = np.zeros(shape), np.zeros(shape)
    for _ in range(max(6, round(LINES_PER_PX * max(shape)))):
        angle, (y0, x0) = rng.uniform(0, np.pi), rng.uniform(0, 1, 2) * shape
        width, density, composition = rng.uniform(1.2, 4.0), rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.4)
        distance = np.abs((y - y0) * np.cos(angle) - (x - x0) * np.sin(angle))
        fibre = density * np.clip((width + 1 - distance) / 2, 0, 1)
        absorption += fibre
        delay += composition * fibre
    return _texture(1 - np.exp(-absorption), 1 - np.exp(-delay))


def composite(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Grains beside a cloudy material, joined along a winding soft border, with a Siemens star on top.

    One picture so holds sharp edges, fine texture, slow variations and a resolution target.
    """
    leaves, cloud = dead_leaves(shape, rng), gaussian_field(shape, rng)
    grains = _winding_border(shape, rng)
    centre = (0.61 * shape[0], 0.60 * shape[1])
    radius = 0.24 * min(shape)
    star = _star(shape, centre=centre, radius=radius, rng=rng)
    open_ground = 1 - 0.6 * _disk(shape, centre, radius + 2.0, softness=3.0)  # the star stands on a calmer ground

    def blend(leaf: Field, texture: Field, ground: float) -> Field:
        mixed = grains * leaf + (1 - grains) * (0.15 + 0.7 * texture)
        calm = open_ground * mixed + (1 - open_ground) * ground
        return (1 - star) * calm + star * (0.92 + 0.08 * texture)

    return _texture(
        blend(leaves.absorption, cloud.absorption, ground=0.15), blend(leaves.phase, cloud.phase, ground=0.25)
    )


def _texture(absorption: Field, phase: Field) -> Texture:
    return Texture(_to_unit(absorption), _to_unit(phase))


def _to_unit(field: Field) -> Field:
    """Stretch to [0, 1], 0.2 % clipped on each side so that outliers do not set the contrast."""
    low, high = np.quantile(field, [0.002, 0.998])
    if high <= low:
        low, high = field.min(), field.max()
    return np.clip((field - low) / (high - low), 0, 1)


def _grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y.astype(np.float64), x.astype(np.float64)


def _random_field(shape: tuple[int, int], exponent: float, rng: np.random.Generator) -> Field:
    """Gaussian field of mean 0 and deviation 1 with power spectrum |k|^-exponent."""
    k = np.hypot(fftfreq(shape[0])[:, None], rfftfreq(shape[1])[None])
    k[0, 0] = np.inf
    field = irfft2(rfft2(rng.standard_normal(shape)) * k ** (-exponent / 2), s=shape)
    return (field - field.mean()) / field.std()


def _disk(shape: tuple[int, int], centre: tuple[float, float], radius: float, softness: float) -> Field:
    """1 inside, 0 outside, a linear edge `softness` px wide."""
    y, x = _grid(shape)
    return np.clip((radius - np.hypot(y - centre[0], x - centre[1])) / softness + 0.5, 0, 1)


def _star(shape: tuple[int, int], *, centre: tuple[float, float], radius: float, rng: np.random.Generator) -> Field:
    """1 on the spokes, 0 between, edges one pixel wide; gaps of 5 % of the radius at 0.4 and 0.7 of it."""
    y, x = _grid(shape)
    y, x = y - centre[0], x - centre[1]
    r, period = np.hypot(y, x), 2 * np.pi / STAR_SPOKES
    angle = np.arctan2(y, x) + rng.uniform(0, period)
    inside = r * (period / 4 - np.abs(np.mod(angle, period) - period / 2))  # distance from the spoke's edge, px
    inside = np.minimum(inside, np.minimum(radius - r, r - 0.04 * radius))
    for gap in (0.4, 0.7):
        inside = np.minimum(inside, np.abs(r - gap * radius) - 0.025 * radius)
    return np.clip(inside + 0.5, 0, 1)


def _winding_border(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """1 on the upper left, 0 on the lower right, with a bent soft edge between."""
    y, x = _grid(shape)
    away = (shape[0] * 0.47 - y) * 0.6 + (shape[1] * 0.47 - x) * 0.8
    bend = 0.05 * min(shape) * _random_field(shape, 5.0, rng)
    return 1 / (1 + np.exp(-np.clip((away + bend) / (0.015 * min(shape) + 1), -50, 50)))


def _leaf_count(shape: tuple[int, int]) -> int:
    low, high = LEAF_RADIUS_MIN_PX, LEAF_RADIUS_MAX_PX
    mean_square = 2 * np.log(high / low) / (low**-2 - high**-2)
    return int(np.ceil(LEAF_COVERS * shape[0] * shape[1] / (np.pi * mean_square)))


def _power_law_radii(count: int, rng: np.random.Generator) -> Field:
    """Radii with density r^-3 between the two limits, by the inverse of the cumulative distribution."""
    low, high = LEAF_RADIUS_MIN_PX**-2, LEAF_RADIUS_MAX_PX**-2
    return (low - rng.uniform(0, 1, count) * (low - high)) ** -0.5


def _paint_ellipse(
    layers: Field, centre: Field, radius: float, form: tuple[float, float], values: tuple[float, float]
) -> None:
    """Cover the picture inside one ellipse, in place; the edge is one pixel wide."""
    flattening, turn = form
    low = np.maximum(np.floor(centre - radius - 1), 0).astype(int)
    high = np.ceil(centre + radius + 2).astype(int)
    window = layers[:, low[0] : high[0], low[1] : high[1]]
    y = np.arange(low[0], low[0] + window.shape[1])[:, None] - centre[0]
    x = np.arange(low[1], low[1] + window.shape[2])[None] - centre[1]
    along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    minor = radius * flattening
    cover = np.clip((1 - np.hypot(along / radius, across / minor)) * minor + 0.5, 0, 1)
    window += cover * (np.asarray(values)[:, None, None] - window)
