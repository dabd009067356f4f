"""`ptychopinn info`."""

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    AxisOrder,
    Config,
    Domain,
    FftShift,
    PositionOrigin,
    Scan,
    Set,
    collect_overrides,
)
from ptychopinn.cli.summary import new_table


def info(
    scan: Scan,
    config: Config = None,
    set_: Set = None,
    fftshift: FftShift = False,
    domain: Domain = None,
    axis_order: AxisOrder = None,
    position_origin: PositionOrigin = None,
) -> None:
    """Say what is in a scan: domain and why, counts, overlap, probe modes, problems."""
    from ptychopinn.api.info import info as describe
    from ptychopinn.api.scan_text import rows

    overrides = collect_overrides(
        set_, fftshift=fftshift, domain=domain, axis_order=axis_order, position_origin=position_origin
    )
    facts = describe(scan, config, overrides=overrides)
    table = new_table()
    for label, text in rows(facts):
        table.add_row(label, text)
    results.print(table, markup=False)
    if not facts.problems:
        results.print("\nNo problems found.")
    for sentence in facts.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)
