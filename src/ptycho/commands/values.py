"""Text to the type that a field of a dataclass is annotated with."""

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from ptychopinn.errors import ConfigError

_TRUE_OR_FALSE = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def read_value(kind: Any, text: str) -> Any:
    """The value that a text stands for.

    Args:
        kind: `bool`, `int`, `float`, `str`, `Path`, a `Literal`, a list of one of them, or a union of these.
        text: as typed; lists are separated by commas, and `none` is None where that is allowed.

    Raises:
        ConfigError: the text is no such value; the message has the type in words.

    >>> read_value(int | None, "none"), read_value(float, "1e9"), read_value(list[int] | None, "3,5")
    (None, 1000000000.0, [3, 5])
    """
    for one in members(kind):
        try:
            return _read(one, text.strip())
        except (ValueError, KeyError):
            continue
    raise ConfigError(f"{text!r} is not {describe(kind)}")


def describe(kind: Any) -> str:
    """A type in words.

    >>> describe(int | None), describe(bool | Literal["warn"])
    ('a whole number or none', 'true or false, or warn')
    """
    words = [_WORDS.get(one) or _describe(one) for one in members(kind)]
    joint = ", or " if any(" or " in word for word in words) else " or "
    return joint.join(words)


def members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, with text last because it takes anything; another type alone."""
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return tuple(sorted(parts, key=lambda part: part is str))


def _read(kind: Any, text: str) -> Any:
    if kind is types.NoneType:
        return {"none": None, "null": None}[text.lower()]
    if get_origin(kind) is Literal:
        return {str(choice).lower(): choice for choice in get_args(kind)}[text.lower()]
    if get_origin(kind) is list:
        return [_read(get_args(kind)[0], part.strip()) for part in text.strip("[]").split(",") if part.strip()]
    if kind is bool:
        return _TRUE_OR_FALSE[text.lower()]
    return _whole(text) if kind is int else kind(text)


def _whole(text: str) -> int:
    """A whole number, also one written as 1e6."""
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value if "e" in text.lower() else text)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    return f"{_WORDS[get_args(kind)[0]]}s, separated by commas".removeprefix("a ")


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    types.NoneType: "none",
}
