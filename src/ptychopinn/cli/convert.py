"""`ptychopinn convert`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ptychopinn.cli.options import Overrides, Verbose, reading_options
from ptychopinn.cli.summary import show_path


@reading_options
def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A scan or reconstruction in any format that is read.", show_default=False),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The new file: .npz, .cxi, .h5 or .hdf5.", show_default=False)
    ],
    content: Annotated[
        Literal["auto", "scan", "reconstruction"],
        typer.Option("--as", help="What IN is taken for: auto means a scan if it holds patterns."),
    ] = "auto",
    diffraction: Annotated[
        Path | None,
        typer.Option("--diffraction", metavar="FILE", help="HDF5 file with the patterns.", show_default=False),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option("--probe", metavar="FILE", help="File whose probe the scan shall have.", show_default=False),
    ] = None,
    propagation: Annotated[
        Literal["auto", "far_field", "near_field"],
        typer.Option("--propagation", help="What the patterns are; models refuse the near field."),
    ] = "auto",
    overrides: Overrides = (),
    verbose: Verbose = False,
) -> None:
    """Write a scan or a reconstruction in another format, by the extension of OUT."""
    from ptychopinn.api.convert import convert as write_as

    written = write_as(
        source,
        target,
        content=content,
        diffraction=diffraction,
        probe=probe,
        propagation=propagation,
        overrides=overrides,
    )
    show_path(written.content, written.path)
