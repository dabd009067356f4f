"""Where the beam goes: positions (N, 2), (y, x), float64, px, in the object frame."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError

Positions = NDArray[np.float64]
Bounds = NDArray[np.float64]

MARGIN_PX = 1
"""Object pixels that stay free on every side of every patch."""
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def position_bounds(object_shape: tuple[int, int], patch_shape: tuple[int, int]) -> Bounds:
    """Smallest and largest (y, x), rows of a (2, 2) array, whose patch lies inside the object with a margin.

    Raises:
        ConfigError: the object is too small for one patch.

    >>> position_bounds((40, 50), (16, 16)).tolist()
    [[9.0, 9.0], [31.0, 41.0]]
    """
    object_, patch = np.array(object_shape), np.array(patch_shape)
    low = patch // 2 + MARGIN_PX
    high = object_ - MARGIN_PX - patch + patch // 2
    if np.any(high < low):
        raise ConfigError(
            f"an object of {object_shape[0]}x{object_shape[1]} px leaves no room for a patch of "
            f"{patch_shape[0]}x{patch_shape[1]} px with {MARGIN_PX} px around it; "
            "raise object_size_px or lower probe_size_px"
        )
    return np.stack([low, high]).astype(np.float64)


def raster(bounds: Bounds, step_px: float, jitter_px: float, rng: np.random.Generator) -> Positions:
    """A regular grid, row after row, at a random offset within the room left over; jitter_px is not used."""
    rows, columns = (_axis(bounds[:, axis], step_px, rng) for axis in (0, 1))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def jittered_grid(bounds: Bounds, step_px: float, jitter_px: float, rng: np.random.Generator) -> Positions:
    """A grid whose points are displaced by up to jitter_px on each axis, which avoids the raster artefact.

    The grid keeps jitter_px away from the bounds, or as far as the bounds allow.
    """
    jitter = np.minimum(jitter_px, (bounds[1] - bounds[0]) / 2)
    grid = raster(np.stack([bounds[0] + jitter, bounds[1] - jitter]), step_px, 0.0, rng)
    return grid + rng.uniform(-1, 1, grid.shape) * jitter


def spiral(bounds: Bounds, step_px: float, jitter_px: float, rng: np.random.Generator) -> Positions:
    """A Fermat spiral cut by the bounds: r = step sqrt(n / pi), golden angle; one point per step^2.

    jitter_px is not used.

    Source: Huang et al., "Optimization of overlap uniformness for ptychography", Opt. Express 22 (2014).
    """
    half = (bounds[1] - bounds[0]) / 2
    count = int(np.ceil(np.pi * (half @ half) / step_px**2)) + 1
    index = np.arange(count)
    radius, angle = step_px * np.sqrt(index / np.pi), GOLDEN_ANGLE * index + rng.uniform(0, 2 * np.pi)
    offset = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return (bounds.mean(axis=0) + offset)[np.all(np.abs(offset) <= half, axis=1)]


def random(bounds: Bounds, step_px: float, jitter_px: float, rng: np.random.Generator) -> Positions:
    """Independent positions, evenly distributed over the bounds; one for each step^2, jitter_px is not used."""
    count = max(1, round(float(np.prod(bounds[1] - bounds[0])) / step_px**2))
    return rng.uniform(bounds[0], bounds[1], (count, 2))


SCANS: Mapping[str, Callable[[Bounds, float, float, np.random.Generator], Positions]] = MappingProxyType(
    {"jittered_grid": jittered_grid, "spiral": spiral, "raster": raster, "random": random}
)
"""The kinds of `make_positions`: bounds, step, jitter, random numbers to positions."""


def make_positions(
    kind: str, bounds: Bounds, rng: np.random.Generator, *, step_px: float, jitter_px: float = 0.0
) -> Positions:
    """Scan positions, (N, 2), (y, x), with sub-pixel parts, all within `bounds`.

    Args:
        kind: a key of `SCANS`.
        bounds: smallest and largest (y, x), from `position_bounds`.
        rng: the only source of randomness.
        step_px: mean distance of neighbours.
        jitter_px: largest random displacement on each axis, for the jittered grid.

    Raises:
        ConfigError: an unknown kind.

    >>> bounds = position_bounds((64, 64), (16, 16))
    >>> make_positions("raster", bounds, np.random.default_rng(0), step_px=10).shape
    (25, 2)
    """
    if kind not in SCANS:
        raise ConfigError(f"scan kind {kind!r} is not known; choose one of {', '.join(SCANS)}")
    return SCANS[kind](bounds, step_px, jitter_px, rng)


def centred(positions_px: Positions, bounds: Bounds) -> Positions:
    """Positions from elsewhere, moved together so that the box that they span lies in the middle of the bounds.

    Raises:
        ConfigError: the box is larger than the bounds.

    >>> centred(np.array([[-2.0, -3.0], [2.0, 3.5]]), np.array([[10.0, 10.0], [20.0, 20.0]])).tolist()
    [[13.0, 11.75], [17.0, 18.25]]
    """
    low, high = positions_px.min(axis=0), positions_px.max(axis=0)
    lacking = np.ceil((high - low) - (bounds[1] - bounds[0])).astype(int)
    if np.any(lacking > 0):
        raise ConfigError(
            f"the positions span {high[0] - low[0]:.1f} x {high[1] - low[1]:.1f} px and the object has room for "
            f"{bounds[1, 0] - bounds[0, 0]:g} x {bounds[1, 1] - bounds[0, 1]:g} px; "
            f"raise object_size_px by {lacking.max()}"
        )
    return positions_px + (bounds.mean(axis=0) - (low + high) / 2)


def misplaced(positions_px: Positions, error_px: float, bounds: Bounds, rng: np.random.Generator) -> Positions:
    """Positions as a stage with errors would record them: wrong by `error_px` in the root mean square.

    The error is Gaussian, the same on both axes; no recorded patch leaves the bounds.
    """
    wrong = positions_px + rng.normal(0.0, error_px / np.sqrt(2), positions_px.shape)
    return np.clip(wrong, np.minimum(bounds[0], positions_px), np.maximum(bounds[1], positions_px))


def _axis(bounds: NDArray[np.float64], step_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Coordinates `step_px` apart that fill [low, high], offset at random within the remainder."""
    low, high = bounds
    count = int((high - low) // step_px) + 1
    return low + rng.uniform(0, 1) * (high - low - (count - 1) * step_px) + step_px * np.arange(count)
