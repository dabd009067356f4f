"""`ptychopinn convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ptychopinn.cli.options import (
    Overrides,
    Quiet,
    Verbose,
    reading_options,
)
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.api.array_files import ArrayFiles


def _building(name: str, metavar: str, text: str) -> Any:
    """An option about a scan that is built from arrays."""
    return typer.Option(
        name, metavar=metavar, help=text, show_default=False, rich_help_panel="A scan from patterns and positions"
    )


_PATTERNS = "The patterns of a scan"


def _arranging(name: str, metavar: str, text: str) -> Any:
    """An option about the patterns of a scan."""
    return typer.Option(name, metavar=metavar, help=text, show_default=False, rich_help_panel=_PATTERNS)


@reading_options
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A scan or reconstruction in any format that is read, or a model.", show_default=False
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The new file: .npz, .cxi, .h5 or .hdf5; .tif or .png for the maps of an image; .zip for a model.",
            show_default=False,
        ),
    ],
    content: Annotated[
        Literal["auto", "scan", "reconstruction", "model"],
        typer.Option(
            "--as", help="What IN is taken for: auto means a model if it is one, a scan if it holds patterns."
        ),
    ] = "auto",
    to: Annotated[
        Literal["pytorch", "tensorflow", "both"] | None,
        typer.Option("--to", help="Backend whose weights a model is written with.", show_default=False),
    ] = None,
    diffraction: Annotated[
        Path | None,
        typer.Option("--diffraction", metavar="FILE", help="HDF5 file with the patterns.", show_default=False),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option("--probe", metavar="FILE", help="File whose probe the scan shall have.", show_default=False),
    ] = None,
    positions: Annotated[
        Path | None,
        _building(
            "--positions",
            "FILE",
            "CSV with columns x and y (as x_um,y_um), or NPY; IN is then NPY, TIFF, or a folder or list of frames.",
        ),
    ] = None,
    energy_kev: Annotated[float | None, _building("--energy-kev", "KEV", "Photon energy.")] = None,
    to_detector_m: Annotated[float | None, _building("--distance-m", "M", "From the sample to the detector.")] = None,
    detector_pixel_um: Annotated[
        float | None, _building("--detector-pixel-um", "UM", "Side of a detector pixel.")
    ] = None,
    propagation: Annotated[
        Literal["auto", "far_field", "near_field"],
        typer.Option("--propagation", help="What the patterns are; models refuse the near field."),
    ] = "auto",
    rename: Annotated[
        list[str] | None,
        _arranging("--rename", "OLD=NEW", "Read an array of an NPZ file under another name; may be repeated."),
    ] = None,
    shuffle: Annotated[int | None, _arranging("--shuffle", "SEED", "Put the patterns in a random order.")] = None,
    split: Annotated[
        float | None,
        _arranging("--split", "FRACTION", "Write two scans, OUT_train with this part of the patterns, and OUT_test."),
    ] = None,
    split_by: Annotated[
        Literal["y", "x", "random", "order"] | None,
        typer.Option(
            "--split-by",
            help="With --split, where it is cut: at a row (the default), at a column, at random, in time.",
            rich_help_panel=_PATTERNS,
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a scan or a reconstruction in another format, by the extension of OUT, or a model for another backend."""
    from ptychopinn.api.convert import Rearrange
    from ptychopinn.api.convert import convert as write_as

    if split_by is not None and split is None:
        raise ConfigError("--split-by needs --split; give both, or leave it out")
    arranged = bool(rename) or shuffle is not None or split is not None
    written = write_as(
        source,
        target,
        content=content,
        to=to,
        diffraction=diffraction,
        probe=probe,
        arrays=_arrays(positions, energy_kev, to_detector_m, detector_pixel_um),
        propagation=propagation,
        overrides=overrides,
        rearrange=Rearrange(_names(rename or []), shuffle, split, split_by or "y", shuffle or 0) if arranged else None,
    )
    show_path(written.content, written.path)
    for path in written.others:
        show_path(written.content, path)


def _names(items: list[str]) -> dict[str, str]:
    """Old name -> new name.

    Raises:
        ConfigError: no equals sign.

    >>> _names(["frames=diff3d"])
    {'frames': 'diff3d'}
    """
    pairs = [item.partition("=") for item in items]
    bad = [old for old, equals, new in pairs if not (old and equals and new)]
    if bad:
        raise ConfigError(f"--rename {bad[0]}: must be OLD=NEW, as in frames=diff3d")
    return {old: new for old, _, new in pairs}


def _arrays(
    positions: Path | None, energy_kev: float | None, distance_m: float | None, detector_pixel_um: float | None
) -> "ArrayFiles | None":
    """What makes a file of patterns a scan, or none.

    Raises:
        ConfigError: some of the four are given and others are not.
    """
    from ptychopinn.api.array_files import ArrayFiles

    given = {
        "--positions": positions,
        "--energy-kev": energy_kev,
        "--distance-m": distance_m,
        "--detector-pixel-um": detector_pixel_um,
    }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if positions is None or energy_kev is None or distance_m is None or detector_pixel_um is None:
        raise ConfigError(f"a scan from arrays needs {', '.join(given)}, got none for {', '.join(missing)}; add it")
    return ArrayFiles(positions, energy_kev * 1e3, distance_m, detector_pixel_um * 1e-6)
