"""Where text goes: results to stdout, all else to stderr."""

import logging

from rich.console import Console
from rich.logging import RichHandler

results = Console()
errors = Console(stderr=True)
SAID_AT_THE_END = ("ptychopinn.collapse", "ptychopinn.verdict")
"""Loggers whose warnings are repeated by the last lines of a command, so that they are not shown twice."""


def set_verbosity(verbose: bool) -> bool:
    """Show warnings of the package on stderr, and with `verbose` what it does; returns its argument."""
    logger = logging.getLogger("ptychopinn")
    for old in [handler for handler in logger.handlers if isinstance(handler, RichHandler)]:
        logger.removeHandler(old)
    handler = RichHandler(
        level=logging.INFO if verbose else logging.WARNING,
        console=errors,
        show_path=False,
        show_time=verbose,
        markup=False,
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(lambda record: record.name not in SAID_AT_THE_END)
    logger.addHandler(handler)
    if verbose:
        logger.setLevel(logging.INFO)
    return verbose
