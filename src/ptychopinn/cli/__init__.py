"""The command line: one file per command. Torch is imported when a command runs, so that `--help` is quick."""

from ptychopinn.cli.app import app
from ptychopinn.cli.process import collect_seldom, start_no_plugins_of_pydantic, wait_without_work


def main() -> None:
    """Entry point of the command `ptychopinn`."""
    collect_seldom()
    wait_without_work()
    start_no_plugins_of_pydantic()
    app()


__all__ = ["app", "main"]
