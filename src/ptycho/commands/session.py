"""How a command begins and ends, the same for all of them."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ptychopinn.cli.console import output
from ptychopinn.cli.ending import exit_code

if TYPE_CHECKING:
    from ptychopinn.cli.progress import ProgressDisplay
    from ptychopinn.data.reconstruction import Reconstruction


def command(work: Callable[[Sequence[str]], None]) -> Callable[..., int]:
    """An entry point of what a command does with words, by default those of the process; it returns the exit code."""

    @wraps(work)
    def main(argv: Sequence[str] | None = None) -> int:
        output.reset()
        return exit_code(lambda: work(sys.argv[1:] if argv is None else argv))

    return main


def progress(quiet: bool) -> "ProgressDisplay":
    """The display of the commands of `ptychopinn`, or one that shows nothing."""
    from ptychopinn.cli.progress import ProgressDisplay

    return ProgressDisplay(Console(stderr=True, quiet=True)) if quiet else ProgressDisplay()


def save_amplitude_and_phase(
    image: "Reconstruction", folder: Path, phase_limits: tuple[float, float] | None = None
) -> list[Path]:
    """Write `reconstructed_amplitude.png` and `reconstructed_phase.png` into a folder; the limits are in rad."""
    from ptychopinn.plotting import figure_map, save_figure

    limits = {"amplitude": None, "phase": phase_limits}
    return [
        save_figure(figure_map(image, name, limits=limits[name]), folder / f"reconstructed_{name}.png")
        for name in ("amplitude", "phase")
    ]
