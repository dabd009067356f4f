"""Colours, sizes and the few strokes that all panels share."""

import math
from typing import cast

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from matplotlib.transforms import Affine2DBase, ScaledTranslation, blended_transform_factory

INK = "#20242c"
MUTED = "#6a717d"
FAINT = "#dfe3e8"
HATCH_GROUND = "#f4f5f7"
HATCH_STROKE = "#d3d8de"
TRAINING = "#2f6db3"
VALIDATION = "#d2642a"
THIRD = "#3d8f6f"
REGION = "#c0392b"
"""Outlines and marks on maps."""
SERIES = (TRAINING, VALIDATION, THIRD, "#8a5fb0", "#b08a1e", "#c25584", "#4aa3b8", "#7d6a58")
"""Colours of things that are compared, in their order; they begin again after the last."""

HEADLINE_PT = 14.0
TITLE_PT = 10.5
TEXT_PT = 8.5
BAR_GAP_IN, BAR_WIDTH_IN = 0.09, 0.14
TITLE_Y = 1.0
"""Upper edge of the axes. Without it Matplotlib measures all labels of an axis before it places a title, to keep clear
of them."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def put_title(ax: Axes, title: str, y: float | None = None) -> None:
    """A title flush with the left edge of the panel."""
    ax.set_title(title, loc="left", fontsize=TITLE_PT, color=INK, pad=6, y=y)


def style_curves(ax: Axes, title: str, xlabel: str, ylabel: str = "") -> None:
    """Axes of a line plot: two thin spines, faint horizontal rules."""
    put_title(ax, title)
    ax.set_xlabel(xlabel, fontsize=TEXT_PT, color=MUTED)
    ax.set_ylabel(ylabel, fontsize=TEXT_PT, color=MUTED)
    ax.tick_params(which="both", labelsize=TEXT_PT, colors=MUTED, width=0.6, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=FAINT, linewidth=0.8)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def style_image(ax: Axes, title: str) -> None:
    """Axes of an image: no ticks, a hairline frame, and hatching wherever nothing is drawn on top."""
    put_title(ax, title, TITLE_Y)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set(color=HATCH_STROKE, linewidth=0.6)
    ax.set_anchor("NW")
    ax.patch.set(facecolor=HATCH_GROUND, edgecolor=HATCH_STROKE, hatch="////", linewidth=0)


def add_colorbar(ax: Axes, mappable: ScalarMappable, unit: str = "") -> Colorbar:
    """A slim bar as tall as the image, its unit on top; call it when the limits of the axes are set."""
    inches_right = ax.figure.dpi_scale_trans + ScaledTranslation(1, 0, cast(Affine2DBase, ax.transAxes))
    beside = blended_transform_factory(inches_right, ax.transAxes)
    bar_axes = ax.inset_axes((BAR_GAP_IN, 0.0, BAR_WIDTH_IN, 1.0), transform=beside)
    bar = ax.figure.colorbar(mappable, cax=bar_axes)
    bar.outline.set_visible(False)
    if isinstance(bar.norm, LogNorm):
        bar.locator = LogLocator(numticks=6)
        bar.formatter = FuncFormatter(power_of_ten)
        bar.minorticks_off()
    else:
        bar.locator = MaxNLocator(min(max(int(_height_in(ax) / 0.6), 1), 5))
    bar.update_ticks()
    bar_axes.xaxis.set_visible(False)  # it has no ticks, but takes its time
    bar_axes.tick_params(labelsize=TEXT_PT, colors=MUTED, width=0.6, length=2.5, pad=2)
    y = None if _has_factor(bar) else TITLE_Y
    bar_axes.set_title(unit, loc="left", fontsize=TEXT_PT, color=MUTED, pad=6, y=y)
    return bar


def power_of_ten(value: float, position: int | None = None) -> str:
    """A power of ten as plain text, since Matplotlib takes 0.1 CPU s to set its first formula; others as they are.

    >>> power_of_ten(1000.0), power_of_ten(0.1), power_of_ten(20.0)
    ('10³', '10⁻¹', '20')
    """
    power = math.log10(value) if value > 0 else math.nan
    if not math.isclose(power, round(power) if math.isfinite(power) else power, abs_tol=1e-9):
        return f"{value:g}"
    return f"10{str(round(power)).translate(_RAISED)}"


def _has_factor(bar: Colorbar) -> bool:
    """Whether a common factor of the labels, such as 1e4, stands above a bar."""
    formatter = bar.ax.yaxis.get_major_formatter()
    formatter.format_ticks(list(bar.get_ticks()))
    return bool(formatter.get_offset())


def _height_in(ax: Axes) -> float:
    """Height of the axes in inches, after they were shrunk to the aspect of their image."""
    ax.apply_aspect()
    return float(ax.get_window_extent().height / ax.figure.dpi)
