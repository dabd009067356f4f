"""What samples are made of: each kind draws absorption and phase delay, two real fields in [0, 1]."""

from collections.abc import Callable

import numpy as np

from ptychopinn.simulation.fields import Field, Texture, disk, grid, random_field, stretched
from ptychopinn.simulation.leaves import dead_leaves
from ptychopinn.simulation.lettering import written

STAR_SPOKES = 16
"""Dark spokes of the Siemens star."""
FIELD_EXPONENT = 3.0
"""The power spectrum of the random field falls as |k| to minus this."""
LINES_PER_PX = 0.25
"""Random lines for each pixel of the larger side: about twelve cross a window of 64 px."""
POINTS_PER_PX = 1 / 60
"""Random points for each pixel of the area: 68 in a window of 64 px."""
POINT_RADIUS_PX = (0.8, 2.4)
"""Standard deviation of the smallest and largest point is half of these."""


def siemens_star(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """A star of spokes with two ring gaps on a slightly uneven membrane, turned at random.

    The spokes narrow towards the centre, so the radius where they blur tells the resolution.
    """
    star = _star(shape, centre=((shape[0] - 1) / 2, (shape[1] - 1) / 2), radius=0.47 * min(shape), rng=rng)
    return _on_membrane(star, rng)


def text(shape: tuple[int, int], rng: np.random.Generator, words: str = "PHASE FROM COUNTS") -> Texture:
    """Metal letters on a slightly uneven membrane, as large as the picture allows.

    Raises:
        ConfigError: a sign that the font does not have, or more text than pixels.
    """
    return _on_membrane(written(words, shape), rng)


def gaussian_field(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """A random field with power spectrum |k|^-3, like a porous or cloudy material: no edges, all scales."""
    density, composition = (
        random_field(shape, FIELD_EXPONENT, rng),
        random_field(shape, FIELD_EXPONENT, rng),
    )
    return stretched(0.85 * density + 0.5 * composition, 0.85 * density - 0.5 * composition)


def lines(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Straight fibres of random place, direction, width and material, which add where they cross."""
    return _fibres(shape, rng, lambda: rng.uniform(0, np.pi))


def diagonals(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Fibres along the two diagonals only, of random place, width and material."""
    return _fibres(shape, rng, lambda: np.pi / 4 + np.pi / 2 * rng.integers(2))


def points(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Small round grains of random place, size and material on a clear ground, which add where they overlap."""
    count = max(6, round(POINTS_PER_PX * shape[0] * shape[1]))
    centre, radius = rng.uniform(0, 1, (count, 2)) * shape, rng.uniform(*POINT_RADIUS_PX, count)
    density, composition = rng.uniform(0.5, 1.5, count), rng.uniform(0.6, 1.4, count)
    reach = int(np.ceil(2 * POINT_RADIUS_PX[1]))
    around = np.arange(-reach, reach + 1)
    whole = np.rint(centre).astype(int)
    y, x = ((whole[:, axis, None] + around - centre[:, axis, None]) / radius[:, None] for axis in (0, 1))
    grains = np.exp(-2 * (y[:, :, None] ** 2 + x[:, None, :] ** 2)) * density[:, None, None]
    padded = np.zeros((2, shape[0] + 2 * reach + 1, shape[1] + 2 * reach + 1))
    place = (whole[:, 0, None, None] + reach + around[:, None], whole[:, 1, None, None] + reach + around)
    np.add.at(padded[0], place, grains)
    np.add.at(padded[1], place, grains * composition[:, None, None])
    absorption, delay = padded[:, reach : reach + shape[0], reach : reach + shape[1]]
    return stretched(1 - np.exp(-absorption), 1 - np.exp(-delay))


def composite(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Grains beside a cloudy material, joined along a winding soft border, with a Siemens star on top.

    One picture so holds sharp edges, fine texture, slow variations and a resolution target.
    """
    leaves, cloud = dead_leaves(shape, rng), gaussian_field(shape, rng)
    grains = _winding_border(shape, rng)
    centre = (0.61 * shape[0], 0.60 * shape[1])
    radius = 0.24 * min(shape)
    star = _star(shape, centre=centre, radius=radius, rng=rng)
    open_ground = 1 - 0.6 * disk(shape, centre, radius + 2.0, softness=3.0)  # the star stands on a calmer ground

    def blend(leaf: Field, texture: Field, ground: float) -> Field:
        mixed = grains * leaf + (1 - grains) * (0.15 + 0.7 * texture)
        calm = open_ground * mixed + (1 - open_ground) * ground
        return (1 - star) * calm + star * (0.92 + 0.08 * texture)

    return stretched(
        blend(leaves.absorption, cloud.absorption, ground=0.15), blend(leaves.phase, cloud.phase, ground=0.25)
    )


def _on_membrane(metal: Field, rng: np.random.Generator) -> Texture:
    """A metal structure, 1 where there is metal, on a thin membrane; both slightly uneven."""
    uneven, membrane = random_field(metal.shape, FIELD_EXPONENT, rng), random_field(metal.shape, FIELD_EXPONENT, rng)
    absorption = metal * (1 + 0.05 * uneven) + 0.03 * membrane
    phase = metal * (1 - 0.05 * uneven) + 0.06 * membrane
    return stretched(absorption, phase)


def _fibres(shape: tuple[int, int], rng: np.random.Generator, direction: Callable[[], float]) -> Texture:
    y, x = grid(shape)
    absorption, delay = np.zeros(shape), np.zeros(shape)
    for _ in range(max(6, round(LINES_PER_PX * max(shape)))):
        angle, (y0, x0) = direction(), rng.uniform(0, 1, 2) * shape
        width, density, composition = rng.uniform(1.2, 4.0), rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.4)
        distance = np.abs((y - y0) * np.cos(angle) - (x - x0) * np.sin(angle))
        fibre = density * np.clip((width + 1 - distance) / 2, 0, 1)
        absorption += fibre
        delay += composition * fibre
    return stretched(1 - np.exp(-absorption), 1 - np.exp(-delay))


def _star(shape: tuple[int, int], *, centre: tuple[float, float], radius: float, rng: np.random.Generator) -> Field:
    """1 on the spokes, 0 between, edges one pixel wide; gaps of 5 % of the radius at 0.4 and 0.7 of it."""
    y, x = grid(shape)
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
    y, x = grid(shape)
    away = (shape[0] * 0.47 - y) * 0.6 + (shape[1] * 0.47 - x) * 0.8
    bend = 0.05 * min(shape) * random_field(shape, 5.0, rng)
    return 1 / (1 + np.exp(-np.clip((away + bend) / (0.015 * min(shape) + 1), -50, 50)))
