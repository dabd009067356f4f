"""Several reconstructions beside the truth: amplitude above, phase below, in the colours of the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from ptychopinn.metrics.verdict import Level
from ptychopinn.plotting.heading import COLOURS
from ptychopinn.plotting.maps import (
    LEAST_RAD,
    Limits,
    Placement,
    draw_map,
    mean_phase,
    phase_colours,
    robust_limits,
    shown_aspect,
)
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.scalebar import draw_scalebar
from ptychopinn.plotting.style import TEXT_PT, add_colorbar

MOST_COLUMNS = 6
"""Panels side by side; more go below."""
EDGE, HEAD, FOOT, GAP, BAR = 0.4, 1.2, 0.15, 0.3, 0.8
"""Inches: left margin, above and below everything, between panels, for the colour bar."""
WIDE, NARROW, TALL, ROOM = 3.4, 2.3, 4.6, 13.0
"""Largest and least width and largest height of a panel, and the width that the panels of a row share."""
TITLE, NOTES = 0.4, 0.4
"""Above a row of panels, and below it for scores and scale bar."""
SMALLEST = 0.02
"""Least range of colours of the amplitude."""
BAND_IN = 0.08
"""From the corner of a panel to the band of the verdict."""
LETTERS_PER_INCH = 12.5
"""Of a title."""


@dataclass(frozen=True)
class _Layout:
    columns: int
    width: float
    height: float
    """Of a panel."""

    @classmethod
    def fit(cls, count: int, aspect: float) -> "_Layout":
        bands = -(-count // MOST_COLUMNS)
        columns = -(-count // bands)
        width = min(WIDE, max(NARROW, ROOM / columns))
        height = min(width * aspect, TALL)
        return cls(columns, max(height / aspect, NARROW), height)

    def left(self, column: int) -> float:
        return EDGE + column * (self.width + GAP)

    def top(self, row: int) -> float:
        return HEAD + row * (self.height + NOTES + TITLE)

    def fitted(self, title: str) -> str:
        """A title, cut off where its panel ends."""
        most = int(LETTERS_PER_INCH * self.width)
        return title if len(title) <= most else f"{title[: most - 1]}…"

    def broken(self, scores: list[str]) -> str:
        """Scores side by side, in a second line where they are wider than a panel."""
        most = int(LETTERS_PER_INCH * self.width)
        first = next((n for n in range(len(scores), 0, -1) if len("  ".join(scores[:n])) <= most), 1)
        return "\n".join("  ".join(line) for line in (scores[:first], scores[first:]) if line)

    def page(self, rows: int) -> Page:
        return Page.blank(self.left(self.columns) - GAP + BAR, self.top(rows) - TITLE + FOOT)


@dataclass(frozen=True)
class _Part:
    """Amplitude or phase of all panels, and their common colours."""

    name: str
    values: list[NDArray[Any]]
    cmap: str
    limits: Limits
    unit: str


def figure_comparison(
    images: Mapping[str, NDArray[Any]],
    truth: NDArray[Any],
    *,
    reports: Mapping[str, Mapping[str, Any]] | None = None,
    covered: NDArray[np.bool_] | None = None,
    pixel_size_m: float | None = None,
    title: str = "Comparison with the reference",
    levels: Mapping[str, Level | None] | None = None,
) -> Figure:
    """Amplitude and phase of several reconstructions beside the truth.

    All panels of a row have the colours of the truth, so that a collapsed image looks flat and a noisy one does not
    change the others. Of each image the one phase is removed that brings it closest to the truth; shift, ramp and
    scale are shown as they are, so align the images first.

    Args:
        images: By name, complex (Y, X), in the frame of the truth.
        truth: Complex (Y, X).
        reports: By name, what `ptychopinn.metrics.compare` returned: PSNR, SSIM and contrast are written below.
        covered: Boolean (Y, X), False where nothing was measured; hatched there.
        pixel_size_m: Object pixel, for the scale bar.
        title: Stands above everything.
        levels: By name, the verdict on an image, which a coloured band on its amplitude states.

    Raises:
        ValueError: an image of another shape than the truth.
    """
    others = {name: image.shape for name, image in images.items() if image.shape != truth.shape}
    if others:
        raise ValueError(f"images {others} do not lie in the frame of the truth, {truth.shape}; crop or pad them")
    coverage = np.ones(truth.shape) if covered is None else np.asarray(covered, float)
    names = ["reference", *images]
    layout = _Layout.fit(len(names), shown_aspect(coverage))
    page = layout.page(2 * -(-len(names) // layout.columns))
    page.headline(EDGE, 0.3, title, "every panel in the colours of the reference, moduli as they are")
    place = Placement(pixel_size_m=pixel_size_m)
    for row, part in enumerate(_parts(list(images.values()), truth, coverage)):
        for number, name in enumerate(names):
            band, column = divmod(number, layout.columns)
            corner = layout.left(column), layout.top(2 * band + row)
            ax = _draw(page, layout, corner, part, number, layout.fitted(f"{part.name}, {name}"), coverage, place)
            level = (levels or {}).get(name) if row == 0 and number > 0 else None
            if level is not None:
                _add_band(ax, level)
            scores = layout.broken(_scores(part.name, (reports or {}).get(name)))
            page.note(corner[0], corner[1] + layout.height + 0.08, scores)
    return page.figure


def _draw(
    page: Page,
    layout: _Layout,
    corner: tuple[float, float],
    part: _Part,
    number: int,
    title: str,
    coverage: NDArray[Any],
    place: Placement,
) -> Axes:
    """One panel; the first has the scale bar, the last of each row the colour bar."""
    ax = page.panel(*corner, layout.width, layout.height)
    values = part.values[number]
    draw_map(ax, values, coverage, cmap=part.cmap, limits=part.limits, title=title, place=place, has_bars=False)
    if number == 0:
        draw_scalebar(ax, place.pixel_size_m)
    if number == len(part.values) - 1 or number % layout.columns == layout.columns - 1:
        add_colorbar(ax, ax.images[0], part.unit)
    return ax


def _add_band(ax: Axes, level: Level) -> None:
    """The verdict in a coloured band in the upper left corner of a panel."""
    ground, ink = COLOURS[level]
    box = {"facecolor": ground, "linewidth": 0, "pad": 3}
    inset = ax.transAxes + ScaledTranslation(BAND_IN, -BAND_IN, ax.figure.dpi_scale_trans)
    style: dict[str, Any] = {"fontsize": TEXT_PT, "fontweight": "bold", "va": "top", "ha": "left"}
    ax.text(0, 1, level.upper(), color=ink, transform=inset, bbox=box, gid="verdict", **style)


def _parts(images: list[NDArray[Any]], truth: NDArray[Any], coverage: NDArray[Any]) -> tuple[_Part, _Part]:
    turned = np.exp(-1j * mean_phase(truth, coverage))
    objects = [truth * turned]
    objects += [image * np.exp(-1j * mean_phase(image * np.conj(objects[0]), coverage)) for image in images]
    amplitudes, phases = [np.abs(object_) for object_ in objects], [np.angle(object_) for object_ in objects]
    cmap, limits = phase_colours(robust_limits(phases[0], coverage, LEAST_RAD))
    return (
        _Part("Amplitude", amplitudes, "gray", robust_limits(amplitudes[0], coverage, SMALLEST), ""),
        _Part("Phase", phases, cmap, limits, "rad"),
    )


def _scores(part: str, report: Mapping[str, Any] | None) -> list[str]:
    """PSNR, SSIM, contrast and, of the amplitude, the scale before its fit, as far as they are known."""
    formats = {"psnr": "{:.1f} dB", "ssim": "SSIM {:.3f}", "contrast": "contrast {:.2f}"}
    values = {text: (report or {}).get(f"{name}_{part.lower()}") for name, text in formats.items()}
    if part == "Amplitude":
        values["scale {:.3f}"] = (report or {}).get("object_scale")
    return [text.format(value) for text, value in values.items() if value is not None]
