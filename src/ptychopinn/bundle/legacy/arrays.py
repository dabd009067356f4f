"""Arrays of numbers as a pickle describes them: type, shape and bytes, each checked before an array is made."""

import math
import re
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

_TYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|\?)")
MOST_AXES = 8
"""Of an array; a probe has three."""


def checked_type(text: str) -> np.dtype[Any]:
    """A type of numbers or truth values by its short name.

    >>> checked_type("c8")
    dtype('complex64')

    Raises:
        ValueError: any other type, such as objects, texts or records.
    """
    if not _TYPE.fullmatch(text):
        raise ValueError(f"{text!r} is no type of numbers")
    return np.dtype(text)


def whole_numbers(value: Any) -> tuple[int, ...]:
    """A shape.

    Raises:
        ValueError: it is no short tuple of whole numbers of at least 0.
    """
    if not isinstance(value, tuple) or len(value) > MOST_AXES or any(type(n) is not int or n < 0 for n in value):
        raise ValueError("a shape is no short tuple of whole numbers")
    return value


def number(dtype: np.dtype[Any], data: Any) -> Any:
    """The Python number of a NumPy scalar.

    Raises:
        ValueError: the bytes are not those of one number.
    """
    if not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise ValueError("a number has not the bytes of its type")
    return np.frombuffer(data, dtype)[0].item()


@final
@dataclass
class RawType:
    """A type; a pickle gives its byte order after it was made."""

    dtype: np.dtype[Any]

    def take(self, state: Any) -> None:
        """Set the byte order.

        Raises:
            ValueError: the state is that of a record or of a type of objects.
        """
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("the state of a type is not that of numbers")
        if any(part is not None for part in state[2:5]):
            raise ValueError("a type has fields or a shape of its own")
        self.dtype = self.dtype.newbyteorder(state[1]) if state[1] in "<>" else self.dtype


@final
class RawArray:
    """An array; a pickle gives its values after it was made."""

    def __init__(self) -> None:
        self._values: NDArray[Any] | None = None

    def take(self, state: Any) -> None:
        """Set shape, type and values from (version, shape, type, whether the first axis runs fastest, bytes).

        Raises:
            ValueError: the bytes are not those of the shape.
        """
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], RawType):
            raise ValueError("the state of an array is not that of one of numbers")
        _, shape, kind, fortran, data = state
        shape, dtype = whole_numbers(shape), kind.dtype
        if not isinstance(data, bytes) or len(data) != dtype.itemsize * math.prod(shape):
            raise ValueError(f"an array of shape {shape} has not the bytes of its shape")
        values = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        self._values = np.array(values, dtype=dtype.newbyteorder("="))

    def array(self) -> NDArray[Any]:
        """The values.

        Raises:
            ValueError: it was given none.
        """
        if self._values is None:
            raise ValueError("an array has no values")
        return self._values
