"""Reconstructions as TIFF: a stack of named pages with the pixel size, which Fiji and other viewers open."""

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.arrays import tifffile_for
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.formats import FileFormat
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.errors import OutputError


@final
class Tiff(FileFormat):
    """Pages (Y, X) of float32, top row first: what `pages_of` returns, each with its name as its label.

    With a pixel size the resolution is in the tags and in the ImageJ description, in micrometres. Only written: the
    pages lose the frame, the positions and the probe.
    """

    name = "TIFF"
    extensions = (".tif", ".tiff")
    writes = ("reconstruction",)

    def sniff(self, file: SourceFile) -> bool:
        """Never: a stack of pages is no reconstruction that could be read."""
        return False

    def write_reconstruction(self, image: Any, path: Path) -> Path:
        """Write the pages.

        Raises:
            OutputError: tifffile is not installed, or the file cannot be written.
        """
        tifffile = tifffile_for(path, OutputError)
        pages = pages_of(image)
        size_um = None if image.pixel_size_m is None else 1e6 * image.pixel_size_m
        description: dict[str, Any] = {"axes": "ZYX", "Labels": list(pages)}
        if size_um is not None:
            description["unit"] = "um"
        with atomic_path(path) as temporary:
            tifffile.imwrite(
                temporary,
                np.stack(list(pages.values())),
                imagej=True,
                resolution=None if size_um is None else (1 / size_um, 1 / size_um),
                metadata=description,
            )
        return path


def pages_of(image: Any) -> dict[str, NDArray[np.float32]]:
    """Maps (Y, X) of a `Reconstruction` by name: amplitude, phase in rad, coverage, and error bars where there are any.

    The phase is that of the object as it is stored, from -pi to pi. What was not measured has a coverage of 0.
    """
    pages = {
        "amplitude": np.abs(image.object_),
        "phase (rad)": np.angle(image.object_),
        "coverage": image.coverage,
        "amplitude error (standard deviation)": image.amplitude_error,
        "phase error (standard deviation, rad)": image.phase_error,
    }
    return {name: np.asarray(page, np.float32) for name, page in pages.items() if page is not None}
