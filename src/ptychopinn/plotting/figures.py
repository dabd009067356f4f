"""Whole figures: a reconstruction at one glance, and the course of a training run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.plotting.content import Bars, ReportContent
from ptychopinn.plotting.curves import History, draw_learning_rate, draw_loss
from ptychopinn.plotting.fit_block import FitBlock
from ptychopinn.plotting.heading import Heading
from ptychopinn.plotting.maps import (
    Limits,
    Placement,
    amplitude_limits,
    draw_amplitude,
    draw_bar,
    draw_coverage,
    draw_error,
    draw_phase,
    draw_region,
    mean_phase,
    phase_limits,
    shown_aspect,
)
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.probe import draw_probe

EDGE, HEAD, FOOT = 0.45, 1.2, 0.6
"""Inches left and right, above the first row, below the last one."""
LARGE, NARROWEST, TALLEST = 4.3, 1.4, 5.6
"""Largest and least width of an object panel, and its largest height."""
LOWEST = 2.6
"""Least height of the first row, which holds the small panels."""
LEAST_PAGE = 14.6
"""Least width of a page that shows patterns."""
BAR, TITLE, RULER = 0.9, 0.4, 0.35
"""Room for a colour bar, for a title, for a scale bar."""
QUICK = 1
"""Compression of a PNG: a third of the time of the usual 6, and a file a sixth larger."""


class Drawable(Protocol):
    """What `figure_reconstruction` needs to know; `ptychopinn.data.reconstruction.Reconstruction` is one."""

    @property
    def object_(self) -> NDArray[np.complex64]: ...
    @property
    def coverage(self) -> NDArray[np.float32]: ...
    @property
    def origin_px(self) -> NDArray[np.int64]: ...
    @property
    def positions_px(self) -> NDArray[np.float64]: ...
    @property
    def probe(self) -> NDArray[np.complex64]: ...
    @property
    def pixel_size_m(self) -> float | None: ...


@dataclass(frozen=True)
class _Layout:
    """Sizes in inches that follow from the shape of the object and from what there is to show."""

    width: float
    height: float
    """Of the image in an object panel."""
    side: float
    """Width of the third column, colour bars included."""
    head: float = HEAD
    """Above the first row."""

    @classmethod
    def fit(cls, aspect: float, is_full: bool, has_patterns: bool) -> "_Layout":
        height = min(LARGE * aspect, TALLEST)
        width = max(height / aspect, NARROWEST)
        side = max(width + BAR, 4.8) if is_full else 3.4
        layout = cls(width, height, side)
        missing = LEAST_PAGE - layout.page_width if has_patterns else 0.0
        return replace(layout, side=side + max(missing, 0.0))

    def left(self, column: int) -> float:
        return EDGE + column * (self.width + BAR)

    def top(self, row: int) -> float:
        return self.head if row == 0 else self.head + self.first_row + TITLE + RULER

    @property
    def first_row(self) -> float:
        return max(self.height, LOWEST)

    @property
    def page_width(self) -> float:
        return self.left(2) + self.side + EDGE / 2

    def below(self, rows: int) -> float:
        """Lower edge of the last row of object panels, with its scale bar."""
        return (self.head + self.first_row if rows == 1 else self.top(1) + self.height) + FOOT


def figure_reconstruction(
    reconstruction: Drawable,
    history: History | None = None,
    reference: NDArray[Any] | None = None,
    errors: Mapping[str, float] | None = None,
    title: str | None = None,
    content: ReportContent | None = None,
) -> Figure:
    """The figure that a person looks at first.

    Amplitude, phase, coverage, probe and loss; below them reference and error where there is a reference; below these
    what `content` holds: three patterns, the misfit over the scan, the refinement curve, the resolution, error bars.

    Args:
        reconstruction: What was reconstructed.
        history: Columns `epoch`, `train_loss`, `val_loss`, where the model was trained in this run.
        reference: (Y, X) complex, aligned with the object element by element; a global phase is removed, its modulus is
            shown as it is.
        errors: Numbers written below the error, by name.
        title: Stands above everything.
        content: Method, date, verdict, and how well the image explains its patterns.
    """
    content = content or ReportContent()
    history = history if history and len(history.get("train_loss", ())) else None
    is_full = history is not None or reference is not None
    layout = _Layout.fit(shown_aspect(reconstruction.coverage), is_full, bool(content.patterns))
    inner = layout.page_width - 1.5 * EDGE
    heading = Heading.of(title or "Reconstruction", _facts(reconstruction), content, inner)
    layout = replace(layout, head=heading.height)
    rows, block = (1 if reference is None else 2), FitBlock(content, inner)
    lower = layout.below(rows)
    fit_height = TITLE + block.height + FOOT if block.height else 0.0
    bars_height = 0.0 if content.bars is None else TITLE + layout.height + FOOT
    page = Page.blank(layout.page_width, lower + fit_height + bars_height)
    heading.draw(page, EDGE, inner)
    objects = [reconstruction.object_]
    if reference is not None:
        objects.append(_in_phase(reference, reconstruction))
    limits = [_common_limits(part, objects, reconstruction.coverage) for part in (amplitude_limits, phase_limits)]
    for row, object_ in enumerate(objects):
        _draw_object(page, layout, row, object_, reconstruction, limits, content)
    _draw_side(page, layout, reconstruction, history)
    if len(objects) == 2:
        _draw_difference(page, layout, objects, reconstruction, errors or {})
        page.note(layout.left(0), layout.top(1) + layout.height + 0.27, content.reference_note)
    if block.height:
        corner = EDGE, lower + TITLE
        block.draw(page, corner, reconstruction.positions_px, reconstruction.pixel_size_m)
    if content.bars is not None:
        _draw_bars(page, layout, lower + fit_height + TITLE, reconstruction, content.bars)
    return page.figure


def figure_history(history: History, title: str = "Training", facts: str = "") -> Figure:
    """Loss, and below it the learning rate where it is known.

    Args:
        history: Columns `epoch`, `train_loss`, `val_loss`, `learning_rate`; any of them may be missing.
        title: Stands above everything.
        facts: Stands behind the number of epochs, such as the network and the date.
    """
    epochs = len(history.get("train_loss", history.get("epoch", ())))
    has_rate = bool(len(history.get("learning_rate", ())))
    page = Page.blank(7.6, 6.2 if has_rate else 4.8)
    page.headline(0.75, 0.3, title, "   ·   ".join(part for part in (f"{epochs} epochs", facts) if part))
    loss = draw_loss(page.panel(0.75, HEAD, 6.4, 3.0), history)
    if has_rate:
        rate = draw_learning_rate(page.panel(0.75, HEAD + 3.0 + 0.7, 6.4, 0.8), history)
        rate.set_xlim(loss.get_xlim())
        loss.set_xlabel("")
    return page.figure


def save_figure(figure: Figure, path: str | Path, dpi: float = 150) -> Path:
    """Write a PNG in RGB, without transparency, beside its target and rename it.

    Raises:
        OutputError: the file cannot be written.
    """
    target = Path(path)
    image = Image.fromarray(np.ascontiguousarray(_drawn(figure, dpi)[..., :3]))
    with atomic_path(target) as temporary:
        image.save(temporary, "png", compress_level=QUICK, dpi=(dpi, dpi))
    return target


def _drawn(figure: Figure, dpi: float) -> NDArray[np.uint8]:
    """(height, width, 4), the figure in RGBA."""
    canvas, shown_dpi = FigureCanvasAgg(figure), figure.dpi
    figure.dpi = dpi
    try:
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())
    finally:
        figure.dpi = shown_dpi


def _draw_object(
    page: Page,
    layout: _Layout,
    row: int,
    object_: NDArray[Any],
    source: Drawable,
    limits: list[Limits],
    content: ReportContent,
) -> None:
    place = Placement(source.origin_px, source.pixel_size_m)
    for column, draw in enumerate((draw_amplitude, draw_phase)):
        name = draw.__name__.removeprefix("draw_")
        axes = page.panel(layout.left(column), layout.top(row), layout.width, layout.height)
        title = f"Reference {name}" if row else name.capitalize()
        draw(axes, object_, source.coverage, place=place, limits=limits[column], title=title)
        if content.region is not None:
            draw_region(axes, content.region, content.region_label if row == column == 0 else "")


def _draw_bars(page: Page, layout: _Layout, top: float, source: Drawable, bars: Bars) -> None:
    """Standard deviations below amplitude and phase; the title says so where they are not valid."""
    place = Placement(source.origin_px, source.pixel_size_m)
    doubt = "" if bars.is_valid else ", NOT VALID"
    for column, (values, name, unit) in enumerate(((bars.amplitude, "amplitude", ""), (bars.phase, "phase", "rad"))):
        axes = page.panel(layout.left(column), top, layout.width, layout.height)
        title = f"Error bar of the {name} (σ){doubt}"
        draw_bar(axes, values, source.coverage, title=title, unit=unit, place=place)


def _draw_side(page: Page, layout: _Layout, source: Drawable, history: History | None) -> None:
    """Coverage and probe beside each other with the loss below them, or below each other without a loss."""
    left, top = layout.left(2), layout.top(0)
    small = (layout.first_row - RULER - TITLE) / 2
    half = layout.side / 2
    shift = (half, 0.0) if history else (0.0, small + RULER + TITLE)
    width = half - 0.6 if history else layout.side - BAR
    place = Placement(source.origin_px, source.pixel_size_m)
    draw_coverage(page.panel(left, top, width, small), source.coverage, place=place)
    probe_axes = page.panel(left + shift[0], top + shift[1], width, small)
    draw_probe(probe_axes, source.probe, pixel_size_m=source.pixel_size_m)
    if history:
        below = top + small + RULER + TITLE
        loss = draw_loss(page.panel(left, below, layout.side - 0.6, small), history)
        loss.yaxis.tick_right()
        loss.spines["left"].set_visible(False)
        loss.tick_params(axis="y", length=0)


def _draw_difference(
    page: Page, layout: _Layout, objects: list[NDArray[Any]], source: Drawable, errors: Mapping[str, float]
) -> None:
    axes = page.panel(layout.left(2), layout.top(1), layout.width, layout.height)
    place = Placement(source.origin_px, source.pixel_size_m)
    draw_error(axes, objects[0], objects[1], source.coverage, place=place)
    text = "    ".join(f"{name} {value:.4g}" for name, value in errors.items())
    page.note(layout.left(2), layout.top(1) + layout.height + 0.27, text)


def _in_phase(reference: NDArray[Any], source: Drawable) -> NDArray[Any]:
    """The reference turned by the one phase that brings it closest to the object."""
    return reference * np.exp(1j * mean_phase(source.object_ * np.conj(reference), source.coverage))


def _common_limits(limits: Any, objects: list[NDArray[Any]], coverage: NDArray[Any]) -> Limits:
    """One scale for the object and its reference."""
    pairs = [limits(object_, coverage) for object_ in objects]
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def _facts(source: Drawable) -> str:
    height, width = source.object_.shape
    parts = [f"{height} × {width} px", f"{len(source.positions_px)} patterns of {source.probe.shape[-1]} px"]
    if source.pixel_size_m is not None:
        parts.append(f"pixel {source.pixel_size_m * 1e9:.3g} nm")
    return "   ·   ".join(parts)
