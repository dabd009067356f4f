"""Maps on the canvas: amplitude, phase, coverage, error, positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ptychopinn.plotting.content import Added
from ptychopinn.plotting.scalebar import draw_scalebar
from ptychopinn.plotting.style import INK, REGION, TEXT_PT, add_colorbar, style_image

Limits = tuple[float, float]

WELL_COVERED = 0.1
"""Colours are scaled by the pixels that received more than this part of the largest weight."""
PERCENTILES = (0.5, 99.5)
MARGIN = 0.03
"""Margin round the covered area, as a part of its longer side."""
LEAST_AMPLITUDE, LEAST_RAD = 0.1, 0.2
"""Least range of colours of an amplitude, relative to its level, and of a phase: a flat image must not look like
structure. Objects with less contrast than this fill a part of the range only."""
LEAST_ERROR = 0.02
"""The same of the difference of two objects."""
LEAST_ADDED = 1e-3
"""The same of what a prior added, which is small at high dose."""


@dataclass(frozen=True)
class Placement:
    """Where a map lies, and how large its pixels are."""

    origin_px: Sequence[float] | NDArray[np.integer] = (0, 0)
    """(y, x): object-frame coordinate of element (0, 0)."""
    pixel_size_m: float | None = None
    """Object pixel, where known."""


def draw_amplitude(
    ax: Axes,
    object_: NDArray[Any],
    coverage: NDArray[Any],
    *,
    place: Placement = Placement(),
    limits: Limits | None = None,
    title: str = "Amplitude",
) -> Axes:
    """Modulus of an object.

    Args:
        ax: Where to draw.
        object_: (Y, X), complex.
        coverage: (Y, X): 0 where nothing was measured; hatched there.
        place: Frame and pixel size.
        limits: Colour limits; robust percentiles over the well covered area by default.
        title: Stands above the panel.
    """
    values = np.abs(object_)
    limits = limits or amplitude_limits(object_, coverage)
    return draw_map(ax, values, coverage, cmap="gray", limits=limits, title=title, place=place)


def draw_phase(
    ax: Axes,
    object_: NDArray[Any],
    coverage: NDArray[Any],
    *,
    place: Placement = Placement(),
    limits: Limits | None = None,
    title: str = "Phase",
) -> Axes:
    """Argument of an object less that of its covered mean, rad.

    The colours are cyclic only where the phase spans more than pi. Arguments are those of `draw_amplitude`.
    """
    values = centred_phase(object_, coverage)
    cmap, limits = phase_colours(limits or phase_limits(object_, coverage))
    return draw_map(ax, values, coverage, cmap=cmap, limits=limits, title=title, unit="rad", place=place)


def draw_coverage(ax: Axes, coverage: NDArray[Any], *, place: Placement = Placement(), title: str = "Coverage") -> Axes:
    """Total weight relative to its maximum."""
    return draw_map(ax, coverage, coverage, cmap="cividis", limits=(0.0, 1.0), title=title, place=place)


def draw_error(
    ax: Axes,
    object_: NDArray[Any],
    reference: NDArray[Any],
    coverage: NDArray[Any],
    *,
    place: Placement = Placement(),
    title: str = "Error  |object − reference|",
) -> Axes:
    """Modulus of the difference of two objects that were aligned before, else as `draw_amplitude`."""
    values = np.abs(object_ - reference)
    limits = (0.0, max(robust_limits(values, coverage)[1], LEAST_ERROR))
    return draw_map(ax, values, coverage, cmap="magma", limits=limits, title=title, place=place)


def draw_added(ax: Axes, added: Added, *, pixel_size_m: float | None = None) -> Axes:
    """Modulus of what a prior added to the object; the title has its size in standard deviations of the noise.

    Args:
        ax: Where to draw.
        added: The correction, and how large it is.
        pixel_size_m: Object pixel, for the scale bar.
    """
    values = np.abs(added.correction)
    limits = (0.0, max(robust_limits(values, added.coverage)[1], LEAST_ADDED))
    title = f"Added by the prior, rms {added.rms_sigma:.2f} σ"
    place = Placement(pixel_size_m=pixel_size_m)
    return draw_map(ax, values, added.coverage, cmap="magma", limits=limits, title=title, place=place)


def draw_bar(
    ax: Axes,
    values: NDArray[Any],
    coverage: NDArray[Any],
    *,
    title: str,
    unit: str = "",
    place: Placement = Placement(),
) -> Axes:
    """Standard deviations (Y, X), from 0 to their largest over the well covered area.

    Args:
        ax: Where to draw.
        values: Of the amplitude, or of the phase in rad; what is not finite is not shown.
        coverage: (Y, X), of the object.
        title: Stands above the panel.
        unit: Of the values.
        place: Frame and pixel size.
    """
    limits = (0.0, max(robust_limits(values, coverage)[1], LEAST_ADDED))
    return draw_map(ax, values, coverage, cmap="magma", limits=limits, title=title, unit=unit, place=place)


def draw_positions(
    ax: Axes,
    positions_px: NDArray[Any],
    *,
    place: Placement = Placement(),
    color: str = INK,
    title: str | None = "Scan positions",
) -> Axes:
    """Patch centres, (N, 2) as (y, x) in the object frame; `title=None` draws on a map that is there."""
    area = float(np.clip(1500 / max(len(positions_px), 1), 0.4, 14))
    if title is not None:
        style_image(ax, title)
        ax.patch.set(hatch=None)
        show_window(ax, *position_bounds(positions_px))
    ax.scatter(positions_px[:, 1], positions_px[:, 0], s=area, color=color, linewidths=0)
    if title is not None:
        draw_scalebar(ax, place.pixel_size_m)
    return ax


def draw_region(ax: Axes, region: Sequence[int], label: str = "") -> Axes:
    """Outline of rows y0..y1-1 and columns x0..x1-1 of the object frame on a map, with a label inside."""
    y0, y1, x0, x1 = (value - 0.5 for value in region)
    for color, width, dashes in (("white", 2.2, (1, 0)), (REGION, 1.2, (4, 2))):
        ax.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=color, linewidth=width, dashes=dashes)
    if label:
        ground = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0}
        ax.annotate(
            label,
            (x0, y0),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            fontsize=TEXT_PT,
            color=REGION,
            bbox=ground,
        )
    return ax


def draw_map(
    ax: Axes,
    values: NDArray[Any],
    coverage: NDArray[Any],
    *,
    cmap: str,
    limits: Limits,
    title: str,
    unit: str = "",
    place: Placement = Placement(),
    has_bars: bool = True,
) -> Axes:
    """A real map, cropped to what is covered, hatched where it is not, with colour bar and scale bar if wanted."""
    style_image(ax, title)
    rows, columns = covered_window(coverage)
    shown = np.ma.masked_where(~((coverage > 0) & np.isfinite(values)), values)[rows, columns]
    top, left = place.origin_px[0] + rows.start - 0.5, place.origin_px[1] + columns.start - 0.5
    bottom, right = top + shown.shape[0], left + shown.shape[1]
    image = ax.imshow(
        shown, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=(left, right, bottom, top), origin="upper"
    )
    margin = MARGIN * max(shown.shape)
    show_window(ax, (top - margin, bottom + margin), (left - margin, right + margin))
    if has_bars:
        add_colorbar(ax, image, unit)
        draw_scalebar(ax, place.pixel_size_m)
    return ax


def phase_colours(limits: Limits) -> tuple[str, Limits]:
    """Colour map and limits of a phase: cyclic over all of it where it spans more than pi."""
    if limits[1] - limits[0] > np.pi:
        return "twilight", (-np.pi, np.pi)
    return "viridis", limits


def covered_window(coverage: NDArray[Any]) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle that holds all covered pixels; all if there is none."""
    covered = coverage > 0
    if not covered.any():
        return slice(0, covered.shape[0]), slice(0, covered.shape[1])
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def shown_aspect(coverage: NDArray[Any]) -> float:
    """Height over width of the window that the maps show, margins included."""
    rows, columns = covered_window(coverage)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    margin = 2 * MARGIN * max(height, width)
    return (height + margin) / (width + margin)


def robust_limits(values: NDArray[Any], coverage: NDArray[Any], smallest: float = 1e-3) -> Limits:
    """Percentiles 0.5 and 99.5 over the well covered, finite pixels, at least `smallest` apart."""
    finite = np.isfinite(values)
    chosen = values[finite & (coverage > WELL_COVERED)]
    if chosen.size < 16:
        chosen = values[finite & (coverage > 0)]
    if chosen.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(chosen, PERCENTILES))
    missing = max(smallest - (high - low), 0.0)
    return low - missing / 2, high + missing / 2


def amplitude_limits(object_: NDArray[Any], coverage: NDArray[Any]) -> Limits:
    """Range of colours of the modulus of an object (Y, X), at least `LEAST_AMPLITUDE` of its level wide."""
    values = np.abs(object_)
    low, high = robust_limits(values, coverage)
    return robust_limits(values, coverage, LEAST_AMPLITUDE * max(abs(low + high) / 2, 1e-3))


def phase_limits(object_: NDArray[Any], coverage: NDArray[Any]) -> Limits:
    """Range of colours of the phase of an object (Y, X), rad, at least `LEAST_RAD` wide."""
    return robust_limits(centred_phase(object_, coverage), coverage, LEAST_RAD)


def centred_phase(object_: NDArray[Any], coverage: NDArray[Any]) -> NDArray[Any]:
    """Phase in (-pi, pi] less the phase of the weighted mean, so that the figure does not wrap."""
    return np.angle(object_ * np.exp(-1j * mean_phase(object_, coverage)))


def mean_phase(object_: NDArray[Any], coverage: NDArray[Any]) -> float:
    """Argument of the mean of the object, weighted by the coverage, rad; 0 where nothing is covered."""
    weight = np.where(np.isfinite(object_), coverage, 0)
    return float(np.angle(np.sum(weight * np.where(weight > 0, object_, 0))))


def position_bounds(positions_px: NDArray[Any]) -> tuple[Limits, Limits]:
    """Rows and columns of a window that holds all positions (N, 2), with a margin of a pixel at least."""
    low, high = positions_px.min(axis=0), positions_px.max(axis=0)
    margin = max(0.05 * float((high - low).max()), 1.0)
    return (low[0] - margin, high[0] + margin), (low[1] - margin, high[1] + margin)


def show_window(ax: Axes, rows: Limits, columns: Limits) -> None:
    """Show these rows and columns of the object frame, row 0 on top, with square pixels."""
    ax.set_xlim(*columns)
    ax.set_ylim(rows[1], rows[0])
    ax.set_aspect("equal", adjustable="box")
