"""Complex samples to be imaged."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.simulation.fields import Field, Texture, to_unit
from ptychopinn.simulation.leaves import dead_leaves
from ptychopinn.simulation.textures import (
    composite,
    diagonals,
    gaussian_field,
    lines,
    points,
    siemens_star,
    text,
)

Draw = Callable[[tuple[int, int], np.random.Generator], Texture]

OBJECTS: Mapping[str, Draw] = MappingProxyType(
    {
        "composite": composite,
        "siemens_star": siemens_star,
        "dead_leaves": dead_leaves,
        "gaussian_field": gaussian_field,
        "lines": lines,
        "diagonals": diagonals,
        "points": points,
        "text": text,
    }
)
"""The kinds of `make_object`."""


def make_object(
    kind: str,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    amplitude_min: float = 0.6,
    phase_range_rad: float = 1.6,
    correlation: float | None = None,
) -> NDArray[np.complex64]:
    """Draw a sample: `object_ = a exp(i p)`, (Y, X), without unit.

    `a = 1 - (1 - amplitude_min) absorption` and `p = phase_range_rad (1/2 - phase)`: the amplitude reaches
    from amplitude_min to 1, the phase spans phase_range_rad about 0, and denser material retards.

    Args:
        kind: a key of `OBJECTS`.
        shape: rows and columns, px.
        rng: the only source of randomness.
        amplitude_min: lowest transmission amplitude.
        phase_range_rad: largest minus smallest phase; up to 2 pi nothing wraps.
        correlation: of amplitude and phase, -1 to 1, see `correlated`; without it what the kind has.

    Raises:
        ConfigError: an unknown kind.

    >>> sample = make_object("lines", (48, 40), np.random.default_rng(0), amplitude_min=0.5)
    >>> sample.shape, round(float(abs(sample).min()), 3), round(float(abs(sample).max()), 3)
    ((48, 40), 0.5, 1.0)
    """
    if kind not in OBJECTS:
        raise ConfigError(f"object kind {kind!r} is not known; choose one of {', '.join(OBJECTS)}")
    texture = draw_texture(OBJECTS[kind], shape, rng, correlation)
    return transmission(texture, amplitude_min=amplitude_min, phase_range_rad=phase_range_rad)


def draw_texture(draw: Draw, shape: tuple[int, int], rng: np.random.Generator, correlation: float | None) -> Texture:
    """A texture with its own correlation of absorption and phase, or one with the correlation asked for."""
    texture = draw(shape, rng)
    return texture if correlation is None else correlated(texture, draw(shape, rng), correlation)


def correlated(texture: Texture, other: Texture, correlation: float) -> Texture:
    r"""A texture whose absorption is that of the first one and whose phase has a given correlation with it.

    \[ \phi = c\, \hat{a} + \sqrt{1 - c^2}\, \hat{b} \]

    with the standardised absorption \(\hat{a}\) and the standardised part \(\hat{b}\) of the other phase that
    does not correlate with it. Stretching to [0, 1] clips 0.4 % of the pixels, so that c holds to a few hundredths.
    """
    first = _standardised(texture.absorption)
    second = other.phase - other.phase.mean()
    second = _standardised(second - (second * first).mean() * first)
    return Texture(texture.absorption, to_unit(correlation * first + np.sqrt(1 - correlation**2) * second))


def transmission(texture: Texture, *, amplitude_min: float, phase_range_rad: float) -> NDArray[np.complex64]:
    """The complex transmission of a texture, (Y, X); the equation stands at `make_object`."""
    amplitude = 1 - (1 - amplitude_min) * texture.absorption
    phase = phase_range_rad * (0.5 - texture.phase)
    return (amplitude * np.exp(1j * phase)).astype(np.complex64)


def _standardised(field: Field) -> Field:
    """Mean 0 and deviation 1."""
    return (field - field.mean()) / max(float(field.std()), np.finfo(np.float64).tiny)
