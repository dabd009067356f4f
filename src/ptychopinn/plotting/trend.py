"""How scores change with a size: every trial as a dot, their mean as a line, their spread as a bar."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from ptychopinn.plotting.curves import add_legend
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.style import FAINT, SERIES, style_curves

Series = Mapping[str, Mapping[float, Sequence[float]]]
"""Name of a line -> size -> the number of each trial."""

EDGE, HEAD, WIDTH, HEIGHT, ACROSS, DOWN = 0.7, 1.25, 3.6, 2.1, 0.75, 1.05
"""Inches: left margin, above the first row, size of a panel, between panels."""
APART = 0.012
"""Between lines at one size, as a part of the width."""


def draw_trend(ax: Axes, series: Series, *, xlabel: str, title: str, band: tuple[float, float] | None = None) -> Axes:
    """Scores over a size on a logarithmic axis, which is linear between 0 and the least size above it.

    Args:
        ax: Where to draw.
        series: Lines by name; of one trial there is no bar.
        xlabel: What the size is.
        title: What the score is.
        band: Range that is shaded.
    """
    style_curves(ax, title, xlabel)
    sizes = sorted({size for line in series.values() for size in line})
    if band is not None:
        ax.axhspan(*band, color=FAINT, alpha=0.6, linewidth=0)
    least = min((size for size in sizes if size > 0), default=1.0)
    if sizes[0] > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=least)
    factor = (max(*sizes, least) / least * 1.5) ** APART
    for number, (name, line) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        at = np.array(list(line)) * factor ** (number - (len(series) - 1) / 2)
        means = [float(np.mean(values)) for values in line.values()]
        deviations = [float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in line.values()]
        ax.errorbar(at, means, deviations, color=color, linewidth=1.5, capsize=3, marker="o", markersize=4, label=name)
        for x, values in zip(at, line.values(), strict=True):
            ax.plot([x] * len(values), values, "o", color=color, markersize=3, alpha=0.35, zorder=1)
    ax.set_xticks(sizes, labels=[f"{size:g}" for size in sizes])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", length=0)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    return ax


def figure_trend(
    panels: Mapping[str, Series],
    *,
    xlabel: str,
    title: str,
    bands: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Several scores over a size, two panels side by side.

    Args:
        panels: Name of a score -> its lines; panels without any number are left out.
        xlabel: What the size is.
        title: Stands above everything.
        bands: Ranges that are shaded, by the name of the score.

    Raises:
        ValueError: no number at all.
    """
    shown = {name: series for name, series in panels.items() if any(series.values())}
    if not shown:
        raise ValueError("no score was given; a trend needs one number at least")
    rows = -(-len(shown) // 2)
    page = Page.blank(EDGE + 2 * WIDTH + ACROSS + 0.35, HEAD + rows * (HEIGHT + DOWN) - 0.3)
    page.headline(EDGE, 0.3, title, "dots: trials;  line and bar: their mean and standard deviation")
    for number, (name, series) in enumerate(shown.items()):
        row, column = divmod(number, 2)
        corner = EDGE + column * (WIDTH + ACROSS), HEAD + row * (HEIGHT + DOWN)
        ax = draw_trend(
            page.panel(*corner, WIDTH, HEIGHT), series, xlabel=xlabel, title=name, band=(bands or {}).get(name)
        )
        if number == 0 and len(series) > 1:
            add_legend(ax, "lower right")
    return page.figure
