"""Many reconstructions on one page: amplitude and phase of each, small, under its name and verdict."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ptychopinn.metrics.verdict import Level
from ptychopinn.plotting.heading import COLOURS
from ptychopinn.plotting.maps import (
    Limits,
    amplitude_limits,
    centred_phase,
    covered_window,
    phase_colours,
    phase_limits,
)
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.style import FAINT, HATCH_GROUND, HATCH_STROKE, INK, MUTED, TEXT_PT

EDGE, HEAD, GAP = 0.4, 1.2, 0.15
"""Inches round everything, above the first row, between cells."""
BAND, INSET = 0.22, 0.04
"""Height of the band with name and verdict, and between the two panels of a cell, inches."""
SIDES = ((60, 1.5), (300, 1.1), (math.inf, 0.8))
"""Side of a panel, inches, for up to so many scans."""
LARGEST_PX = 160
"""Longer side of a thumbnail; a panel has as many pixels in the file."""
SHAPE = 1.4
"""Width over height of the page, about."""
NARROWEST = 7.0
"""Least width of a page, for its heading."""
LETTERS_PER_INCH = 15.0
_OTHER = (FAINT, INK)


@dataclass(frozen=True)
class Thumbnail:
    """A small amplitude and phase, or why there is none."""

    name: str
    label: str
    """Verdict or state."""
    panels: tuple[tuple[NDArray[Any], str, Limits], ...] = ()
    """Values (h, w), masked where nothing was measured, colour map and limits: of amplitude and phase."""
    note: str = ""
    """In place of the panels."""

    @classmethod
    def of(cls, name: str, object_: NDArray[Any], coverage: NDArray[Any], level: Level | None) -> Self:
        """The covered part of an object (Y, X), every n-th pixel of it, in the colours of the large figure."""
        rows, columns = covered_window(coverage)
        step = max(math.ceil(max(rows.stop - rows.start, columns.stop - columns.start) / LARGEST_PX), 1)
        shown = (slice(rows.start, rows.stop, step), slice(columns.start, columns.stop, step))
        cmap, limits = phase_colours(phase_limits(object_, coverage))
        panels = (
            (np.abs(object_), "gray", amplitude_limits(object_, coverage)),
            (centred_phase(object_, coverage), cmap, limits),
        )
        hidden = ~((coverage > 0) & np.isfinite(object_))
        small = tuple((np.ma.masked_where(hidden, values)[shown].copy(), *colours) for values, *colours in panels)
        return cls(name, level or "no verdict", small)  # type: ignore[arg-type]

    @classmethod
    def missing(cls, name: str, state: str, note: str) -> Self:
        """A scan without an image."""
        return cls(name, state, (), note)


def figure_contact_sheet(thumbnails: Sequence[Thumbnail], *, title: str, facts: str) -> Figure:
    """All thumbnails, row by row; each has its own colours, as in its own figure.

    Args:
        thumbnails: in the order of the table.
        title: stands above everything.
        facts: stands below the title.
    """
    side = next(side for most, side in SIDES if len(thumbnails) <= most)
    width, height = 2 * side + INSET + GAP, side + BAND + GAP
    columns = max(round(math.sqrt(len(thumbnails) * height / width * SHAPE)), int((NARROWEST - 2 * EDGE) / width), 1)
    rows = -(-len(thumbnails) // columns)
    page = Page.blank(2 * EDGE + columns * width - GAP, HEAD + rows * height - GAP + EDGE)
    page.headline(EDGE, 0.3, title, facts)
    page.note(EDGE, 0.76, "amplitude left, phase right, each in its own colours")
    ax = page.panel(0, 0, page.width, page.height)
    ax.set_axis_off()
    for number, one in enumerate(thumbnails):
        row, column = divmod(number, columns)
        _draw(ax, one, EDGE + column * width, HEAD + row * height, side)
    ax.set(xlim=(0, page.width), ylim=(page.height, 0))
    return page.figure


def _draw(ax: Axes, one: Thumbnail, left: float, top: float, side: float) -> None:
    """A cell whose upper left corner lies `left` and `top` inches inside the page."""
    ground, ink = COLOURS.get(one.label, _OTHER)  # type: ignore[call-overload]
    width = 2 * side + INSET
    ax.add_patch(Rectangle((left, top), width, BAND, facecolor=ground, linewidth=0, gid="verdict"))
    room = int(width * LETTERS_PER_INCH) - len(one.label) - 2
    name = one.name if len(one.name) <= room else f"{one.name[: room - 1]}…"
    middle: dict[str, Any] = {"va": "center", "fontsize": TEXT_PT - 1, "color": ink}
    ax.text(left + 0.05, top + BAND / 2, name, **middle)
    ax.text(left + width - 0.05, top + BAND / 2, one.label, ha="right", fontweight="bold", **middle)
    if not one.panels:
        box = Rectangle((left, top + BAND), width, side, facecolor=HATCH_GROUND, edgecolor=HATCH_STROKE, linewidth=0.6)
        ax.add_patch(box)
        lines = textwrap.wrap(one.note, int(width * LETTERS_PER_INCH))[: int(side / 0.14) - 1]
        ax.text(left + 0.05, top + BAND + 0.06, "\n".join(lines), va="top", fontsize=TEXT_PT - 1.5, color=MUTED)
    for place, (values, cmap, limits) in enumerate(one.panels):
        corner = left + place * (side + INSET), top + BAND
        ax.add_patch(Rectangle(corner, side, side, facecolor=HATCH_GROUND, linewidth=0, zorder=-1))
        rows, columns = np.array(values.shape) * side / max(values.shape)
        x, y = corner[0] + (side - columns) / 2, corner[1] + (side - rows) / 2
        extent = (x, x + columns, y + rows, y)
        ax.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=extent, aspect="auto")
