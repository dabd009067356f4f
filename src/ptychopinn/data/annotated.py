"""Arrays and dictionaries that remember the scan that they were made of.

Clients of the TensorFlow contract hand on plain-looking arrays only. What those no longer say, such as exact positions
and the canvas of the object, travels with them here.
"""

from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.scan import Scan

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Table:
    """Which pattern of a scan stands where in arrays of groups."""

    scan: Scan
    index: NDArray[np.int64]
    """(B, C), into the scan."""


class AnnotatedArray(np.ndarray):
    """An array with an annotation that elementwise arithmetic passes on.

    Only results of the same shape have it. Those of indexing, reshaping and copying do not, because their rows may be
    others. `annotated` makes one, `annotation_of` gives the annotation.

    >>> array = annotated(np.ones((2, 3)), "kept")
    >>> annotation_of(2 * array, str), annotation_of(array[:1], str), annotation_of(array.sum(), str)
    ('kept', None, None)
    """

    annotation: Any = None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute on plain arrays; an elementwise result of this shape gets the annotation."""
        if "out" in options:
            options["out"] = tuple(_plain(target) for target in options["out"])
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        source = next((value for value in inputs if isinstance(value, AnnotatedArray)), self)
        if method != "__call__" or not isinstance(result, np.ndarray) or result.shape != source.shape:
            return result
        return annotated(result, source.annotation)


def annotated(array: NDArray[Any], value: Any) -> AnnotatedArray:
    """A view of an array, with a value as its annotation."""
    view = np.asarray(array).view(AnnotatedArray)
    view.annotation = value
    return view


def annotation_of(array: Any, kind: type[T]) -> T | None:
    """The annotation of an array, if it is of that kind."""
    value = array.annotation if isinstance(array, AnnotatedArray) else None
    return value if isinstance(value, kind) else None


class GroupedData(UserDict[str, Any]):
    """The dictionary of groups that `RawData.generate_grouped_data` documents; `table` has the patterns of its groups.

    Entries given as functions are computed when they are first asked for.

    Args:
        entries: values, or functions without arguments that make them.
        table: which patterns of which scan the groups hold.
    """

    def __init__(self, entries: Mapping[str, Any], table: Table | None = None) -> None:
        super().__init__(entries)
        self.table = table

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if callable(value):
            value = self.data[key] = value()
        return value


class Results(dict[str, Any]):
    """A dictionary of results; an entry that is a `functools.partial` is computed when it is first asked for."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, partial):
            value = self[key] = value()
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """As of any dictionary."""
        return self[key] if dict.__contains__(self, key) else default


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, AnnotatedArray) else value
