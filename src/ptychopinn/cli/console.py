"""Where text goes: results to stdout, all else to stderr, as text or as one JSON object a line."""

import json
import logging
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

results = Console()
errors = Console(stderr=True)
SAID_AT_THE_END = ("ptychopinn.collapse", "ptychopinn.verdict")
"""Loggers whose warnings are repeated by the last lines of a command, so that they are not shown twice."""


class Output:
    """What the options of a command ask for: how much is shown, and whether stderr holds JSON lines."""

    def __init__(self) -> None:
        self.verbose = False
        """Each step and its reason."""
        self.quiet = False
        """Warnings and errors only."""
        self.json_lines = False
        """Progress, warnings and errors as JSON, one object a line."""
        self.silent = False
        """Nothing but errors of this process alone: another process of the run shows the rest."""

    def reset(self) -> None:
        """Begin a command: nothing has been asked for."""
        self.verbose = self.quiet = self.json_lines = self.silent = False
        self.apply()

    def apply(self) -> None:
        """Show warnings of the package on stderr, and with `verbose` what it does; with `quiet` no results."""
        results.quiet = self.quiet or self.silent
        logger = logging.getLogger("ptychopinn")
        for old in [handler for handler in logger.handlers if isinstance(handler, RichHandler | _JsonLines)]:
            logger.removeHandler(old)
        level = logging.INFO if self.verbose else logging.WARNING
        if self.silent:
            level = logging.CRITICAL
        handler = _JsonLines(level) if self.json_lines else _text_lines(level, self.verbose)
        handler.addFilter(lambda record: record.name not in SAID_AT_THE_END)
        logger.addHandler(handler)
        if self.verbose:
            logger.setLevel(logging.INFO)


output = Output()
"""Of the command that runs."""


class _JsonLines(logging.Handler):
    """Writes log records to stderr as JSON, one object a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        print_event("log", level=record.levelname.lower(), text=record.getMessage())


def _text_lines(level: int, verbose: bool) -> logging.Handler:
    handler = RichHandler(level=level, console=errors, show_path=False, show_time=verbose, markup=False)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def set_verbosity(verbose: bool) -> bool:
    """Show warnings of the package on stderr, and with `verbose` what it does; returns its argument."""
    output.verbose = verbose
    output.apply()
    return verbose


def set_quiet(quiet: bool) -> bool:
    """Show warnings and errors only; returns its argument."""
    output.quiet = quiet
    output.apply()
    return quiet


def set_json_lines(wanted: bool) -> bool:
    """Write progress, warnings and errors as JSON; returns its argument."""
    output.json_lines = wanted
    output.apply()
    return wanted


def print_event(event: str, **facts: Any) -> None:
    """One JSON object on one line of stderr."""
    line = json.dumps({"event": event, **facts}, allow_nan=False, default=str)
    errors.print(line, markup=False, highlight=False, soft_wrap=True)


def say(event: str, text: str, style: str = "") -> None:
    """A sentence on stderr: an error, a warning, a verdict or a note; an event of that name where JSON is wanted."""
    if output.json_lines:
        print_event(event, text=text)
    else:
        errors.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def print_json(content: Any) -> None:
    """What a command has found, as JSON on stdout, whether or not other results are shown.

    Numbers that are not finite are written as null, since JSON has none.
    """
    was_quiet, results.quiet = results.quiet, False
    text = json.dumps(_finite(content), indent=2, default=_plain)
    results.print(text, markup=False, highlight=False, soft_wrap=True)
    results.quiet = was_quiet


def _finite(value: Any) -> Any:
    """The same with null in place of infinities and NaN."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python, anything else as text."""
    return _finite(value.tolist()) if hasattr(value, "tolist") else str(value)
