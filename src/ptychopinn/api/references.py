"""What an image is compared with: a scan's object guess, another reconstruction, an array; all in the object frame."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.io.formats import sniffed
from ptychopinn.data.io.source_file import open_source
from ptychopinn.data.reconstruction import RESULT_NAME, Reconstruction
from ptychopinn.errors import ConfigError, ScanError

ImageSource: TypeAlias = str | Path | Reconstruction
ReferenceSource: TypeAlias = str | Path | Scan | Reconstruction | NDArray[np.complexfloating]


def as_image(source: ImageSource) -> Reconstruction:
    """A reconstruction, read from its file where a path is given."""
    return source if isinstance(source, Reconstruction) else Reconstruction.load(source)


def as_reference(source: ReferenceSource, overrides: Sequence[str] = ()) -> Reconstruction:
    """The object to compare with, where it lies, and its pixel size where known.

    Args:
        source: a scan with `objectGuess`, a reconstruction or a file of another program, as file or as object, or a
            complex array whose element (0, 0) is object pixel (0, 0).
        overrides: `data.key=value` texts that say how a scan is read.

    Raises:
        PtychoPINNError: the file cannot be used, or the scan holds no object.
    """
    if isinstance(source, np.ndarray):
        return _at_origin(source)
    if isinstance(source, str | Path):
        source = _read(Path(source), overrides)
    if isinstance(source, Reconstruction):
        return source
    if source.object_guess is None:
        raise ScanError(
            f"{source.source}: holds no objectGuess to compare with; give a scan that has one, or another "
            "reconstruction, to --reference"
        )
    return replace(_at_origin(source.object_guess), pixel_size_m=source.pixel_size_m)


def on_canvas_of(image: Reconstruction, reference: Reconstruction) -> NDArray[np.complex64]:
    """(Y, X) the reference on the canvas of an image, 1 where it does not reach."""
    rows, columns = image.object_.shape
    return reference.in_frame((int(image.origin_px[0]), int(image.origin_px[1])), (rows, columns))[0]


def name_of(source: object) -> str:
    """What messages and reports call a source."""
    return str(source) if isinstance(source, str | Path) else getattr(source, "source", "the object in memory")


def short_names(sources: Sequence[object]) -> list[str]:
    """Names for tables and figures: the folder of a `reconstruction.npz`, else the file without its extension.

    Where two would be alike they are counted.

    >>> short_names(["out/cnn/reconstruction.npz", "out/fno", "solver.h5", "other/solver.cxi"])
    ['cnn', 'fno', 'solver', 'solver 2']
    """
    names: list[str] = []
    for source in sources:
        name = _short_name(source)
        candidates = chain([name], (f"{name} {number}" for number in count(2)))
        names.append(next(one for one in candidates if one not in names))
    return names


def _short_name(source: object) -> str:
    if not isinstance(source, str | Path):
        return "reconstruction"
    path = Path(source)
    return (path.parent.name if path.name == RESULT_NAME else path.stem) or path.stem


def _at_origin(object_: NDArray[np.complexfloating]) -> Reconstruction:
    """An object whose element (0, 0) is object pixel (0, 0); there is no scan to it."""
    return Reconstruction(
        object_=object_,
        coverage=np.ones(object_.shape, dtype=np.float32),
        origin_px=np.zeros(2, dtype=np.int64),
        positions_px=np.zeros((0, 2)),
        probe=np.ones((1, 1, 1), dtype=np.complex64),
    )


def _read(path: Path, overrides: Sequence[str]) -> Scan | Reconstruction:
    """A scan or a reconstruction, by what the file holds; of a file that may hold both the object."""
    if path.is_dir():
        return Reconstruction.load(path)
    with open_source(path) as file:
        wanted = "reconstruction" in sniffed(file).contents(file)
    if not wanted:
        return read_scan(path, Recipe().with_overrides(overrides).data)
    if overrides:
        raise ConfigError(f"{path}: is a reconstruction, but {overrides[0]} says how a scan is read; leave it out")
    return Reconstruction.load(path)
