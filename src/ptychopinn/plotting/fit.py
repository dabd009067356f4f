"""How well an image explains its patterns: over the scan, and over the iterations of the solver."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ptychopinn.plotting.content import PatternFit
from ptychopinn.plotting.curves import set_loss_axis
from ptychopinn.plotting.maps import position_bounds, show_window
from ptychopinn.plotting.scalebar import draw_scalebar
from ptychopinn.plotting.style import INK, REGION, TEXT_PT, TRAINING, add_colorbar, put_title, style_curves, style_image

LEAST_RANGE = 0.5
"""Least range of colours of the ratio: counting noise must not look like structure."""
MOST_MARKS = 20_000
"""Above this number of patterns their mean in hexagonal cells is drawn."""
CELLS = 120
"""Across the scan."""


def ratio_limits(ratio: NDArray[Any]) -> tuple[float, float]:
    """Range of colours: from the smaller of 1 and the percentile 0.5 to the percentile 99.5."""
    values = ratio[np.isfinite(ratio)]
    if values.size == 0:
        return 0.5, 1.5
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    low = min(low, 1.0)
    return low, max(high, low + LEAST_RANGE)


def draw_misfit(
    ax: Axes,
    positions_px: NDArray[Any],
    ratio: NDArray[Any],
    *,
    marked: Sequence[PatternFit] = (),
    pixel_size_m: float | None = None,
    title: str = "Misfit over the scan",
) -> Axes:
    """Deviance of each pattern over what its counts allow, at its position: 1 for a perfect model.

    Args:
        ax: Where to draw.
        positions_px: (N, 2), (y, x) in the object frame.
        ratio: (N,).
        marked: Patterns that a ring and their label show.
        pixel_size_m: Object pixel, for the scale bar.
        title: Stands above the panel.
    """
    style_image(ax, title)
    ax.patch.set(hatch=None, facecolor="white")
    low, high = ratio_limits(ratio)
    bounds = position_bounds(positions_px)
    show_window(ax, *bounds)
    y, x = positions_px[:, 0], positions_px[:, 1]
    if len(ratio) > MOST_MARKS:
        drawn: Any = ax.hexbin(x, y, C=ratio, gridsize=CELLS, cmap="cividis", vmin=low, vmax=high, linewidths=0.1)
        show_window(ax, *bounds)
    else:
        drawn = ax.scatter(x, y, c=ratio, s=_area(ax, len(ratio)), cmap="cividis", vmin=low, vmax=high, linewidths=0)
    for one in marked:
        _mark(ax, one.label.split()[0], (float(x[one.number]), float(y[one.number])))
    add_colorbar(ax, drawn, "× allowed")
    draw_scalebar(ax, pixel_size_m)
    return ax


def draw_deviance(ax: Axes, deviance: Sequence[float], *, title: str = "Refinement") -> Axes:
    """Deviance per measured pixel over the iterations of the solver, the last value marked."""
    style_curves(ax, title, "iteration", "deviance per pixel")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    values = np.asarray(deviance, float)
    ax.plot(np.arange(1, len(values) + 1), values, color=TRAINING, linewidth=1.5)
    if len(values):
        set_loss_axis(ax, [values], settled=0.0)
        ax.plot(len(values), values[-1], "o", color=TRAINING, markersize=5)
        put_title(ax, f"{title}: final deviance {values[-1]:.4g}")
    return ax


def _mark(ax: Axes, label: str, at: tuple[float, float]) -> None:
    """A ring with its label on the side that has room."""
    left, right = ax.get_xlim()
    is_right = at[0] > (left + right) / 2
    ax.plot(*at, "o", mfc="none", mec=REGION, markersize=9, mew=1.3)
    ax.annotate(
        label,
        at,
        xytext=(-7 if is_right else 7, 0),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="center",
        fontsize=TEXT_PT,
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8},
    )


def _area(ax: Axes, number: int) -> float:
    """Area of a mark, points^2: marks fill about two thirds of the panel, and stay between a dot and a coin."""
    ax.apply_aspect()
    box = ax.get_window_extent()
    points = (72 / ax.figure.dpi) ** 2 * float(box.width * box.height)
    return float(np.clip(0.6 * points / max(number, 1), 0.5, 150))
