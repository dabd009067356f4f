"""The commands together, and how their errors end."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ptychopinn.cli.campaign import campaign
from ptychopinn.cli.check import check
from ptychopinn.cli.console import set_verbosity
from ptychopinn.cli.convert import convert
from ptychopinn.cli.ending import exit_code, print_error, program_fault
from ptychopinn.cli.evaluate import evaluate
from ptychopinn.cli.info import info
from ptychopinn.cli.reconstruct import reconstruct
from ptychopinn.cli.run import run
from ptychopinn.cli.simulate import simulate
from ptychopinn.cli.study import study
from ptychopinn.cli.train import train
from ptychopinn.cli.train_prior import train_prior
from ptychopinn.cli.watch import watch
from ptychopinn.config.backend import requested_backend

HELP = """Reconstruct ptychographic scans by an iterative solver and by physics-informed networks.

Start with `ptychopinn info scan.npz`, then `ptychopinn run scan.npz -o out/`.
No scan at hand? `ptychopinn simulate -o scan.npz` makes one."""


class Commands(TyperGroup):
    """Our own errors end with one line and exit code 2, faults of the program with 1, Ctrl-C with 130."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; what nobody expected ends in one line, with its traceback in a file."""
        try:
            return super().main(*args, **kwargs)
        except Exception as error:
            print_error(program_fault(error))
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        run = super().invoke

        def work() -> None:
            requested_backend()  # a wrong name in the environment is refused by every command
            run(ctx)

        code = exit_code(work, lambda: _interrupted(ctx.invoked_subcommand))
        if code:
            raise typer.Exit(code)


def _interrupted(command: str | None) -> str:
    if command == "train":
        return "Interrupted: give the same command with --resume to go on from the last finished epoch."
    if command in ("run", "reconstruct"):
        return "Interrupted: give the same command with --resume to go on from the last finished iteration or epoch."
    if command in ("study", "train-prior", "campaign"):
        return "Interrupted: give the same command again; what has finished is not run again."
    return "Interrupted."


def _show_version(wanted: bool) -> None:
    if wanted:
        from ptychopinn import __version__

        typer.echo(f"ptychopinn {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="ptychopinn",
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
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
    set_verbosity(False)  # warnings look the same in every command, also in those without --verbose


for _verb, _example in (
    (info, "ptychopinn info scan.npz"),
    (check, "ptychopinn check scan.npz"),
    (run, "ptychopinn run scan.npz -o out/"),
    (train, "ptychopinn train scan.npz -o out/ --set training.epochs=40"),
    (reconstruct, "ptychopinn reconstruct scan.npz --model out/wts.h5.zip -o recon/"),
    (campaign, "ptychopinn campaign scans/ -o campaign/ --workers 2"),
    (watch, "ptychopinn watch pieces/ --model out/wts.h5.zip -o live/"),
    (evaluate, "ptychopinn evaluate recon/reconstruction.npz --reference scan.npz"),
    (convert, "ptychopinn convert scan.cxi scan.npz"),
    (simulate, "ptychopinn simulate -o scan.npz --set simulation.photons_per_pattern=1e6"),
):
    app.command(epilog=f"Example: `{_example}`")(_verb)
app.command(name="train-prior", epilog="Example: `ptychopinn train-prior -o prior/`")(train_prior)
app.add_typer(study)
