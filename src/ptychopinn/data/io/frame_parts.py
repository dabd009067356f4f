"""The frames in one group of a NeXus file, also where they are split into numbered parts of which some are missing."""

import re
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import (
    as_text,
    attribute,
    find_dataset,
    natural_order,
    place,
    refuse_broken_link,
    same_item,
)
from ptychopinn.errors import ScanError

_FAMILIES = ("data", "frames?", "images?", "part", "block")
_LEAVE_OUT = "leave its frames out by --drop-frames unpaired (data.drop_frames)"


def stacks_of(group: h5py.Group) -> list[h5py.Dataset]:
    """The frames in a group: its signal, else `data`, else `data_1`, `data_2` and so on in the order of the numbers.

    Numbered parts that cannot be opened are passed over here; `numbers_of_frames` refuses them.
    """
    marked = [name for name in group if _is_signal(group.get(name))]
    signal = attribute(group, "signal")
    named = [as_text(signal).strip("/")] if isinstance(signal, str | bytes) else []
    for name in [*named, *marked, "data"]:
        stack = find_dataset(group, name)
        if stack is not None and _is_stack(stack):
            return [stack]
    return [part for _, part in _numbered(group) if part is not None]


def numbers_of_frames(
    groups: Sequence[h5py.Group], stack: Sequence[h5py.Dataset], leave_out: bool, notes: list[str]
) -> NDArray[np.int64] | None:
    """(N,) number of each frame in the scan where parts of it are missing; none where the scan is whole.

    Args:
        groups: one of which holds the frames.
        stack: the parts that are read.
        leave_out: pass over parts that are missing (`data.drop_frames` with `unpaired`).
        notes: sentences for the user; a note is added.

    Raises:
        ScanError: a part is missing and is not to be left out, or the parts that are left have different lengths, so
            that the numbers of the frames are not known.
    """
    group = next((one for one in groups if _are_in(one, stack)), None)
    parts = [] if group is None else _numbered(group)
    missing = [name for name, part in parts if part is None]
    if group is None or not missing:
        return None
    if not leave_out:
        refuse_broken_link(group, missing[0], _LEAVE_OUT)
        raise ScanError(f"{place(group)}: must hold {missing[0]}, as it holds later parts; add it, or {_LEAVE_OUT}")
    lengths = [Frames([part]).shape[0] for part in stack]
    if len(set(lengths[:-1])) > 1 or lengths[-1] > lengths[0]:
        raise ScanError(
            f"{place(group)}: {', '.join(missing)} must be there, as parts of {min(lengths)} to {max(lengths)} frames "
            "do not tell how many frames are missing; add it"
        )
    notes.append(f"the frames of {', '.join(missing)} are left out: the file or dataset is missing")
    there = [number for number, (_, part) in enumerate(parts) if part is not None]
    return np.concatenate([at * lengths[0] + np.arange(length) for at, length in zip(there, lengths, strict=True)])


def _numbered(group: h5py.Group) -> list[tuple[str, h5py.Dataset | None]]:
    """Names and parts of the first family of names that holds frames; none for a part that is missing."""
    for family in _FAMILIES:
        names = sorted((name for name in group if re.fullmatch(rf"{family}_?\d+", name)), key=natural_order)
        parts = [_part(group, name) for name in _without_gaps(names)]
        there = [part for _, part in parts if part is not None]
        others = any(part is None and group.get(name) is not None for name, part in parts)
        if there and not others and all(_is_stack(part) for part in there):
            return parts
    return []


def _part(group: h5py.Group, name: str) -> tuple[str, h5py.Dataset | None]:
    item = group.get(name)
    return name, item if isinstance(item, h5py.Dataset) and item.shape is not None else None


def _without_gaps(names: Sequence[str]) -> list[str]:
    """The names with those between them that are not there, such as `data_2` between `data_1` and `data_3`."""
    full: list[str] = []
    for name in names:
        stem, digits = _split(name)
        if full:
            before_stem, before = _split(full[-1])
            gap = range(int(before) + 1, min(int(digits), int(before) + 10_000)) if stem == before_stem else ()
            full += [f"{stem}{number:0{len(before)}d}" for number in gap]
        full.append(name)
    return full


def _split(name: str) -> tuple[str, str]:
    stem = name.rstrip("0123456789")
    return stem, name[len(stem) :]


def _are_in(group: h5py.Group, stack: Sequence[h5py.Dataset]) -> bool:
    there = [part for _, part in _numbered(group) if part is not None]
    return len(there) == len(stack) and all(same_item(one, other) for one, other in zip(there, stack, strict=True))


def _is_signal(item: Any) -> bool:
    """Whether a dataset is marked as the signal in the way of older files."""
    return isinstance(item, h5py.Dataset) and str(attribute(item, "signal")) in ("1", "b'1'")


def _is_stack(dataset: h5py.Dataset) -> bool:
    return dataset.ndim >= 3 and dataset.dtype.kind in "uif"
