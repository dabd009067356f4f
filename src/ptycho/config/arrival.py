"""Where a field of the older settings arrives: one entry for each field, read by the code, the tests and the docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from ptychopinn.errors import ConfigError

ANY = "any value"
"""Stands in `Arrival.given` for whatever is not None, False or 0."""


@dataclass(frozen=True)
class Arrival:
    """What becomes of one field."""

    how: str = ""
    """How it is translated, or why it reaches nothing."""
    paths: tuple[str, ...] = ()
    """Dotted keys of the recipe."""
    read_by: str = ""
    """Who else reads it, where it is no setting of a recipe."""
    given: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """Other fields of the same class, and the values they must have for this one to act."""
    quiet: tuple[object, ...] = ()
    """Values besides the default that need no warning though they reach nothing; `(ANY,)` for all."""
    caveats: Mapping[object, str] = field(default_factory=dict)
    """Values that arrive as something else than they say, with a word on it."""
    refused: bool = False
    """Whether every value but the default is an error, because it would change the result and cannot be followed."""

    @property
    def arrives(self) -> bool:
        """Whether anything reads the field."""
        return bool(self.paths or self.read_by)

    def without_effect(self, name: str, owner: Any) -> str | None:
        """Why the value of the field `name` does nothing, or not what it says; None if it does."""
        value = getattr(owner, name)
        if isinstance(value, str | int) and value in self.caveats:
            return self.caveats[value]
        if not self.arrives:
            return self.how
        unmet = [other for other, values in self.given.items() if not _is_one_of(getattr(owner, other), values)]
        return f"it acts only with {self.condition}" if unmet else None

    @property
    def condition(self) -> str:
        """The values that other fields must have, in words."""
        parts = []
        for other, values in self.given.items():
            parts.append(f"{other} given" if values == (ANY,) else f"{other} = {' or '.join(map(str, values))}")
        return " and ".join(parts)


def to_recipe(*paths: str, how: str = "", **more: Any) -> Arrival:
    """A field that arrives at one or several keys of the recipe."""
    return Arrival(how, paths, **more)


def read_by(reader: str, how: str = "") -> Arrival:
    """A field that is no setting of a recipe but is read by someone else."""
    return Arrival(how, read_by=reader)


def nowhere(why: str, *quiet: object) -> Arrival:
    """A field that reaches nothing, and the values that need no warning."""
    return Arrival(why, quiet=quiet)


def not_available(why: str) -> Arrival:
    """A field that must keep its default."""
    return Arrival(why, refused=True)


def refuse(owner: Any, table: Mapping[str, Arrival]) -> None:
    """Raise for the first field of a dataclass that asks for what is not available.

    Raises:
        ConfigError: names the field, its value and the way out.
    """
    for item in fields(owner):
        value, default = getattr(owner, item.name), default_of(item)
        if table[item.name].refused and not _same(value, default):
            shown = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
            raise ConfigError(f"{item.name} is {shown}, but {table[item.name].how}; leave it at {default!r}")


def ignored(owner: Any, table: Mapping[str, Arrival]) -> list[tuple[str, object, str]]:
    """(field, value, reason) of every field of a dataclass that is set to something else than its default in vain."""
    found = []
    for item in fields(owner):
        value, entry = getattr(owner, item.name), table[item.name]
        if entry.quiet == (ANY,) or any(_same(value, quiet) for quiet in (default_of(item), *entry.quiet)):
            continue
        reason = entry.without_effect(item.name, owner)
        if reason is not None:
            found.append((item.name, value, reason))
    return found


def default_of(item: Field[Any]) -> Any:
    """Default of a dataclass field; `MISSING` where it has none."""
    return item.default if item.default_factory is MISSING else item.default_factory()


def _is_one_of(value: object, allowed: tuple[object, ...]) -> bool:
    return bool(value) if allowed == (ANY,) else any(_same(value, item) for item in allowed)


def _same(value: object, other: object) -> bool:
    """Equality that does not look at the case of text; arrays are never equal to a plain value."""
    if isinstance(value, str) and isinstance(other, str):
        return value.casefold() == other.casefold()
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return list(value) == list(other)
    return type(value).__module__ in ("builtins", "pathlib", "pathlib._local") and value == other
