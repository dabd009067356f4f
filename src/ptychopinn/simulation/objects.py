"""Complex samples to be imaged."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.simulation.textures import (
    Texture,
    composite,
    dead_leaves,
    gaussian_field,
    lines,
    siemens_star,
)

OBJECTS: Mapping[str, Callable[[tuple[int, int], np.random.Generator], Texture]] = MappingProxyType(
    {
        "composite": composite,
        "siemens_star": siemens_star,
        "dead_leaves": dead_leaves,
        "gaussian_field": gaussian_field,
        "lines": lines,
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

    Raises:
        ConfigError: an unknown kind.

    >>> sample = make_object("lines", (48, 40), np.random.default_rng(0), amplitude_min=0.5)
    >>> sample.shape, round(float(abs(sample).min()), 3), round(float(abs(sample).max()), 3)
    ((48, 40), 0.5, 1.0)
    """
    if kind not in OBJECTS:
        raise ConfigError(f"object kind {kind!r} is not known; choose one of {', '.join(OBJECTS)}")
    return transmission(OBJECTS[kind](shape, rng), amplitude_min=amplitude_min, phase_range_rad=phase_range_rad)


def transmission(texture: Texture, *, amplitude_min: float, phase_range_rad: float) -> NDArray[np.complex64]:
    """The complex transmission of a texture, (Y, X); the equation stands at `make_object`."""
    amplitude = 1 - (1 - amplitude_min) * texture.absorption
    phase = phase_range_rad * (0.5 - texture.phase)
    return (amplitude * np.exp(1j * phase)).astype(np.complex64)
