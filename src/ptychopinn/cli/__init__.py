"""The command line: one file per command. Torch is imported when a command runs, so that `--help` is quick."""

from ptychopinn.cli.app import app


def main() -> None:
    """Entry point of the command `ptychopinn`."""
    app()


__all__ = ["app", "main"]
