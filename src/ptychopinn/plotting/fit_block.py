"""The lower part of the figure: patterns, misfit over the scan, refinement curve, resolution, effect of a prior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from numpy.typing import NDArray

from ptychopinn.plotting.content import ReportContent
from ptychopinn.plotting.fit import draw_deviance, draw_misfit
from ptychopinn.plotting.frc import draw_halves
from ptychopinn.plotting.maps import draw_added, position_bounds
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.patterns import draw_patterns

SIDE, APART, DOWN = 1.75, 0.12, 0.2
"""Inches: side of a pattern, between patterns beside and below each other."""
LABELS, BAR = 0.3, 1.0
"""Left of the patterns, and right of them for the colour bars."""
CURVE, LEAST_CURVE, RULE = 2.5, 1.6, 0.95
"""Height of a curve where no patterns stand beside it, its least height, and the room between rows of panels."""
TALLEST_CURVE = 3.0
AXIS, RIGHT, MAP_BAR = 0.6, 0.5, 0.9
"""Left of a panel for its axis, right of a curve, right of the map for its colour bar."""
FOOT = 0.3
"""Below the lowest panel."""
FLAT = 0.45
"""Height over width of a scan below which curves stand below its map, else beside it."""
MAP_PART = 0.5
"""Largest part of the width for the map where curves stand beside it."""

Draw = Callable[[Axes], object]


@dataclass(frozen=True)
class _Area:
    """A rectangle of the page, inches."""

    left: float
    top: float
    width: float
    height: float

    def split(self, aspect: float, has_curves: bool) -> tuple["_Area", "_Area"]:
        """Room for a map of this aspect (height over width), and for curves beside it or below it."""
        if not has_curves:
            return self, self
        if aspect > FLAT:
            wide = min(self.height / aspect + AXIS + MAP_BAR, MAP_PART * self.width)
            return replace(self, width=wide), replace(self, left=self.left + wide, width=self.width - wide)
        high = min((self.width - AXIS - MAP_BAR) * aspect, self.height - RULE - LEAST_CURVE)
        below = high + RULE
        return replace(self, height=high), replace(self, top=self.top + below, height=self.height - below)

    def draw(self, page: Page, curves: Sequence[Draw]) -> None:
        """Curves side by side where the rectangle is wide, else below each other."""
        columns = len(curves) if self.width > self.height else 1
        rows = -(-len(curves) // max(columns, 1))
        wide = self.width / max(columns, 1)
        high = min((self.height - RULE * (rows - 1)) / max(rows, 1), TALLEST_CURVE)
        for number, draw in enumerate(curves):
            row, column = divmod(number, columns)
            left, top = self.left + column * wide + AXIS, self.top + row * (high + RULE)
            draw(page.panel(left, top, wide - AXIS - RIGHT, high))


@dataclass(frozen=True)
class FitBlock:
    """The lower panels, on a given width (inches)."""

    content: ReportContent
    width: float

    @property
    def height(self) -> float:
        """Inches; 0 where there is nothing to show."""
        if self.content.patterns:
            return 3 * SIDE + 2 * DOWN + FOOT
        return CURVE + FOOT if self.content.ratio is not None or self._curves(None) else 0.0

    def draw(
        self, page: Page, corner: tuple[float, float], positions_px: NDArray[Any], pixel_size_m: float | None
    ) -> None:
        """Draw all panels that have a content; the others leave no gap.

        Args:
            page: To draw on.
            corner: Left and top of the block, inches.
            positions_px: (N, 2), (y, x), of the ratios.
            pixel_size_m: Object pixel, where known.
        """
        left, top = corner
        used = self._draw_patterns(page, left, top)
        area = _Area(left + used, top, self.width - used, self.height - FOOT)
        curves = self._curves(pixel_size_m)
        ratio, marked = self.content.ratio, self.content.patterns
        if ratio is None:
            area.draw(page, curves)
            return
        rows, columns = position_bounds(positions_px)
        of_map, rest = area.split((rows[1] - rows[0]) / (columns[1] - columns[0]), bool(curves))
        ax = page.panel(of_map.left + AXIS, of_map.top, of_map.width - AXIS - MAP_BAR, of_map.height)
        draw_misfit(ax, positions_px, ratio, marked=marked, pixel_size_m=pixel_size_m)
        rest.draw(page, curves)

    def _curves(self, pixel_size_m: float | None) -> list[Draw]:
        content = self.content
        drawn: list[Draw] = []
        if len(content.deviance):
            drawn.append(lambda ax: draw_deviance(ax, content.deviance))
        if content.resolution:
            drawn.append(lambda ax: draw_halves(ax, content.resolution, pixel_size_m=pixel_size_m))
        added = content.added
        if added is not None:
            drawn.append(lambda ax: draw_added(ax, added, pixel_size_m=pixel_size_m))
        return drawn

    def _draw_patterns(self, page: Page, left: float, top: float) -> float:
        """The patterns in three rows; the width that they take, inches."""
        patterns = self.content.patterns
        if not patterns:
            return 0.0
        panels = [
            [
                page.panel(left + LABELS + column * (SIDE + APART), top + row * (SIDE + DOWN), SIDE, SIDE)
                for column in range(len(patterns))
            ]
            for row in range(3)
        ]
        draw_patterns(panels, patterns)
        return LABELS + len(patterns) * (SIDE + APART) + BAR
