"""Patches of single patterns, as a network predicts them, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ptychopinn.plotting.maps import Limits, amplitude_limits, draw_amplitude, draw_phase, phase_limits
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.style import add_colorbar, style_image

SIDE, BESIDE, BELOW = 2.2, 0.95, 0.45
"""Inches: side of a panel, room for its colour bar, room for the title of the next row."""
EDGE, HEAD = 0.4, 1.15
"""Inches: margin, room above the first row."""
DIMMEST = 1e-3
"""Part of the brightest illumination below which a patch is not shown: no photon depends on it."""


@dataclass(frozen=True, eq=False)
class PredictedPatch:
    """What a network makes of one pattern."""

    number: int
    """Of the pattern in the scan, from 0."""
    measured: NDArray[Any]
    """(H, W), photons."""
    patch: NDArray[np.complex64]
    """(H, W)."""
    power: NDArray[Any]
    """(H, W), intensity of the probe on the patch."""

    @property
    def lit(self) -> NDArray[Any]:
        """(H, W), intensity of the probe over its largest; 0 where it is below `DIMMEST`."""
        part = self.power / max(float(self.power.max()), np.finfo(np.float32).tiny)
        return np.where(part < DIMMEST, 0, part)


def figure_patches(patches: Sequence[PredictedPatch], title: str) -> Figure:
    """A row for each pattern: measured photons, amplitude and phase of its patch, each in colours of its own.

    Args:
        patches: At least one.
        title: Stands above everything.
    """
    row, column = SIDE + BELOW, SIDE + BESIDE
    page = Page.blank(EDGE + 3 * column, HEAD + len(patches) * row)
    page.headline(EDGE, 0.3, title, "measured pattern, and the patch that the network makes of it")
    for number, one in enumerate(patches):
        _draw_row(page, HEAD + number * row, column, one)
    return page.figure


def _draw_row(page: Page, top: float, column: float, one: PredictedPatch) -> None:
    measured, amplitude, phase = (page.panel(EDGE + place * column, top, SIDE, SIDE) for place in range(3))
    style_image(measured, f"No. {one.number}: photons")
    low, high = _photons(one.measured)
    image = measured.imshow(np.maximum(one.measured, low), cmap="inferno", norm=LogNorm(low, high))
    add_colorbar(measured, image)
    draw_amplitude(amplitude, one.patch, one.lit, limits=amplitude_limits(one.patch, one.lit))
    draw_phase(phase, one.patch, one.lit, limits=phase_limits(one.patch, one.lit))


def _photons(measured: NDArray[Any]) -> Limits:
    """Range of colours, at least a decade wide."""
    seen = measured[measured > 0]
    if seen.size == 0:
        return 0.1, 1.0
    return min(float(seen.min()) / 2, float(seen.max()) / 10), float(seen.max())
