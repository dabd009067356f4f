"""Dark images in HDF5 files, as `data_dark`."""

import logging
from collections.abc import Sequence

import h5py
import numpy as np

from ptychopinn.data.io.dark import DARK_NAMES, WHITE_NAMES, Dark, mean_dark
from ptychopinn.data.io.hdf5 import array, checked_values, find_dataset, place

logger = logging.getLogger("ptychopinn.data")


def dark_of(groups: Sequence[h5py.Group], frames: tuple[int, ...] | None, rule: str) -> Dark | None:
    """Where the dark image of a detector stands and its mean, (H, W), in counts; none where there is none to subtract.

    Images of an even illumination are named in a warning, as they are not applied.

    Args:
        groups: the detector, and others that hold its patterns.
        frames: (N, H, W) of the patterns, or none.
        rule: `subtract`, or `ignore`, with a warning.

    Raises:
        ScanError: a dark image of another size than the patterns, or with values that are not finite.
    """
    if frames is None:
        return None
    white = next((one for group in groups if (one := find_dataset(group, *WHITE_NAMES)) is not None), None)
    if white is not None and not any(_is_applied(group) for group in groups):
        logger.warning("%s is not applied: patterns are read as they were recorded", place(white))
    stored = next((one for group in groups if (one := find_dataset(group, *DARK_NAMES)) is not None), None)
    if stored is None:
        return None
    if rule == "ignore":
        logger.warning("%s is ignored, as asked for", place(stored))
        return None
    return place(stored), mean_dark(array(stored), frames, place(stored))


def _is_applied(group: h5py.Group) -> bool:
    stored = find_dataset(group, "flatfield_applied", "flat_field_applied")
    return stored is not None and stored.size == 1 and bool(np.asarray(checked_values(stored)).reshape(-1)[0])
