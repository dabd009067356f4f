"""The command line: one file per command. Torch is imported when a command runs, so that `--help` is quick."""

from ptychopinn.cli.app import app
from ptychopinn.cli.process import start_no_plugins_of_pydantic, wait_without_work


def main() -> None:
    """Entry point of the command `ptychopinn`."""
    wait_without_work()
    start_no_plugins_of_pydantic()
    app()


__all__ = ["app", "main"]
