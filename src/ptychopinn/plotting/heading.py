"""What stands above the panels of a reconstruction: file, method, date, and the verdict in a coloured band."""

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from ptychopinn.plotting.content import ReportContent
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.style import INK, TEXT_PT

if TYPE_CHECKING:
    from ptychopinn.metrics.verdict import Level

TOP, LINES = 0.3, 0.62
"""Inches above the title, and for title and facts together."""
BELOW = 0.55
"""Below the heading, for the titles of the first row."""
LINE, PAD = 0.185, 0.1
"""Height of a line of the verdict, and room above and below the lines, inches."""
LETTERS_PER_INCH = 14.5
"""Of the message; a line is broken before it leaves the band."""
LABEL_IN = 1.75
"""Width of the label of the verdict."""
COLOURS: "dict[Level, tuple[str, str]]" = {
    "fits": ("#2e7d4f", "white"),
    "fits in part": ("#f0b429", INK),
    "does not fit": ("#b3261e", "white"),
}
"""Ground and text of the band."""


@dataclass(frozen=True)
class Heading:
    """The lines above the panels, and how much room they take."""

    title: str
    facts: str
    level: "Level | None"
    lines: tuple[str, ...]
    """Of the message of the verdict."""

    @classmethod
    def of(cls, title: str, facts: str, content: ReportContent, width: float) -> "Heading":
        """Lines that fit a band of `width` inches."""
        known = [part for part in (content.method, content.date, facts) if part]
        letters = int((width - LABEL_IN - 2 * PAD) * LETTERS_PER_INCH)
        lines = tuple(textwrap.wrap(content.message, letters)) if content.level else ()
        return cls(title, "   ·   ".join(known), content.level, lines)

    @property
    def height(self) -> float:
        """Inches from the upper edge of the page to the first panel."""
        return TOP + LINES + self._band + BELOW - (0.27 if self.level is None else 0.0)

    @property
    def _band(self) -> float:
        return 0.0 if self.level is None else max(len(self.lines), 1) * LINE + 2 * PAD

    def draw(self, page: Page, left: float, width: float) -> None:
        """Write title, facts and verdict."""
        page.headline(left, TOP, self.title, self.facts)
        if self.level is None:
            return
        ground, ink = COLOURS[self.level]
        top = TOP + LINES
        page.figure.add_artist(
            Rectangle(
                (left / page.width, 1 - (top + self._band) / page.height),
                width / page.width,
                self._band / page.height,
                transform=page.figure.transFigure,
                facecolor=ground,
                linewidth=0,
                gid="verdict",
            )
        )
        page.write(left + PAD, top + PAD, self.level.upper(), size=TEXT_PT + 3, color=ink, weight="bold")
        page.write(left + LABEL_IN, top + PAD, "\n".join(self.lines), size=TEXT_PT + 0.5, color=ink)
