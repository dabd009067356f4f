"""Fourier ring correlation: one curve with its resolutions, or several beside each other."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from ptychopinn.metrics.frc import FIRST_RING, NYQUIST_CYCLES_PER_PX, FRCCurve, Threshold
from ptychopinn.plotting.curves import add_legend
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.style import INK, MUTED, SERIES, TEXT_PT, THIRD, TRAINING, VALIDATION, style_curves

USUAL_THRESHOLDS: tuple[Threshold, ...] = (0.5, 1 / 7, "half_bit")
EDGE, HEAD, WIDTH, HEIGHT = 0.75, 1.35, 6.4, 3.4
"""Inches: margin on the left, room above the panel, size of the panel."""
BELOW, LINE, NAME, CELL, RIGHT = 0.75, 0.24, 1.9, 1.95, 0.7
"""Room below the panel, height of a line of the table, widths of its columns, room on the right."""
HIGH = 0.5
"""Last correlation above which a legend stands below the curves."""
_DASHES = ((4, 3), (1, 2), (6, 2, 1, 2))


def draw_frc(
    ax: Axes,
    curve: FRCCurve,
    *,
    thresholds: Sequence[Threshold] = (0.5,),
    pixel_size_m: float | None = None,
    title: str = "Fourier ring correlation",
) -> Axes:
    """Correlation over frequency, with each threshold and the resolution where the curve crosses it.

    The lowest rings, which hold a handful of pixels and never decide, are faint.

    Args:
        ax: Where to draw.
        curve: From `ptychopinn.metrics.frc`.
        thresholds: A number between 0 and 1, or "half_bit".
        pixel_size_m: Gives the crossing as a half period length too.
        title: Stands above the panel.
    """
    _prepare(ax, [curve], title)
    _draw_curve(ax, curve, TRAINING)
    for threshold, color in zip(thresholds, cycle((VALIDATION, THIRD, MUTED)), strict=False):
        label = f"{_name(threshold)}: {_resolution(curve, threshold, pixel_size_m)}"
        line = curve.threshold_curve(threshold)
        ax.plot(curve.frequency_cycles_per_px, line, color=color, linewidth=1.0, dashes=(4, 3), label=label)
        _mark_crossing(ax, curve, threshold, color)
    if thresholds:
        add_legend(ax, "lower left")
    return ax


def draw_frc_curves(
    ax: Axes,
    curves: Mapping[str, FRCCurve],
    *,
    thresholds: Sequence[Threshold] = (0.5,),
    title: str = "",
) -> Axes:
    """Several curves in their colours, with the thresholds of the first one and a dot at every crossing.

    Args:
        ax: Where to draw.
        curves: By name; scored on one region, so that they have the same rings.
        thresholds: Up to three numbers between 0 and 1, or "half_bit".
        title: Stands above the panel.
    """
    _prepare(ax, list(curves.values()), title)
    for number, threshold in enumerate(thresholds):
        first = next(iter(curves.values()))
        line, dashes = first.threshold_curve(threshold), _DASHES[number % len(_DASHES)]
        ax.plot(first.frequency_cycles_per_px, line, color=MUTED, linewidth=0.9, dashes=dashes)
        ax.text(0.507, line[-1], _name(threshold), fontsize=TEXT_PT, color=MUTED, va="center")
    for number, curve in enumerate(curves.values()):
        color = _color(number)
        _draw_curve(ax, curve, color)
        for threshold in thresholds:
            _mark_crossing(ax, curve, threshold, color)
    return ax


def draw_halves(
    ax: Axes,
    curves: Mapping[str, FRCCurve],
    *,
    pixel_size_m: float | None = None,
    title: str = "Ring correlation of two halves",
) -> Axes:
    """Curves of two halves of the data, each with the resolution at the half-bit threshold, and the level 1/7.

    Args:
        ax: Where to draw.
        curves: By the name of what was halved.
        pixel_size_m: Gives the crossing as a half period length too.
        title: Stands above the panel.
    """
    draw_frc_curves(ax, curves, thresholds=("half_bit", 1 / 7), title=title)
    for number, (name, curve) in enumerate(curves.items()):
        label = f"{name}: {_half_period(curve, pixel_size_m)}"
        ax.plot([], [], color=_color(number), linewidth=1.5, label=label)
    is_high = all(float(curve.correlation[-1]) > HIGH for curve in curves.values())
    add_legend(ax, "lower left" if is_high else "upper right")
    legend = ax.get_legend()
    if legend is not None:
        legend.set_title("half period (half bit)", FontProperties(size=TEXT_PT))
        legend.set_frame_on(True)  # the line of 1/7 runs behind it
        legend.get_frame().set(facecolor="white", edgecolor="none", alpha=0.9)
    return ax


def _half_period(curve: FRCCurve, pixel_size_m: float | None) -> str:
    """Half period at the half-bit threshold, or how the curve lies to it."""
    if curve.outcome("half_bit") != "crossed":
        return {"stays above": "below 1 px", "never above": "none"}[curve.outcome("half_bit")]
    pixels = 0.5 / curve.crossing("half_bit")
    return f"{pixels:.2f} px" + ("" if pixel_size_m is None else f" = {pixels * pixel_size_m * 1e9:.3g} nm")


def figure_frc(
    curves: Mapping[str, FRCCurve],
    *,
    thresholds: Sequence[Threshold] = USUAL_THRESHOLDS,
    pixel_size_m: float | None = None,
    title: str = "Fourier ring correlation with the reference",
) -> Figure:
    """Curves of several reconstructions, and a table of the frequencies at which they fall below each threshold.

    Args:
        curves: By name; scored on one region, so that they have the same rings.
        thresholds: Up to three numbers between 0 and 1, or "half_bit".
        pixel_size_m: Gives each crossing as a half period in nm too, and the upper axis that unit.
        title: Stands above everything.

    Raises:
        ValueError: no curve.
    """
    if not curves:
        raise ValueError("no curve was given; ring correlation is drawn of one reconstruction at least")
    width = max(WIDTH, NAME + CELL * len(thresholds) - RIGHT)
    page = Page.blank(EDGE + width + RIGHT, HEAD + HEIGHT + BELOW + LINE * (1 + len(curves)) + 0.2)
    page.headline(EDGE, 0.3, title, f"faint: rings 1 to {FIRST_RING - 1}, which do not decide")
    ax = draw_frc_curves(page.panel(EDGE, HEAD, width, HEIGHT), curves, thresholds=thresholds)
    _add_half_periods(ax, pixel_size_m)
    _write_table(page, HEAD + HEIGHT + BELOW, curves, thresholds, pixel_size_m)
    return page.figure


def _write_table(
    page: Page,
    top: float,
    curves: Mapping[str, FRCCurve],
    thresholds: Sequence[Threshold],
    pixel_size_m: float | None,
) -> None:
    """One line for each curve, one column for each threshold."""
    lefts = [EDGE + NAME + CELL * column for column in range(len(thresholds))]
    page.note(EDGE, top, "falls below,  half period")
    for left, threshold in zip(lefts, thresholds, strict=True):
        page.note(left, top, _name(threshold))
    for number, (name, curve) in enumerate(curves.items()):
        row = top + LINE * (1 + number)
        page.note(EDGE, row, name if len(name) < 27 else f"{name[:26]}…", color=_color(number))
        for left, threshold in zip(lefts, thresholds, strict=True):
            page.note(left, row, _crossing_text(curve, threshold, pixel_size_m), color=INK)


def _color(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _prepare(ax: Axes, curves: Sequence[FRCCurve], title: str) -> None:
    style_curves(ax, title, "spatial frequency (cycles/px)", "correlation")
    ax.set_xlim(0, NYQUIST_CYCLES_PER_PX)
    ax.set_ylim(min(0.0, *(float(curve.correlation.min()) for curve in curves)), 1.02)


def _draw_curve(ax: Axes, curve: FRCCurve, color: str) -> None:
    frequency, decides = curve.frequency_cycles_per_px, slice(FIRST_RING - 1, None)
    ax.plot(frequency, curve.correlation, color=color, linewidth=1.5, alpha=0.35)
    ax.plot(frequency[decides], curve.correlation[decides], color=color, linewidth=1.5)


def _mark_crossing(ax: Axes, curve: FRCCurve, threshold: Threshold, color: str) -> None:
    if curve.outcome(threshold) == "crossed":
        at = curve.crossing(threshold)
        height = np.interp(at, curve.frequency_cycles_per_px, curve.threshold_curve(threshold))
        ax.plot(at, height, "o", color=color, markersize=4)


def _add_half_periods(ax: Axes, pixel_size_m: float | None) -> None:
    """An upper axis with half periods of round length."""
    pixel = 1.0 if pixel_size_m is None else pixel_size_m * 1e9
    powers = 10.0 ** np.arange(np.floor(np.log10(pixel)), np.log10(12 * pixel))
    lengths = [factor * power for power in powers for factor in (1, 2, 3, 5) if pixel <= factor * power <= 12 * pixel]
    above = ax.secondary_xaxis("top")
    above.set_ticks([pixel / (2 * length) for length in lengths], labels=[f"{length:g}" for length in lengths])
    above.tick_params(labelsize=TEXT_PT, colors=MUTED, width=0.6, length=3)
    above.spines["top"].set_visible(False)
    unit = "px" if pixel_size_m is None else "nm"
    above.set_xlabel(f"half period ({unit})", fontsize=TEXT_PT, color=MUTED)


def _name(threshold: Threshold) -> str:
    if isinstance(threshold, str):
        return threshold.replace("_", " ")
    return "1/7" if abs(threshold - 1 / 7) < 1e-9 else f"{threshold:g}"


def _crossing_text(curve: FRCCurve, threshold: Threshold, pixel_size_m: float | None) -> str:
    if curve.outcome(threshold) != "crossed":
        return {"stays above": "not below Nyquist", "never above": "nowhere above"}[curve.outcome(threshold)]
    at = curve.crossing(threshold)
    length = f"{0.5 / at:.2f} px" if pixel_size_m is None else f"{0.5 / at * pixel_size_m * 1e9:.3g} nm"
    return f"{at:.3f} cycles/px,  {length}"


def _resolution(curve: FRCCurve, threshold: Threshold, pixel_size_m: float | None) -> str:
    if curve.outcome(threshold) != "crossed":
        return {"stays above": "not crossed", "never above": "never above"}[curve.outcome(threshold)]
    half_period_px = 0.5 / curve.crossing(threshold)
    length = "" if pixel_size_m is None else f" = {half_period_px * pixel_size_m * 1e9:.3g} nm"
    return f"{half_period_px:.2f} px half period{length}"
