"""Rules for the values of single settings; a `Check` stands on the field by `Annotated`."""

import copy
import types
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ptycho.config.field_mapping import marks
from ptychopinn.errors import ConfigError

Config = TypeVar("Config")


@dataclass(frozen=True)
class Check:
    """What the value of a field must be, unless it is None."""

    words: str
    holds: Callable[[Any], bool]
    message: str = "{name} must be {words}, got {value}"


POSITIVE = Check("positive", lambda value: value > 0)
NON_NEGATIVE = Check("non-negative", lambda value: value >= 0)
FRACTION = Check("in [0,1]", lambda value: 0 <= value <= 1)
KNOWN = Check("one of the words of its type", bool)


def among(*words: str) -> Check:
    """One of these words, in this spelling."""
    return Check(str(list(words)), words.__contains__, "Invalid {name}: {value!r}. Expected one of {words}.")


def check(config: Any) -> None:
    """Raise `ConfigError` for the first field of a dataclass, or of one inside it, that breaks its `Check`."""
    rules = marks(type(config), Check)
    for name, hint in get_type_hints(type(config)).items():
        value, rule = getattr(config, name), rules.get(name)
        if is_dataclass(value):
            check(value)
        elif rule is KNOWN:
            one_of(name, value, _choices(hint)[0])
        elif rule is not None and value is not None and not rule.holds(value):
            raise ConfigError(rule.message.format(name=name, words=rule.words, value=value))


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """The allowed spelling of a text, whatever its case; a `ConfigError` where it is not one of them.

    >>> one_of("scheduler", "exponential", ("Default", "Exponential"))
    'Exponential'
    """
    found = {item.casefold(): item for item in allowed}.get(str(value).casefold())
    if found is None:
        raise ConfigError(f"Invalid {name} {value!r}. Expected one of {list(allowed)}.")
    return found


def with_known_choices(config: Config) -> Config:
    """A copy of a dataclass in which every choice of words has its usual spelling; errors are those of `one_of`."""
    known = copy.copy(config)
    for name, hint in get_type_hints(type(config)).items():
        words, may_be_none = _choices(hint)
        value = getattr(config, name)
        if words:
            is_none = may_be_none and str(value).casefold() == "none"
            setattr(known, name, None if is_none else one_of(name, value, words))
    return known


def _choices(hint: Any) -> tuple[tuple[str, ...], bool]:
    """Words that a `Literal` field may take, and whether it may be None."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return tuple(words) if len(parts) - (type(None) in parts) == 1 else (), type(None) in parts
