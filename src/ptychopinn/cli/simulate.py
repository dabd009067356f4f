"""`ptychopinn simulate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import (
    Config,
    Quiet,
    Set,
    Verbose,
)
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.api.simulate import Simulated


def simulate(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The NPZ file to write; with --number or --vary the folder.",
            show_default=False,
        ),
    ],
    config: Config = None,
    set_: Set = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            "-n",
            min=1,
            metavar="N",
            help="Simulate N experiments, whose seeds count up, into a folder.",
            show_default=False,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="KEY=[A,B]",
            help="A setting of the simulation that changes from experiment to experiment; may be repeated.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scan of a known object with the built-in simulator, or several."""
    from ptychopinn.api.simulate import simulate as make_scan
    from ptychopinn.api.simulate import simulate_multiple

    overrides = set_ or []
    if number is None and not vary:
        _show(make_scan(output, config, overrides=overrides))
        return
    varied = dict(_values(item) for item in vary or [])
    count = number or max(len(values) for values in varied.values())
    for made in simulate_multiple(count, output, config, overrides=overrides, vary=varied):
        _show(made)


def _show(made: "Simulated") -> None:
    size = made.scan.pattern_size
    results.print(f"simulated {len(made.scan)} patterns of {size} x {size} px", highlight=False)
    show_path("scan", made.path)


def _values(item: str) -> tuple[str, list[Any]]:
    """Name and values of `--vary NAME=[A,B]`, read as YAML.

    Raises:
        ConfigError: no list.
    """
    import yaml

    name, _, text = item.partition("=")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, list) or not values or not name:
        raise ConfigError(f"--vary {item}: must be KEY=[A,B], as in probe_kind=[disk,gaussian]")
    return name, values
