"""What real detectors do to patterns: a beam stop in front, dead and hot pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

HOT_FACTOR = 10
"""What a hot pixel counts, over the brightest pixel of the scan."""


@dataclass(frozen=True, eq=False)
class Defects:
    """Pixels (H, W) that measure nothing, in every pattern the same."""

    dark: Mask
    """Behind the beam stop, or dead: they count nothing."""
    hot: Mask
    """They count the same large number whatever falls on them."""

    @property
    def bad_pixels(self) -> Mask | None:
        """All of them, or none where the detector is perfect."""
        bad = self.dark | self.hot
        return bad if bad.any() else None

    def recorded(self, patterns: NDArray[Any]) -> NDArray[Any]:
        """Patterns (N, H, W) as the detector gives them, of the same type, changed in place.

        Hot pixels count `HOT_FACTOR` times the brightest one, or what the type holds.
        """
        if self.bad_pixels is None:
            return patterns
        hot: float = HOT_FACTOR * patterns.max().item()
        if patterns.dtype.kind == "u":
            hot = min(hot, np.iinfo(patterns.dtype).max)
        patterns[:, self.dark] = 0
        patterns[:, self.hot] = hot
        return patterns


def draw_defects(
    size: int, rng: np.random.Generator, *, beamstop_diameter_px: float = 0.0, bad_pixel_fraction: float = 0.0
) -> Defects:
    """A disk about the zero frequency, and single pixels anywhere, half of them dead and half hot.

    Args:
        size: rows and columns of the detector.
        rng: where the single pixels are.
        beamstop_diameter_px: pixels nearer than half of it to (H//2, W//2) lie behind the stop.
        bad_pixel_fraction: part of all pixels that are dead or hot.

    >>> int(draw_defects(9, np.random.default_rng(0), beamstop_diameter_px=3).dark.sum())
    9
    """
    y, x = np.ogrid[:size, :size]
    dark = np.hypot(y - size // 2, x - size // 2) < beamstop_diameter_px / 2
    hot = np.zeros_like(dark)
    single = rng.choice(size * size, round(bad_pixel_fraction * size * size), replace=False)
    dark.flat[single[::2]] = True
    hot.flat[single[1::2]] = True
    return Defects(dark, hot & ~dark)
