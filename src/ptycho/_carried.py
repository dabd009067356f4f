"""Arrays and dictionaries that remember the scan that they were made of.

Clients of the TensorFlow contract hand on plain-looking arrays only. What those no longer say, such as exact positions
and the canvas of the object, travels with them here.
"""

from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data import Scan

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Table:
    """Which pattern of a scan stands where in arrays of groups."""

    scan: Scan
    index: NDArray[np.int64]
    """(B, C), into the scan."""


class CarryingArray(np.ndarray):
    """An array that carries a value through elementwise arithmetic.

    Only results of the same shape carry it on. Indexing, reshaping and copies do not, because their rows may be
    others. Make one with `carry`, ask it with `carried_by`.

    >>> array = carry(np.ones((2, 3)), "kept")
    >>> carried_by(2 * array, str), carried_by(array[:1], str), carried_by(array.sum(), str)
    ('kept', None, None)
    """

    carried: Any = None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute on plain arrays; let an elementwise result of this shape carry on."""
        if "out" in options:
            options["out"] = tuple(_plain(target) for target in options["out"])
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        source = next((value for value in inputs if isinstance(value, CarryingArray)), self)
        if method != "__call__" or not isinstance(result, np.ndarray) or result.shape != source.shape:
            return result
        return carry(result, source.carried)


def carry(array: NDArray[Any], value: Any) -> CarryingArray:
    """A view of an array that carries a value."""
    view = np.asarray(array).view(CarryingArray)
    view.carried = value
    return view


def carried_by(array: Any, kind: type[T]) -> T | None:
    """What an array carries, if it is of that kind."""
    value = array.carried if isinstance(array, CarryingArray) else None
    return value if isinstance(value, kind) else None


class GroupedData(UserDict[str, Any]):
    """The dictionary of groups that `RawData.generate_grouped_data` documents; `table` has the patterns of its groups.

    Entries given as functions are computed when they are first asked for.
    """

    def __init__(self, entries: Mapping[str, Any], table: Table | None = None) -> None:
        super().__init__(entries)
        self.table = table

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if callable(value):
            value = self.data[key] = value()
        return value


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, CarryingArray) else value
