"""`ptychopinn info`."""

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Config, Diffraction, Overrides, Probe, Scan, recipe_options, with_parts
from ptychopinn.cli.summary import new_table


@recipe_options
def info(
    scan: Scan,
    config: Config = None,
    probe: Probe = None,
    diffraction: Diffraction = None,
    overrides: Overrides = (),
) -> None:
    """Say what is in a scan: domain and why, counts, overlap, probe modes, problems."""
    from ptychopinn.api.info import info as describe
    from ptychopinn.api.scan_info import rows

    facts = describe(with_parts(scan, probe, diffraction), config, overrides=overrides)
    table = new_table()
    for label, text in rows(facts):
        table.add_row(label, text)
    results.print(table, markup=False)
    if not facts.problems:
        results.print("\nNo problems found.")
    for sentence in facts.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)
