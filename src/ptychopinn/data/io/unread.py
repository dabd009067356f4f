"""What stands beside the patterns of an HDF5 file and is not read, so that a user hears of it."""

import re
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from ptychopinn.data.io.dark import DARK_NAMES, WHITE_NAMES
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import attribute, checked_values, is_complex, same_item

_READ = ("data", *DARK_NAMES, *WHITE_NAMES)
_SCALES = ("scale_factor", "scaling_factor")
_OFFSETS = ("add_offset", "offset")
_NEVER_USED = re.compile(r".*(_errors?|_uncertainties|_weights?)")
"""Names of what does not change patterns."""
_MASK_OR_DARK = re.compile(r"(?!probe)(.*_)?(mask|bad|dead|good|valid|hot|dark|back|pedestal)", re.IGNORECASE)


def unread_notes(
    own: Sequence[h5py.Group], around: Sequence[h5py.Group], frames: Frames | None, read: Sequence[str], has_probe: bool
) -> tuple[str, ...]:
    """Sentences on arrays of the size of a pattern that are not used, and factors that are not applied.

    Args:
        own: the detector, and groups that hold its patterns.
        around: others, of which only a probe is read.
        frames: the patterns, or none.
        read: names of masks that the layout reads in `own`.
        has_probe: whether a probe was found.
    """
    if frames is None:
        return ()
    seen: list[h5py.Dataset] = []
    notes: list[str] = []
    for group in dict.fromkeys((*own, *around)):
        is_own = any(same_item(group, one) for one in own)
        notes += _scaling(group) if is_own else []
        for name in group:
            item = group.get(name)
            if not isinstance(item, h5py.Dataset) or any(same_item(item, one) for one in seen):
                continue
            seen.append(item)
            if (is_own and name in (*read, *_READ)) or not _fits(item, frames) or _NEVER_USED.fullmatch(name):
                continue
            if not is_own and not is_complex(item) and not _MASK_OR_DARK.match(name):
                continue
            if is_complex(item):
                notes += [] if has_probe else [f"{item.name} may be a probe and is not used; give it by --probe FILE"]
            else:
                notes.append(
                    f"{item.name} has the size of a pattern and is not used; a mask is read as {read[0]} of the "
                    "detector, a dark image as data_dark"
                )
    return tuple(notes)


def _fits(item: h5py.Dataset, frames: Frames) -> bool:
    """Whether the last two axes are those of a pattern, and it is no part of the patterns."""
    if item.shape is None or item.ndim < 2 or frames.holds(item):
        return False
    is_number = item.dtype.kind in "buif" or is_complex(item)
    return is_number and tuple(item.shape[-2:]) == frames.shape[1:]


def _scaling(group: h5py.Group) -> list[str]:
    """Factors and offsets of the patterns other than 1 and 0: in attributes, or as datasets beside them."""
    stored = group.get("data")
    if not isinstance(stored, h5py.Dataset):
        return []
    notes = []
    for names, neutral in ((_SCALES, 1.0), (_OFFSETS, 0.0)):
        for name in names:
            for where, value in (
                (f"{stored.name}: attribute {name}", attribute(stored, name)),
                (f"{stored.name}_{name}", _number(group.get(f"data_{name}"))),
                (f"{group.name}/{name}", _number(group.get(name))),
            ):
                plain = np.asarray(neutral if value is None else value).reshape(-1)
                if plain.dtype.kind in "uif" and plain.size == 1 and plain[0] != neutral:
                    notes.append(f"{where} is {plain[0]:g} and is not applied: patterns are read as recorded")
    return notes


def _number(item: Any) -> Any:
    return (
        checked_values(item) if isinstance(item, h5py.Dataset) and item.shape is not None and item.size == 1 else None
    )
