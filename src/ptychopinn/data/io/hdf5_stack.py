"""Patterns out of an HDF5 file that holds nothing else that is known."""

from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import is_complex, listing, walk
from ptychopinn.errors import ScanError


def read_stack(path: Path) -> NDArray[Any]:
    """(N, H, W): the only data set with three axes or more, or the data sets of two axes and one size in natural order.

    Raises:
        ScanError: no patterns, or several data sets that may be them.
    """
    with open_hdf5(path) as file:
        found = stacks(file)
        if len(found) != 1:
            raise ScanError(
                f"{path}: must hold one data set of patterns, (N, H, W), or frames of one size, got {len(found)} "
                f"(found: {listing(file)}); save the patterns alone with numpy.save"
            )
        return found[0].read()


def stacks(file: h5py.File) -> list[Frames]:
    """What may be patterns: each data set of three axes or more; without any, all data sets of two axes together."""
    datasets = [item for _, item in walk(file) if isinstance(item, h5py.Dataset) and item.shape is not None]
    real = [item for item in datasets if item.dtype.kind in "uif" and not is_complex(item)]
    several = [item for item in real if item.ndim > 2 and 0 not in item.shape]
    if several:
        return [Frames([item]) for item in several]
    single = [item for item in real if item.ndim == 2 and min(item.shape) > 2]
    return [Frames(single)] if len(single) > 1 and len({item.shape for item in single}) == 1 else []
