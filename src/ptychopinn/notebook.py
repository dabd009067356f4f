"""What a value shows of itself: a short text at a prompt, its figure in a notebook."""

import base64
import html
import pkgutil
from abc import ABC, abstractmethod
from io import BytesIO
from typing import Any

NOTEBOOK_DPI = 80
"""Of the figure in a notebook: about 1,200 px wide and some 300 kB; at 160 four times as many bytes."""

FIGURES: dict[str, str] = {}
"""Name of a type -> `module:function` that makes its figure, for types that stand below `plotting`. `ptychopinn` fills
it, so that no layer imports one above it; the module is imported when a figure is asked for."""


class Shown(ABC):
    """A value with a short `repr`, a figure, and both in a notebook.

    >>> class Answer(Shown):
    ...     def summary(self) -> str:
    ...         return "Answer < 42"
    >>> Answer()
    Answer < 42
    """

    @abstractmethod
    def summary(self) -> str:
        """One or a few lines: shapes, units, what matters first."""

    def plot(self) -> Any:
        """The figure of the value, a `matplotlib.figure.Figure`, which opens no window.

        `figure.savefig("figure.png")` writes it. In a notebook the value itself shows it.
        """
        for kind in type(self).__mro__:
            if kind.__name__ in FIGURES:
                return pkgutil.resolve_name(FIGURES[kind.__name__])(self)
        raise TypeError(f"{type(self).__name__} has no figure: it must define plot(), or have an entry in FIGURES")

    def __repr__(self) -> str:
        try:
            return self.summary()
        except Exception as error:  # values that nobody checked; a debugger must still show them
            return f"<{type(self).__name__} that cannot be described: {error}>"

    def _repr_html_(self) -> str:
        """The text, and the figure as a PNG within the page."""
        text, name = html.escape(repr(self)), html.escape(type(self).__name__, quote=True)
        written = BytesIO()
        self.plot().savefig(written, format="png", dpi=NOTEBOOK_DPI)
        data = base64.b64encode(written.getvalue()).decode("ascii")
        return (
            f'<pre style="white-space: pre-wrap">{text}</pre>\n'
            f'<img alt="Figure of the {name}" style="max-width: 100%" src="data:image/png;base64,{data}">'
        )
