"""`ptychopinn check`."""

import typer
from rich.table import Table

from ptychopinn.cli.console import print_json, results, say
from ptychopinn.cli.options import (
    AsJson,
    Config,
    Diffraction,
    Overrides,
    Probe,
    Scan,
    Verbose,
    recipe_options,
    with_parts,
)

WRONG_GEOMETRY = 3
"""Exit code where another reading of the scan is better, so that scripts can stop."""


@recipe_options
def check(
    scan: Scan,
    config: Config = None,
    probe: Probe = None,
    diffraction: Diffraction = None,
    as_json: AsJson = False,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Test axes, order, domain and units of a scan; print the options that correct them, and what else is wrong."""
    from ptychopinn.api.check import check as check_scan

    found = check_scan(with_parts(scan, probe, diffraction), config, overrides=overrides)
    if as_json:
        print_json(found.entry())
    else:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("geometry", "settings", "structure explained", "as good as the best"):
            table.add_column(title, overflow="fold")
        for trial in found.trials:
            explained = f"{100 * max(1 - trial.unexplained, 0):.0f} %"
            table.add_row(trial.name, "\n".join(trial.settings), explained, "yes" if trial.as_good else "")
        results.print(table, markup=False)
        if found.verdict == "right":
            results.print(f"\n{found.message}.", style="bold green", markup=False, highlight=False, soft_wrap=True)
        else:
            say("verdict", f"\n{found.message}.", "bold red")
        for sentence in found.problems:
            say("problem", f"problem: {sentence}")
    if found.verdict == "wrong":
        raise typer.Exit(WRONG_GEOMETRY)
