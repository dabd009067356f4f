"""`ptychopinn doctor`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ptychopinn.cli.console import print_json, results
from ptychopinn.cli.options import AsJson
from ptychopinn.cli.summary import show_path

_SIGNS = {"good": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[bold red]BAD[/]"}


def doctor(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for the files of the self-test; by default a new one among the temporary files.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show versions, GPU, threads and write rights, and reconstruct a simulated scan as a test of some 10 s."""
    from ptychopinn.api.doctor import examine

    found = examine(output)
    if as_json:
        print_json(found.entry())
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for one in found.findings:
            table.add_row(_SIGNS[one.state], one.name, escape(one.text))
        results.print(table)
        show_path("figure", found.figure)
    if not found.is_good:
        raise typer.Exit(1)
