"""Opening HDF5 files and taking single values and arrays out of them; every defect is a ScanError."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters of detector files
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.errors import ScanError

_DEEPEST = 8
_LISTED = 12


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading; what the library reports inside the block becomes a `ScanError`.

    On damaged files it raises nearly anything; so nothing but reading belongs into the block.

    Raises:
        ScanError: no such file, not HDF5, truncated or damaged, or packed by a filter that is not installed.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file; give the path of an HDF5 file") from None
    except ScanError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise ScanError(
            f"{path}: cannot be read as an HDF5 file ({detail}); the file is damaged or of another kind, "
            "copy or export it again"
        ) from error


@contextmanager
def create_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """A new HDF5 file that takes the place of `path` when the block ends well.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        yield file


def find(group: h5py.Group, path: str) -> Any:
    """The group or dataset at a path below `group`, or none.

    Raises:
        ScanError: the path leads into another file, which cannot be opened.
    """
    try:
        return group[path]
    except KeyError:
        _refuse_broken_link(group, path)
        return None


def find_dataset(group: h5py.Group, *paths: str) -> h5py.Dataset | None:
    """The first of the paths that holds a dataset with values, or none."""
    for path in paths:
        found = find(group, path)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
    return None


def array(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values, numbers only.

    Raises:
        ScanError: it holds something else than numbers.
    """
    if dataset.dtype.kind not in "buifc":
        raise ScanError(f"{place(dataset)} holds {dataset.dtype} values; the rule is numbers, export the file again")
    return np.asarray(dataset[()])


def number(group: h5py.Group, *paths: str) -> float | None:
    """The number at the first of the paths that is there; of several numbers the mean.

    Raises:
        ScanError: it is not a finite real number.
    """
    dataset = find_dataset(group, *paths)
    if dataset is None:
        return None
    return finite_number(dataset[()], place(dataset))


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
        raise ScanError(f"{where} is {shown!r}; the rule is a finite number, correct the file")
    return float(values.mean(dtype=np.float64))


def text(group: h5py.Group, path: str) -> str | None:
    """The text at a path, or none."""
    dataset = find_dataset(group, path)
    if dataset is None or dataset.size != 1 or h5py.check_string_dtype(dataset.dtype) is None:
        return None
    return as_text(np.asarray(dataset[()]).reshape(-1)[0])


def as_text(value: Any) -> str:
    """Text from what h5py returns for a string."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def attribute(item: h5py.HLObject, name: str) -> Any:
    """An attribute, or none; a list of one is its only member."""
    value = item.attrs.get(name)
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value


def place(item: h5py.HLObject) -> str:
    """File and path, for messages."""
    return f"{item.file.filename}: {item.name}"


def walk(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Every group and dataset below `group` with its path, upper levels first, each thing once.

    Links are followed; those that lead nowhere are passed over.
    """
    seen = {_identity(group)}
    level = [("", group)]
    for _ in range(_DEEPEST):
        below = []
        for prefix, parent in level:
            for name in parent:
                item = parent.get(name)
                if item is None or _identity(item) in seen:
                    continue
                seen.add(_identity(item))
                yield f"{prefix}/{name}", item
                if isinstance(item, h5py.Group):
                    below.append((f"{prefix}/{name}", item))
        level = below


def listing(file: h5py.File) -> str:
    """What a file holds, in short, for messages."""
    datasets = (f"{path[1:]} {item.shape}" for path, item in walk(file) if isinstance(item, h5py.Dataset))
    shown = list(islice(datasets, _LISTED + 1))
    return ", ".join(shown[:_LISTED]) + (", ..." if len(shown) > _LISTED else "") or "nothing"


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


def _refuse_broken_link(group: h5py.Group, path: str) -> None:
    """Name the other file if a step of the path leads into one."""
    step = ""
    for name in path.strip("/").split("/"):
        step = f"{step}/{name}".lstrip("/")
        try:
            link = group.get(step, getlink=True)
        except KeyError:
            return
        if isinstance(link, h5py.ExternalLink) and group.get(step) is None:
            raise ScanError(
                f"{place(group)}: {step} is a link to {link.path} in {link.filename}, which cannot be opened; "
                "put that file where the link expects it"
            )
