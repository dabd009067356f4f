"""`ptychopinn info`."""

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Config, Overrides, Scan, recipe_options
from ptychopinn.cli.summary import new_table


@recipe_options
def info(
    scan: Scan,
    config: Config = None,
    overrides: Overrides = (),
) -> None:
    """Say what is in a scan: domain and why, counts, overlap, probe modes, problems."""
    from ptychopinn.api.info import info as describe
    from ptychopinn.api.scan_info import rows

    facts = describe(scan, config, overrides=overrides)
    table = new_table()
    for label, text in rows(facts):
        table.add_row(label, text)
    results.print(table, markup=False)
    if not facts.problems:
        results.print("\nNo problems found.")
    for sentence in facts.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)
