"""How a command ends: its exit code, and one line about what went wrong."""

import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from ptychopinn.cli.console import output, say
from ptychopinn.errors import PtychoPINNError, RankError, one_line


def exit_code(work: Callable[[], Any], interrupted: Callable[[], str] = lambda: "Interrupted.") -> int:
    """Run a command: 0 when all went well, 2 with one line for bad input or a refusing machine, 130 after Ctrl-C.

    Args:
        work: does what the command does.
        interrupted: the sentence after Ctrl-C.
    """
    try:
        work()
    except PtychoPINNError as error:
        if not (output.silent and isinstance(error, RankError)):  # the first rank shows what all were refused for
            print_error(str(error))
        return 2
    except (MemoryError, OSError) as error:
        print_error(_environment_fault(error))
        return 2
    except KeyboardInterrupt:
        say("interrupted", interrupted())
        return 130
    return 0


def print_error(text: str) -> None:
    """Show an error on one line on stderr."""
    say("error", f"Error: {one_line(text)}", "bold red")


def _environment_fault(error: MemoryError | OSError) -> str:
    """What the machine refused: memory, a file, a device."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this scan; use fewer patterns (--set data.n_patterns=N)"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; check the file, its folder and the free space of the disk"


def program_fault(error: Exception) -> str:
    """A fault of this program; the traceback goes to a file."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="ptychopinn-", suffix=".log", delete=False) as log:
            log.write(text)
        where = f"the traceback is in {log.name}"
    except OSError:
        where = f"the traceback cannot be written; it ends with {text[-400:]}"
    return f"a fault of the program ({type(error).__name__}: {error}); {where}. Please report it with that file"
