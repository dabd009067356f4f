"""The commands and groups of the command line: how their help looks, and how their errors end."""

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ptychopinn.cli.ending import exit_code, print_error, program_fault


class Command(TyperCommand):
    """A command whose help has one section for each group of options, and that checks the environment first."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the first line of the help: `SCAN...`, where some releases of Typer write `{SCAN...}...`."""
        pieces = [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]
        return [piece.replace("......", "...").replace("[[", "[").replace("]]", "]") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        _write_parameters(self, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        from ptychopinn.config.backend import requested_backend

        requested_backend()  # a wrong name in the environment is refused by every command
        return super().invoke(ctx)


class Group(TyperGroup):
    """A group that shows its help, with the whole first sentence of each command, if no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit()
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, and then the commands."""
        _write_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line for each command."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, " ".join((command.help or "").split("\n\n")[0].split())))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Commands(Group):
    """All commands. Our own errors end with one line and exit code 2, faults of the program with 1, Ctrl-C with 130."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; what nobody expected ends in one line, with its traceback in a file."""
        try:
            return super().main(*args, **kwargs)
        except Exception as error:
            print_error(program_fault(error))
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        run: Callable[[Any], Any] = super().invoke
        code = exit_code(lambda: run(ctx), lambda: _interrupted(ctx.invoked_subcommand))
        if code:
            raise typer.Exit(code)


def _write_parameters(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """One section for the arguments, one for each group of options that has a name, and one for all others."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            if parameter.param_type_name == "argument":
                record = record[0].partition(" <")[0], record[1]  # without the type, as in SCAN <path>
            title = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections.setdefault(getattr(parameter, "rich_help_panel", None) or title, []).append(record)
    for title, rows in sections.items():
        with formatter.section(title):
            formatter.write_dl(rows)


def _interrupted(command: str | None) -> str:
    if command == "train":
        return "Interrupted: give the same command with --resume to go on from the last finished epoch."
    if command in ("run", "reconstruct"):
        return "Interrupted: give the same command with --resume to go on from the last finished iteration or epoch."
    if command in ("study", "train-prior", "campaign"):
        return "Interrupted: give the same command again; what has finished is not run again."
    return "Interrupted."
