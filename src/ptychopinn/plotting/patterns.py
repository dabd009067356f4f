"""Measured, modelled and residual patterns, in common colours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

from ptychopinn.plotting.content import PatternFit
from ptychopinn.plotting.style import INK, MUTED, TEXT_PT, TITLE_Y, add_colorbar, style_image

DECADES = 6.0
"""Most decades of the common logarithmic range, counted from the brightest pixel."""
LEAST_DECADES = 1.0
"""Fewest: a flat pattern must not look like structure."""
BELOW_FAINTEST = 4.0
"""The range begins at the faintest measured pixel, mostly one photon, over this factor."""
LEAST_SIGMA = 4.0
"""Least end of the range of residuals, in standard deviations: a perfect model leaves noise that looks like noise."""
RESIDUAL_PERCENTILE = 99.5
ROWS = ("Measured", "Modelled", "Residual (σ)")


def photon_limits(patterns: Sequence[PatternFit]) -> tuple[float, float]:
    """Common range of colours of measured and modelled patterns, photons; positive, at least a decade wide."""
    measured, modelled = (
        np.concatenate([_photons(one)[part].compressed() for one in patterns] or [np.zeros(0)]) for part in (0, 1)
    )
    return range_of_photons(measured, np.concatenate([measured, modelled]))


def range_of_photons(measured: NDArray[Any], shown: NDArray[Any]) -> tuple[float, float]:
    """Logarithmic range of colours of the photons that are shown, in which the faintest measured ones differ from none.

    >>> range_of_photons(np.array([0, 1, 1e4]), np.array([0.1, 1, 1e4]))
    (0.25, 10000.0)
    """
    measured, shown = (values[np.isfinite(values) & (values > 0)] for values in (measured, shown))
    if shown.size == 0:
        return 0.1, 1.0
    high = float(shown.max())
    faintest = float(measured.min()) / BELOW_FAINTEST if measured.size else 0.0
    return min(max(faintest, high * 10**-DECADES), high * 10**-LEAST_DECADES), high


def residual_limit(patterns: Sequence[PatternFit]) -> float:
    """End of the common symmetric range of colours of the residuals, in standard deviations."""
    values = np.concatenate([one.shown(one.residual).compressed() for one in patterns] or [np.zeros(0)])
    values = np.abs(values[np.isfinite(values)])
    return max(float(np.percentile(values, RESIDUAL_PERCENTILE)) if values.size else 0.0, LEAST_SIGMA)


def draw_patterns(panels: Sequence[Sequence[Axes]], patterns: Sequence[PatternFit]) -> None:
    """Draw patterns in columns: measured on a logarithmic scale, modelled in the same colours, residual.

    Args:
        panels: Three rows of one panel for each pattern.
        patterns: One for each column.
    """
    norm: Normalize = LogNorm(*photon_limits(patterns))
    sigma = residual_limit(patterns)
    for column, one in enumerate(patterns):
        label = f"{one.label[:1].upper()}{one.label[1:]}"
        images = [(part, "inferno", norm) for part in _photons(one)]
        images.append((one.shown(one.residual), "RdBu_r", Normalize(-sigma, sigma)))
        for row, (values, cmap, scale) in enumerate(images):
            ax = panels[row][column]
            draw_pattern(ax, values, cmap, scale, f"{label} (no. {one.number})" if row == 0 else "")
            if column == 0:
                ax.set_ylabel(ROWS[row], fontsize=TEXT_PT + 0.5, color=INK)
            if column == len(patterns) - 1:
                add_colorbar(ax, ScalarMappable(scale, cmap), ("photons", "", "σ")[row])
        panels[2][column].set_xlabel(f"deviance {one.ratio:.3g} × allowed", fontsize=TEXT_PT, color=MUTED)


def draw_pattern(ax: Axes, values: NDArray[Any], cmap: str, norm: Normalize, title: str) -> None:
    """One pattern (H, W); what lies below a logarithmic range has its lowest colour."""
    style_image(ax, "")
    ax.set_title(title, loc="left", fontsize=TEXT_PT + 0.5, color=INK, pad=5, y=TITLE_Y)
    if isinstance(norm, LogNorm):
        values = np.ma.maximum(values, float(norm.vmin or 0.0))
    height, width = values.shape
    ax.imshow(values, cmap=cmap, norm=norm, extent=(-0.5, width - 0.5, height - 0.5, -0.5), origin="upper")


def _photons(one: PatternFit) -> tuple[Any, Any]:
    return one.shown(one.measured), one.shown(one.modelled)
