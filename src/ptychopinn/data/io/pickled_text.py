"""The one text of an array of Python objects, found without making any object.

The tools of legacy PtychoPINN save their metadata as `numpy.array(text, dtype=object)`, which NumPy pickles. The
instructions of the pickle are read as data: texts, numbers and None, and the three names that every such array has.
"""

import pickletools
from itertools import islice

MOST_INSTRUCTIONS = 100
"""A 0-d array of one text takes about 30."""
_NAMES = {
    f"{module} {name}"
    for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("ndarray", "dtype", "_reconstruct")
}
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
_HARMLESS = {
    *_TEXTS,
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "BINGET", "LONG_BINGET", "GET"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINBYTES", "SHORT_BINBYTES", "EMPTY_LIST"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "REDUCE", "BUILD", "GLOBAL"),
    "STACK_GLOBAL",
}
_ARRAY_TEXTS = {"O8", "O4", "|", "b", "C", "latin1", *(word for name in _NAMES for word in name.split(" "))}
"""Texts that belong to the array and not to its content."""


def text_of_pickle(data: bytes) -> str | None:
    """The text of a pickled 0-d array, such as JSON; None where it holds none, several, or anything else.

    >>> import io
    >>> import numpy as np
    >>> stream = io.BytesIO()
    >>> np.lib.format.write_array(stream, np.array('{"a": 1}', dtype=object))
    >>> text_of_pickle(stream.getvalue()[128:])
    '{"a": 1}'
    """
    texts: list[str] = []
    try:
        for operation, argument, _ in islice(pickletools.genops(data), MOST_INSTRUCTIONS):
            if operation.name not in _HARMLESS or (operation.name == "GLOBAL" and argument not in _NAMES):
                return None
            if operation.name in _TEXTS and argument not in _ARRAY_TEXTS:
                texts.append(str(argument))
    except Exception:  # a damaged pickle raises nearly anything
        return None
    return texts[0] if len(texts) == 1 else None
