"""`ptychopinn evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import print_json
from ptychopinn.cli.options import AsJson, Overrides, Quiet, Verbose, reading_options
from ptychopinn.cli.summary import show_metrics, show_path, show_reports
from ptychopinn.errors import ConfigError


@reading_options
def evaluate(
    reconstruction: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECONSTRUCTION...",
            help="reconstruction.npz, or its folder; several are compared on one region.",
            show_default=False,
        ),
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
            help="Folder for metrics.json, evaluation.png and frc.png.",
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
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What a reconstruction is called, once for each in their order; by default its folder or file.",
            show_default=False,
        ),
    ] = None,
    pixel_size_nm: Annotated[
        float | None,
        typer.Option(
            "--pixel-size-nm", metavar="NM", help="Object pixel, where the files do not say it.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
    overrides: Overrides = (),
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Compare reconstructions with a reference, after removing what phase retrieval cannot know."""
    from ptychopinn.api.evaluate import evaluate as compare
    from ptychopinn.api.evaluate import evaluate_several

    box = None if region is None else parse_region(region)
    pixel = None if pixel_size_nm is None else pixel_size_nm * 1e-9
    if len(reconstruction) == 1 and not name:
        result = compare(reconstruction[0], reference, output, region=box, overrides=overrides, pixel_size_m=pixel)
        reports, paths = {"": result.report}, result.paths
    else:
        images = reconstruction if not name else parse_names(name, reconstruction)
        several = evaluate_several(images, reference, output, region=box, overrides=overrides, pixel_size_m=pixel)
        reports, paths = several.reports, several.paths
    if as_json:
        files = {key: str(path) for key, path in paths.items() if key != "picture"}
        content = {"reference": reports[""]} if "" in reports else {"reconstructions": reports}
        print_json({**content, "files": files})
        return
    if "" in reports:
        show_metrics({"reference": reports[""]})
    else:
        show_reports(reports)
    show_path("figure", paths.get("figure"))
    show_path("ring correlation", paths.get("frc"))


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
        raise ConfigError(f"--region {text!r}: must be y0,y1,x0,x1 with y0 < y1 and x0 < x1, as in 36,203,36,203")
    return y0, y1, x0, x1


def parse_names(names: list[str], files: list[Path]) -> dict[str, Path]:
    """Files by their names.

    Raises:
        ConfigError: another number of names than of files, or a name twice.

    >>> sorted(parse_names(["a", "b"], [Path("x"), Path("y")]))
    ['a', 'b']
    """
    if len(names) != len(files) or len(set(names)) < len(names):
        raise ConfigError(
            f"--name is given as {', '.join(names)} for {len(files)} reconstructions; give each its own name, or none"
        )
    return dict(zip(names, files, strict=True))
