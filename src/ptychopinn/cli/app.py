"""The commands together."""

from typing import Annotated

import typer

from ptychopinn.cli.campaign import campaign
from ptychopinn.cli.check import check
from ptychopinn.cli.commands import Command, Commands
from ptychopinn.cli.console import output
from ptychopinn.cli.convert import convert
from ptychopinn.cli.doctor import doctor
from ptychopinn.cli.evaluate import evaluate
from ptychopinn.cli.export import export
from ptychopinn.cli.info import info
from ptychopinn.cli.init import init
from ptychopinn.cli.recipe import recipe
from ptychopinn.cli.reconstruct import reconstruct
from ptychopinn.cli.run import run
from ptychopinn.cli.simulate import simulate
from ptychopinn.cli.study import study
from ptychopinn.cli.train import train
from ptychopinn.cli.train_prior import train_prior
from ptychopinn.cli.view import view
from ptychopinn.cli.watch import watch

HELP = """Reconstruct ptychographic scans by an iterative solver and by physics-informed networks.

Start with: ptychopinn info scan.npz, then: ptychopinn run scan.npz -o out/

No scan at hand? ptychopinn simulate -o scan.npz makes one."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from ptychopinn import __version__

        typer.echo(f"ptychopinn {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="ptychopinn",
    cls=Commands,
    help=HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options of the command itself."""
    output.reset()  # warnings look the same in every command, also in those without --verbose


for _command, _example in (
    (doctor, "ptychopinn doctor -o doctor/"),
    (init, "ptychopinn init my_sample/"),
    (recipe, "ptychopinn recipe few_photons -o recipe.yaml"),
    (info, "ptychopinn info scan.npz"),
    (check, "ptychopinn check scan.npz"),
    (run, "ptychopinn run scan.npz -o out/"),
    (train, "ptychopinn train scan.npz -o out/ --set training.epochs=40"),
    (reconstruct, "ptychopinn reconstruct scan.npz -o recon/"),
    (campaign, "ptychopinn campaign scans/ -o campaign/ --workers 2"),
    (watch, "ptychopinn watch pieces/ --model out/wts.h5.zip -o live/"),
    (view, "ptychopinn view out/"),
    (evaluate, "ptychopinn evaluate recon/reconstruction.npz --reference scan.npz"),
    (convert, "ptychopinn convert scan.cxi scan.npz"),
    (export, "ptychopinn export trained/wts.h5.zip network.onnx"),
    (simulate, "ptychopinn simulate -o scan.npz --set simulation.photons_per_pattern=1e6"),
):
    app.command(cls=Command, epilog=f"Example: {_example}")(_command)
app.command(cls=Command, name="train-prior", epilog="Example: ptychopinn train-prior -o prior/")(train_prior)
app.add_typer(study)
