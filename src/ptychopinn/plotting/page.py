"""Panels placed on a page in inches, from its upper left corner."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ptychopinn.plotting.style import HEADLINE_PT, INK, MUTED, TEXT_PT


@dataclass(frozen=True)
class Page:
    """A white figure with its size."""

    figure: Figure
    width: float
    height: float

    @classmethod
    def blank(cls, width: float, height: float) -> "Page":
        """A figure with its own Agg canvas: no display, no global state."""
        figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasAgg(figure)
        return cls(figure, width, height)

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose upper left corner lies `left` and `top` inches inside the page."""
        bottom = self.height - top - height
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def headline(self, left: float, top: float, title: str, facts: str) -> None:
        """A title with a muted line of facts below it."""
        self.write(left, top, title, size=HEADLINE_PT, color=INK, weight="bold")
        self.note(left, top + 0.27, facts)

    def note(self, left: float, top: float, text: str, color: str = MUTED) -> None:
        """A muted line, or one of another colour."""
        self.write(left, top, text, size=TEXT_PT + 0.5, color=color)

    def write(self, left: float, top: float, text: str, *, size: float, color: str, weight: str = "normal") -> None:
        """Text whose upper left corner lies `left` and `top` inches inside the page."""
        x, y = left / self.width, 1 - top / self.height
        self.figure.text(x, y, text, fontsize=size, color=color, fontweight=weight, va="top", ha="left")
