"""Each map of a result as a PNG of its own, for slides and papers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ptychopinn.plotting.figures import Drawable, save_figure
from ptychopinn.plotting.maps import Placement, draw_amplitude, draw_bar, draw_coverage, draw_phase, shown_aspect
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.probe import draw_probe

AROUND, BESIDE = 0.5, 1.1
"""Inches around a map, and for its colour bar."""
LARGEST = 6.0
"""Width and height of a map, inches."""


def figure_map(
    source: Drawable,
    part: Literal["amplitude", "phase"],
    largest: float = LARGEST,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """One map of an object alone, with its colour bar.

    Args:
        source: Object, coverage, frame and pixel size.
        part: `amplitude`, or `phase` less that of the covered mean, rad.
        largest: Largest width and height of the map, inches.
        limits: Lowest and highest value of the colours; by default those of the map.
    """
    draw = draw_amplitude if part == "amplitude" else draw_phase
    drawn = partial(draw, object_=source.object_, coverage=source.coverage, place=_place(source), limits=limits)
    return _alone(drawn, shown_aspect(source.coverage), largest)


def save_panels(
    source: Drawable,
    path: str | Path,
    *,
    amplitude_error: NDArray[Any] | None = None,
    phase_error: NDArray[Any] | None = None,
    dpi: float = 200,
) -> list[Path]:
    """Write amplitude, phase, coverage, probe, and error bars where there are any, each as a PNG.

    Args:
        source: Object, coverage, frame, probe and pixel size.
        path: As in `image.png`, which gives `image_amplitude.png`, `image_phase.png` and so on.
        amplitude_error: (Y, X), standard deviation of the amplitude.
        phase_error: (Y, X), rad.
        dpi: Dots per inch; the longer side of a map has 6 inches.

    Returns:
        The files.

    Raises:
        OutputError: a file cannot be written.
    """
    aspect, place, coverage = shown_aspect(source.coverage), _place(source), source.coverage
    probe = partial(draw_probe, probe=source.probe, pixel_size_m=source.pixel_size_m)
    figures = {
        "amplitude": figure_map(source, "amplitude"),
        "phase": figure_map(source, "phase"),
        "coverage": _alone(partial(draw_coverage, coverage=coverage, place=place), aspect),
        "probe": _alone(probe, 1.0),
    }
    for name, values, unit in (("amplitude", amplitude_error, ""), ("phase", phase_error, "rad")):
        if values is not None:
            title = f"Error bar of the {name} (σ)"
            bar = partial(draw_bar, values=values, coverage=coverage, title=title, unit=unit, place=place)
            figures[f"{name}_error"] = _alone(bar, aspect)
    target = Path(path)
    return [save_figure(figure, target.with_stem(f"{target.stem}_{name}"), dpi) for name, figure in figures.items()]


def _place(source: Drawable) -> Placement:
    return Placement(source.origin_px, source.pixel_size_m)


def _alone(draw: Callable[[Axes], Axes], aspect: float, largest: float = LARGEST) -> Figure:
    """A figure of one panel, which `draw` fills."""
    width, height = largest / max(aspect, 1), largest * min(aspect, 1)
    page = Page.blank(width + AROUND + BESIDE, height + 2 * AROUND)
    draw(page.panel(AROUND, AROUND, width, height))
    return page.figure
