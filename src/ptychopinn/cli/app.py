"""The verbs together, and how their errors end."""

import sys
import tempfile
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ptychopinn import __version__
from ptychopinn.cli.console import errors
from ptychopinn.cli.convert import convert
from ptychopinn.cli.evaluate import evaluate
from ptychopinn.cli.info import info
from ptychopinn.cli.reconstruct import reconstruct
from ptychopinn.cli.run import run
from ptychopinn.cli.simulate import simulate
from ptychopinn.cli.study import study
from ptychopinn.cli.train import train
from ptychopinn.errors import PtychoPINNError

HELP = """Ptychography by physics-informed networks: a scan goes in, a quantitative image comes out.

Start with `ptychopinn info scan.npz`, then `ptychopinn run scan.npz -o out/`.
No scan at hand? `ptychopinn simulate -o scan.npz` makes one."""


class Verbs(TyperGroup):
    """Our own errors end with one line and exit code 2, faults of the program with 1, Ctrl-C with 130."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; what nobody expected ends in one line, with its traceback in a file."""
        try:
            return super().main(*args, **kwargs)
        except Exception as error:
            _print_error(f"Error: {one_line(_program_fault(error))}")
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except PtychoPINNError as error:
            _print_error(f"Error: {one_line(str(error))}")
            raise typer.Exit(2) from None
        except (MemoryError, OSError) as error:
            _print_error(f"Error: {one_line(_environment_fault(error))}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            errors.print(_interrupted(ctx.invoked_subcommand), highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None


LONGEST_MESSAGE = 1000
"""Characters of an error that are shown; text from a file can be of any length."""


def one_line(text: str) -> str:
    """Text on one line, without control characters, of limited length.

    >>> one_line("first\\nsecond \\x1b[2J")
    'first second [2J'
    """
    plain = " ".join("".join(c if c.isprintable() else " " if c.isspace() else "" for c in text).split())
    return plain if len(plain) <= LONGEST_MESSAGE else f"{plain[: LONGEST_MESSAGE - 4]} ..."


def _print_error(text: str) -> None:
    errors.print(text, style="bold red", markup=False, highlight=False, soft_wrap=True)


def _environment_fault(error: MemoryError | OSError) -> str:
    """What the machine refused: memory, a file, a device."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this scan; use fewer patterns (--set data.n_patterns=N)"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; check the file, its folder and the free space of the disk"


def _program_fault(error: Exception) -> str:
    """A fault of this program; the traceback goes to a file."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="ptychopinn-", suffix=".log", delete=False) as log:
            log.write(text)
        where = f"the traceback is in {log.name}"
    except OSError:
        where = f"the traceback cannot be written; it ends with {text[-400:]}"
    return f"a fault of the program ({type(error).__name__}: {error}); {where}. Please report it with that file"


def _interrupted(verb: str | None) -> str:
    if verb in ("run", "train"):
        return "Interrupted: give the same command with --resume to go on from the last finished epoch."
    if verb == "study":
        return "Interrupted: give the same command again; what has finished is not run again."
    return "Interrupted."


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ptychopinn {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="ptychopinn",
    cls=Verbs,
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


for _verb, _example in (
    (info, "ptychopinn info scan.npz"),
    (run, "ptychopinn run scan.npz -o out/"),
    (train, "ptychopinn train scan.npz -o out/ --set training.epochs=40"),
    (reconstruct, "ptychopinn reconstruct scan.npz --model out/wts.h5.zip -o recon/"),
    (evaluate, "ptychopinn evaluate recon/reconstruction.npz --reference scan.npz"),
    (convert, "ptychopinn convert scan.cxi scan.npz"),
    (simulate, "ptychopinn simulate -o scan.npz --set simulation.photons_per_pattern=1e6"),
):
    app.command(epilog=f"Example: `{_example}`")(_verb)
app.add_typer(study)
