"""`ptychopinn simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Config, Set, Verbose
from ptychopinn.cli.summary import show_path


def simulate(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The NPZ file to write.", show_default=False),
    ],
    config: Config = None,
    set_: Set = None,
    verbose: Verbose = False,
) -> None:
    """Simulate a scan of a known object with the built-in simulator."""
    from ptychopinn.api.simulate import simulate as make_scan

    made = make_scan(output, config, overrides=set_ or [])
    size = made.scan.pattern_size
    results.print(f"simulated {len(made.scan)} patterns of {size} x {size} px", highlight=False)
    show_path("scan", made.path)
