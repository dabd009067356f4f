"""How a command begins and ends, the same for all of them."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from ptychopinn.cli.console import errors, set_verbosity
from ptychopinn.errors import PtychoPINNError

if TYPE_CHECKING:
    from ptychopinn.cli.progress import ProgressDisplay


def finish(work: Callable[[Sequence[str]], None], argv: Sequence[str] | None) -> int:
    """Run a command: 0 when all went well, 2 with one sentence for bad input, 130 after Ctrl-C.

    Args:
        work: takes the words of the command line.
        argv: the words; those of the process by default.
    """
    set_verbosity(False)
    try:
        work(sys.argv[1:] if argv is None else argv)
    except PtychoPINNError as error:
        errors.print(f"Error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        errors.print("Interrupted.", highlight=False)
        return 130
    return 0


def progress(quiet: bool) -> "ProgressDisplay":
    """The display of `ptychopinn`'s own verbs, or one that shows nothing."""
    from ptychopinn.cli.progress import ProgressDisplay

    return ProgressDisplay(Console(stderr=True, quiet=True)) if quiet else ProgressDisplay()
