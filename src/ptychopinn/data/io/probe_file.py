"""A probe from a file of its own."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.content import kind_of_file
from ptychopinn.errors import ScanError

_KEYS = ("probeGuess", "probe")


def read_probe(path: str | Path) -> NDArray[Any]:
    """The probe of a scan or reconstruction, in any format that is read, or a complex array saved with numpy.save.

    Args:
        path: NPZ with `probeGuess` or `probe`, NPY, CXI, NeXus, or a product or training file of ptychodus.

    Returns:
        (H, W) or (M, H, W), complex.

    Raises:
        ScanError: no such file, damaged, or no probe in it.
    """
    if kind_of_file(path) == "hdf5":
        from ptychopinn.data.io.hdf5_object import read_hdf5_probe

        return read_hdf5_probe(path)
    probe = _numpy_probe(Path(path))
    if probe.dtype.kind != "c" or probe.ndim not in (2, 3):
        raise ScanError(f"{path}: holds {probe.dtype} {probe.shape}; the rule is a complex probe, (H, W) or (M, H, W)")
    return probe


def _numpy_probe(path: Path) -> NDArray[Any]:
    try:
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            return opened
        with opened as archive:
            found = [archive[key] for key in _KEYS if key in archive.files]
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        detail = " ".join(str(error).split())
        raise ScanError(f"{path}: no probe can be read from it ({detail}); give an NPZ, NPY or HDF5 file") from error
    if not found:
        raise ScanError(f"{path}: holds no probe (looked for {' and '.join(_KEYS)}); give a file that does")
    return np.asarray(found[0])
