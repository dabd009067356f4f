"""`ptychopinn export`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Quiet, Verbose
from ptychopinn.cli.summary import show_path


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A trained model: its .zip or its folder.", show_default=False)
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The new file, which ends in .onnx.", show_default=False)
    ],
    int8: Annotated[
        Path | None,
        typer.Option(
            "--int8",
            metavar="SCAN",
            help="Compute the convolutions in 8 bits. SCAN, a scan like those of the training, shows the range of the "
            "values. Prints how much faster and how much less exact the file is.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write the network of a model as ONNX, for programs without PyTorch; needs the extra onnx.

    The network that `run` trains by default, unrolled, is refused, since it solves for a whole scan at once. That of
    `train`, and of `--config cnn`, can be written.
    """
    from ptychopinn.api.export import export as write

    made = write(model, target, int8=int8)
    show_path("network", made.path)
    results.print(f"difference from PyTorch: {made.difference:.1g} of the largest patch value")
    if made.int8 is not None:
        results.print(
            f"in 8 bits: patches change by {made.int8.difference:.1%} (rms), "
            f"{made.int8.speed:.1f} times as fast as float32 on this CPU"
        )
