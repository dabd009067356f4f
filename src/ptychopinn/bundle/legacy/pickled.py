"""Plain values out of the pickles of earlier archives, read as data.

No object of a pickle is ever made: its opcodes are interpreted here, and only those that make numbers, texts, lists,
dictionaries and arrays of numbers are known. Names of functions are compared with a short list and never imported.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn, final

import numpy as np

from ptychopinn.bundle.legacy.arrays import RawArray, RawType, checked_type, number
from ptychopinn.errors import BundleError, shown

MOST_OPCODES = 100_000
"""Of one pickle; the settings of an archive take 500, and Python reads a million in a second."""
MOST_VALUES = 20_000
"""Values of the result; a few lists that hold each other stand for any number of them."""
MOST_LEVELS = 50
"""Of lists and dictionaries within each other."""
LONGEST_INTEGER = 9
"""Bytes of a whole number: 64 bits and a sign."""

NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_GLOBALS = {
    ("tensorflow.python.framework.ops", "convert_to_tensor"): "tensor",
    ("dill._dill", "_create_array"): "create",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{(module, "_reconstruct"): "reconstruct" for module in NUMPY[1:]},
    **{(module, "scalar"): "scalar" for module in NUMPY[1:]},
}
"""What a pickle may name, and what it stands for here."""


@final
@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle names; it is never looked up."""

    kind: str


_MARK = object()


def read_pickle(data: bytes, where: str) -> Any:
    """The plain value of a pickle: None, numbers, texts, bytes, lists, tuples, dictionaries, NumPy arrays.

    Args:
        data: of the whole pickle; its size was checked by the caller.
        where: the archive and its member, for messages.

    Raises:
        BundleError: anything else stands in it, it is damaged, or it stands for more values than any settings have.
    """
    try:
        return _Machine(where).run(data)
    except BundleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BundleError(f"{where}: is damaged or no pickle ({shown(error)}); copy the archive again") from None


@final
@dataclass
class _Machine:
    """The stack and the memo of one pickle."""

    where: str
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, data: bytes) -> Any:
        """The value at the end of the pickle."""
        operations: Iterator[Any] = pickletools.genops(data)
        for operation, argument, _ in islice(operations, MOST_OPCODES):
            if operation.name == "STOP":
                (value,) = self.stack
                return _Plain(self.where).value(value, 0)
            act = _ACTIONS.get(operation.name)
            if act is None:
                self.refuse(f"holds the instruction {operation.name}, which no settings need")
            act(self, argument)
        self.refuse(f"has more than {MOST_OPCODES} instructions, or no end")

    def refuse(self, reason: str) -> NoReturn:
        """Raise the error."""
        raise BundleError(f"{self.where}: {reason}; nothing of it was run, and the archive is refused")

    def above_mark(self) -> list[Any]:
        """Take the values above the last mark, and the mark, off the stack."""
        place = max(place for place, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def named(self, module: Any, name: Any) -> None:
        """Push what a name stands for."""
        kind = _GLOBALS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if kind is None:
            self.refuse(f"names {shown(f'{module}.{name}')}, which is not an array of numbers")
        self.stack.append(_Name(kind))

    def reduce(self) -> None:
        """Push what a call of one of the known names stands for."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            self.refuse("calls what is no known function")
        self.stack.append(self.called(name.kind, arguments))

    def called(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """The array, type or number that a call makes."""
        if kind == "tensor" and arguments and isinstance(arguments[0], RawArray):
            return arguments[0]
        if kind == "create" and len(arguments) >= 3 and arguments[0] == _Name("reconstruct"):
            made = self.called("reconstruct", arguments[1])
            made.take(arguments[2])
            return made
        if kind == "reconstruct" and arguments and arguments[0] == _Name("ndarray"):
            return RawArray()
        if kind == "dtype" and arguments and isinstance(arguments[0], str):
            return RawType(checked_type(arguments[0]))
        if kind == "scalar" and len(arguments) == 2 and isinstance(arguments[0], RawType):
            return number(arguments[0].dtype, arguments[1])
        self.refuse(f"calls {kind} with other arguments than those of an array of numbers")

    def build(self) -> None:
        """Give an array or a type its values."""
        state, made = self.stack.pop(), self.stack[-1]
        if not isinstance(made, RawArray | RawType):
            self.refuse("sets the state of what is neither an array nor its type")
        made.take(state)


@final
@dataclass
class _Plain:
    """Takes what was read to plain values; what stands at several places is counted at each."""

    where: str
    count: int = 0

    def value(self, value: Any, level: int) -> Any:
        """The plain value."""
        self.count += 1
        if self.count > MOST_VALUES or level > MOST_LEVELS:
            raise BundleError(
                f"{self.where}: stands for more than {MOST_VALUES} values or {MOST_LEVELS} levels; it is refused"
            )
        if isinstance(value, RawArray):
            return value.array()
        if isinstance(value, list | tuple):
            return type(value)(self.value(item, level + 1) for item in value)
        if isinstance(value, dict):
            return {self.key(key): self.value(item, level + 1) for key, item in value.items()}
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
            return value
        raise BundleError(f"{self.where}: ends in something that is no value; the archive is refused")

    def key(self, key: Any) -> Any:
        """A key of a dictionary."""
        if not isinstance(key, str | int | float):
            raise BundleError(f"{self.where}: has a key that is neither text nor number; the archive is refused")
        return key


def _push(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _push_integer(machine: _Machine, argument: Any) -> None:
    if argument.bit_length() > 8 * LONGEST_INTEGER:
        machine.refuse("holds a whole number of more than 64 bits")
    machine.stack.append(argument)


def _pushing(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


def _ignore(machine: _Machine, argument: Any) -> None:
    pass


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def act(machine: _Machine, _: Any) -> None:
        if len(machine.stack) < count:
            raise IndexError("a tuple of more values than there are")
        values = machine.stack[-count:]
        machine.stack[-count:] = [tuple(values)]

    return act


def _extend(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        machine.refuse("appends to what is no list")
    target.extend(values)


def _append(machine: _Machine, _: Any) -> None:
    _extend(machine, [machine.stack.pop()])


def _appends(machine: _Machine, _: Any) -> None:
    _extend(machine, machine.above_mark())


def _update(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or not all(isinstance(key, str | int | float) for key in items[::2]):
        machine.refuse("sets items of what is no dictionary, or by keys that are neither text nor number")
    target.update(zip(items[::2], items[1::2], strict=True))


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _update(machine, [key, value])


def _set_items(machine: _Machine, _: Any) -> None:
    _update(machine, machine.above_mark())


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[argument] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[argument])


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.named(module, name)


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _ignore),
    **dict.fromkeys(
        ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _push
    ),
    **dict.fromkeys(("BINFLOAT",), _push),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _push_integer),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_DICT": _pushing(dict),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_TUPLE": _pushing(tuple),
    "MARK": _pushing(lambda: _MARK),
    "MEMOIZE": _memoize,
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.above_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": lambda machine, argument: machine.named(*argument.split(" ", 1)),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
"""What each instruction that is known does. Any other one is refused."""
