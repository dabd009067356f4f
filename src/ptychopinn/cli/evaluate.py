"""`ptychopinn evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.options import Overrides, Verbose, reading_options
from ptychopinn.cli.summary import show_metrics, show_path
from ptychopinn.errors import ConfigError


@reading_options
def evaluate(
    reconstruction: Annotated[
        Path,
        typer.Argument(metavar="RECONSTRUCTION", help="reconstruction.npz, or its folder.", show_default=False),
    ],
    reference: Annotated[
        Path,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="A scan with objectGuess, or another reconstruction.npz.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for metrics.json and evaluation.png.",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="y0,y1,x0,x1",
            help="Score rows y0..y1-1 and columns x0..x1-1 of the object frame; by default what was scanned.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Compare a reconstruction with a reference, after removing what phase retrieval cannot know."""
    from ptychopinn.api.evaluate import evaluate as compare

    box = None if region is None else parse_region(region)
    result = compare(reconstruction, reference, output, region=box, overrides=overrides)
    show_metrics({"reference": result.report})
    show_path("picture", result.paths.get("picture"))


def parse_region(text: str) -> tuple[int, int, int, int]:
    """First and last row, first and last column, the last ones not included.

    Raises:
        ConfigError: not four whole numbers, or nothing between them.

    >>> parse_region("36,203, 40,200")
    (36, 203, 40, 200)
    """
    try:
        y0, y1, x0, x1 = (int(part) for part in text.split(","))
    except ValueError:
        y0 = y1 = x0 = x1 = 0
    if not (y0 < y1 and x0 < x1):
        raise ConfigError(f"--region {text!r}: the rule is y0,y1,x0,x1 with y0 < y1 and x0 < x1, as in 36,203,36,203")
    return y0, y1, x0, x1
