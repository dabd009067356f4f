"""Write the table of a benchmark to a file, with its date, revision, command and hardware.

The files in `benchmarks/results/` are included in the documents by `docs/include_results.py`; nobody copies a figure.
"""

import shlex
import subprocess
import sys
from argparse import ArgumentParser
from datetime import date
from pathlib import Path

from ptychopinn.data.io import write_text_atomically
from ptychopinn.studies.environment import environment, hardware_line

ROOT = Path(__file__).resolve().parents[1]


def add_results_option(parser: ArgumentParser) -> None:
    """Add `--results FILE` to a benchmark's command line."""
    parser.add_argument("--results", type=Path, metavar="FILE", help="also write the table there, as Markdown")


def record(path: Path, body: str, note: str = "", device: str = "cpu") -> Path:
    """Write a table, below the lines that state how it was measured.

    Args:
        path: the Markdown file; its folder is made where it is missing.
        body: the table.
        note: what a reader must know about the columns.
        device: where it was measured, as in `training.device`.

    Returns:
        The path.
    """
    command = shlex.join(["python", *(_without_folder(word) for word in sys.argv)])
    head = f"Measured on {date.today()} at revision {revision()} on {hardware_line(environment(device))}.\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [head, f"Command: `{command}`.\n", f"{note}\n" if note else "", f"\n{body.strip()}\n"]
    return write_text_atomically(path, "".join(lines))


def revision() -> str:
    """The commit of the sources, with `+` where they have been changed since; `unknown` outside a clone."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def _without_folder(word: str) -> str:
    """The last part of an absolute path; other words as they are."""
    return Path(word).name if Path(word).is_absolute() else word
