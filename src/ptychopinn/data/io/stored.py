"""Whether the values of a dataset are really there, and not only the fill values that HDF5 gives in their place."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychopinn.errors import ScanError

_DEEPEST = 4
"""Virtual datasets of virtual datasets that are followed. Beamlines use two levels."""


def check_stored(dataset: h5py.Dataset) -> None:
    """Refuse a dataset whose values were never written, or stand in a file or dataset that is missing.

    Raises:
        ScanError: names what is missing.
    """
    _check(dataset, _DEEPEST)


def broken_link(group: h5py.Group, path: str, steps: int = 8) -> tuple[str, Any] | None:
    """The step of a path that leads into another file that cannot be opened, and the link; none if there is none.

    Soft links are followed.
    """
    step = ""
    if path.startswith("/"):
        group = group.file
    for name in path.strip("/").split("/"):
        step = f"{step}/{name}".lstrip("/")
        try:
            link = group.get(step, getlink=True)
        except (KeyError, ValueError):
            return None
        if link is None or group.get(step) is not None:
            continue
        if isinstance(link, h5py.ExternalLink):
            return step, link
        if isinstance(link, h5py.SoftLink) and steps > 0:
            parent = group.get(step.rpartition("/")[0]) if "/" in step else group
            return broken_link(parent, link.path, steps - 1)
        return None
    return None


def _check(dataset: h5py.Dataset, levels: int) -> None:
    if dataset.shape is None or dataset.size == 0:
        return
    if dataset.is_virtual:
        _check_sources(dataset, levels)
    elif dataset.external is None and dataset.size > 1 and dataset.id.get_storage_size() == 0:
        raise ScanError(
            f"{_place(dataset)} must hold values, got a dataset of shape {dataset.shape} that was never written; "
            "export the file again after the acquisition has ended"
        )


def _check_sources(dataset: h5py.Dataset, levels: int) -> None:
    mapped = 0
    for source in dataset.virtual_sources():
        mapped += source.vspace.get_select_npoints()
        _check_source(dataset, source, levels)
    unlimited = any(length is None for length in dataset.maxshape)
    if mapped < dataset.size and not unlimited:
        raise ScanError(
            f"{_place(dataset)} must take every value from a source, got sources for {mapped} of {dataset.size} values "
            "of this virtual dataset; export the file again"
        )


def _check_source(dataset: h5py.Dataset, source: Any, levels: int) -> None:
    """One source of a virtual dataset; a pattern of names (`%b`) is checked by its first file."""
    name, inner = (text.replace("%b", "0").replace("%%", "%") for text in (source.file_name, source.dset_name))
    if name == ".":
        _check_inner(dataset, dataset.file, inner, source, levels, dataset.file.filename)
        return
    path = Path(name) if Path(name).is_absolute() else Path(dataset.file.filename).parent / name
    if not path.is_file():
        raise ScanError(
            f"{_place(dataset)} is a virtual dataset that takes values from {name}, which is missing; put that file "
            f"beside this one, at {path}"
        )
    try:
        with h5py.File(path, "r") as file:
            _check_inner(dataset, file, inner, source, levels, name)
    except OSError as error:
        raise ScanError(
            f"{_place(dataset)} is a virtual dataset that takes values from {name}, which cannot be read "
            f"({' '.join(str(error).split())}); copy that file again"
        ) from error


def _check_inner(dataset: h5py.Dataset, file: h5py.File, inner: str, source: Any, levels: int, name: str) -> None:
    found = file.get(inner)
    if not isinstance(found, h5py.Dataset):
        raise ScanError(
            f"{_place(dataset)} is a virtual dataset that takes values from {inner} in {name}, which has no such "
            "dataset; copy that file again"
        )
    needed, there = _end(source.src_space), found.shape or ()
    whole = source.src_space.get_select_type() == h5py.h5s.SEL_ALL
    short = needed is not None and (len(needed) != len(there) or any(np.array(needed) > np.array(there)))
    if short or (whole and found.size < source.vspace.get_select_npoints()):
        raise ScanError(
            f"{_place(dataset)} is a virtual dataset that needs {needed or source.vspace.get_select_npoints()} values "
            f"of {inner} in {name}, which holds {there}; copy that file again after the acquisition has ended"
        )
    if levels == 0:
        raise ScanError(
            f"{_place(dataset)} is a virtual dataset of more than {_DEEPEST} levels; export the values themselves"
        )
    _check(found, levels - 1)


def _end(space: Any) -> tuple[int, ...] | None:
    """How many values along each axis a selection reaches; none where all is taken, or as much as a source grows to."""
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or h5py.h5s.UNLIMITED in space.get_simple_extent_dims(1):
        return None
    return tuple(int(last) + 1 for last in space.get_select_bounds()[1])


def _place(item: h5py.HLObject) -> str:
    return f"{item.file.filename}: {item.name}"
