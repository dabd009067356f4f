"""Taking single values and arrays out of HDF5 files; every defect is a ScanError."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import mapped_part, open_hdf5
from ptychopinn.data.io.hdf5_sizes import check_dataset
from ptychopinn.data.io.stored import broken_link, check_stored
from ptychopinn.data.large_arrays import is_large, new_array
from ptychopinn.errors import ScanError

_DEEPEST = 8
_MOST_NODES = 20_000
"""Groups and datasets that are looked at in one file, each counted under every name."""
_COMPLEX_NAMES = (("r", "i"), ("re", "im"), ("real", "imag"))
_LISTED = 12
_LONGEST_ATTRIBUTE = 4096
"""Values; the longest ones that are read name the axes of a dataset or the columns of a table."""


def find(group: h5py.Group, path: str) -> Any:
    """The group or dataset at a path below `group`, or none.

    Raises:
        ScanError: the path leads into another file, which cannot be opened.
    """
    try:
        return group[path]
    except KeyError:
        refuse_broken_link(group, path)
        return None


def find_dataset(group: h5py.Group, *paths: str) -> h5py.Dataset | None:
    """The first of the paths that holds a dataset with values, or none."""
    for path in paths:
        found = find(group, path)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
    return None


def array(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values, numbers only; compound values of a real and an imaginary part, as MATLAB writes them, are complex.

    Raises:
        ScanError: it holds something else than numbers, or its values were never written or stand in a file that is
            missing.
    """
    check_stored(dataset)
    parts = _complex_parts(dataset.dtype)
    if parts is not None:
        values = np.asarray(checked_values(dataset))
        return np.asarray(values[parts[0]] + 1j * values[parts[1]])
    if dataset.dtype.kind not in "buifc":
        raise ScanError(f"{place(dataset)} holds {dataset.dtype} values; must be numbers, export the file again")
    return np.asarray(checked_values(dataset))


def checked_values(dataset: h5py.Dataset) -> Any:
    """All values, after their declared size was compared with what is stored and with the memory that is free.

    Raises:
        ScanError: it is out of proportion.
    """
    values = mapped_dataset(dataset)
    if values is not None:
        return values
    check_dataset(dataset)
    if dataset.dtype.kind in "buifc" and is_large(dataset.shape, dataset.dtype):
        values = new_array(dataset.shape, dataset.dtype)
        dataset.read_direct(values)
        return values
    return dataset[()]


def mapped_dataset(dataset: h5py.Dataset) -> NDArray[Any] | None:
    """The values of a large dataset that lies in one piece in its file, in a map of it; None for any other.

    Raises:
        ScanError: the file ends before its last value.
    """
    if dataset.dtype.kind not in "buifc" or not is_large(dataset.shape, dataset.dtype):
        return None
    packed = dataset.chunks is not None or dataset.is_virtual or dataset.external is not None
    start = None if packed else dataset.id.get_offset()
    stored = dataset.id.get_type().get_size()
    if start is None or stored != dataset.dtype.itemsize or dataset.file.driver not in ("sec2", "default"):
        return None
    try:
        return mapped_part(dataset.file.filename, start, dataset.shape, dataset.dtype)
    except ValueError as error:
        raise ScanError(f"{place(dataset)} is not complete: {error}; copy or export the file again") from None


def is_complex(dataset: h5py.Dataset) -> bool:
    """Whether `array` gives complex numbers."""
    return dataset.dtype.kind == "c" or _complex_parts(dataset.dtype) is not None


def _complex_parts(dtype: Any) -> tuple[str, str] | None:
    """Names of the real and the imaginary part of a compound type."""
    names = tuple(dtype.names or ())
    return (names[0], names[1]) if tuple(name.lower() for name in names) in _COMPLEX_NAMES else None


def number(group: h5py.Group, *paths: str) -> float | None:
    """The number at the first of the paths that is there; of several numbers the mean.

    Raises:
        ScanError: it is not a finite real number.
    """
    dataset = find_dataset(group, *paths)
    if dataset is None:
        return None
    return finite_number(checked_values(dataset), place(dataset))


def finite_number(value: Any, where: str) -> float:
    """One finite real number, from a scalar or the mean of an array.

    Raises:
        ScanError: it is something else.
    """
    values = np.asarray(value)
    if values.dtype.kind in "SU" and values.size == 1:
        values = _parsed(values)
    if values.dtype.kind not in "buif" or values.size == 0 or not np.isfinite(values).all():
        shown = values.item() if values.size == 1 else f"{values.dtype} {values.shape}"
        raise ScanError(f"{where} is {shown!r}; must be a finite number, correct the file")
    return float(values.mean(dtype=np.float64))


def text(group: h5py.Group, path: str) -> str | None:
    """The text at a path, or none."""
    dataset = find_dataset(group, path)
    if dataset is None or dataset.size != 1 or h5py.check_string_dtype(dataset.dtype) is None:
        return None
    return as_text(np.asarray(checked_values(dataset)).reshape(-1)[0])


def as_text(value: Any) -> str:
    """Text from what h5py returns for a string."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def attribute(item: h5py.HLObject, name: str) -> Any:
    """An attribute, or none; a list of one is its only member.

    Raises:
        ScanError: it has far more values than any attribute that is read.
    """
    if name not in item.attrs:
        return None
    size = prod(item.attrs.get_id(name).shape or ())
    if size > _LONGEST_ATTRIBUTE:
        raise ScanError(
            f"{place(item)}: the attribute {name} must have {_LONGEST_ATTRIBUTE} values at most, got {size}; export "
            "the file again"
        )
    value = item.attrs[name]
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value


def place(item: h5py.HLObject) -> str:
    """File and path, for messages."""
    return f"{item.file.filename}: {item.name}"


def walk(group: h5py.Group, every_name: bool = False) -> Iterator[tuple[str, Any]]:
    """Every group and dataset below `group` with its path, upper levels first, in the order of numbers in the names.

    Links are followed; those that lead nowhere are passed over.

    Args:
        group: where to begin.
        every_name: give each thing under each of its names, not under the first one only.
    """
    seen = {_identity(group)}
    level, count = [("", group, frozenset(seen))], 0
    for _ in range(_DEEPEST):
        below = []
        for prefix, parent, above in level:
            for name in sorted(parent, key=natural_order):
                item = parent.get(name)
                known = above if every_name else seen
                if item is None or _identity(item) in known or count > _MOST_NODES:
                    continue
                count += 1
                seen.add(_identity(item))
                yield f"{prefix}/{name}", item
                if isinstance(item, h5py.Group):
                    below.append((f"{prefix}/{name}", item, above | {_identity(item)}))
        level = below


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Key that sorts names by the numbers in them, so that `data_2` stands before `data_10`.

    >>> sorted(["data_10", "data_2", "data"], key=natural_order)
    ['data', 'data_2', 'data_10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdecimal() and part.isascii() else (1, part) for part in parts if part]


def same_item(one: Any, other: Any) -> bool:
    """Whether two names lead to one group or dataset."""
    return one is not None and other is not None and _identity(one) == _identity(other)


def listing(file: h5py.File) -> str:
    """What a file holds, in short, for messages."""
    datasets = (f"{path[1:]} {item.shape}" for path, item in walk(file) if isinstance(item, h5py.Dataset))
    shown = list(islice(datasets, _LISTED + 1))
    return ", ".join(shown[:_LISTED]) + (", ..." if len(shown) > _LISTED else "") or "nothing"


def listing_at(path: str) -> str:
    """What the file at a path holds, in short, for messages."""
    with open_hdf5(path, announce=False) as file:
        return listing(file)


def write_values(group: h5py.Group, values: Mapping[str, Any]) -> None:
    """One dataset for each value that is not none."""
    for name, value in values.items():
        if value is not None:
            group.create_dataset(name, data=value)


def _identity(item: h5py.HLObject) -> tuple[int, Any]:
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _parsed(values: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.asarray(float(as_text(values.reshape(-1)[0])))
    except ValueError:
        return values


def refuse_broken_link(group: h5py.Group, path: str, way_out: str = "") -> None:
    """Name the other file if a step of the path leads into one, and another way out if there is one."""
    broken = broken_link(group, path)
    if broken is not None:
        step, link = broken
        raise ScanError(
            f"{place(group)}: {step} is a link to {link.path} in {link.filename}, which cannot be opened; "
            f"put that file where the link expects it{f', or {way_out}' if way_out else ''}"
        )
