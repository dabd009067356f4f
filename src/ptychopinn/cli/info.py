"""`ptychopinn info`."""

from collections.abc import Iterable
from dataclasses import asdict

from rich.markup import escape

from ptychopinn.cli.console import print_json, results
from ptychopinn.cli.options import AsJson, Config, Diffraction, Overrides, Probe, Scan, recipe_options, with_parts
from ptychopinn.cli.summary import new_table
from ptychopinn.errors import ConfigError


@recipe_options
def info(
    scan: Scan,
    config: Config = None,
    probe: Probe = None,
    diffraction: Diffraction = None,
    as_json: AsJson = False,
    overrides: Overrides = (),
) -> None:
    """Say what is in a scan (domain and why, counts, overlap, probe modes, problems), a trained model or a prior."""
    from ptychopinn.api.prior_info import is_prior, prior_entry, prior_rows
    from ptychopinn.bundle import holds_model

    is_scan = not (is_prior(scan) or holds_model(scan))
    if not is_scan and (config is not None or probe is not None or diffraction is not None or overrides):
        raise ConfigError(f"{scan}: is no scan, but options say how one is read; leave them out")
    if is_prior(scan):
        print_json(prior_entry(scan)) if as_json else _show(prior_rows(scan))
        return
    if not is_scan:
        from ptychopinn.api.model_info import model_info
        from ptychopinn.api.model_info import rows as model_rows

        model = model_info(scan)
        print_json({"content": "model", **asdict(model)}) if as_json else _show(model_rows(model))
        return
    from ptychopinn.api.info import info as describe
    from ptychopinn.api.scan_info import rows

    facts = describe(with_parts(scan, probe, diffraction), config, overrides=overrides)
    if as_json:
        print_json(facts.entry())
        return
    _show(rows(facts))
    if not facts.problems:
        results.print("\nNo problems found.")
    for sentence in facts.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)


def _show(rows: Iterable[tuple[str, str]]) -> None:
    table = new_table()
    for label, text in rows:
        table.add_row(escape(label), escape(text))
    results.print(table)
