"""A probe from a file of its own."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ptychopinn.data.io.formats import find_format, sniffed
from ptychopinn.data.io.npz_format import read_numpy_probe
from ptychopinn.data.io.source_file import open_source


def read_probe(path: str | Path) -> NDArray[Any]:
    """The probe of a scan or reconstruction, in any format that is read, or a complex array saved with numpy.save.

    Args:
        path: NPZ with `probeGuess` or `probe`, NPY, or a file of any other format.

    Returns:
        (H, W) or (M, H, W), complex.

    Raises:
        ScanError: no such file, damaged, or no probe in it.
    """
    path = Path(path)
    with open_source(path) as file:
        found = find_format(file) if file.hdf5 is None else sniffed(file)
    return read_numpy_probe(path) if found is None else found.read_probe(path)
