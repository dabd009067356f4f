"""What a legacy setting sets: stands on the field by `Annotated`, and is read by the code, the tests and the docs."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from ptychopinn.errors import ConfigError

Mark = TypeVar("Mark")

ANY = "any value"
"""Stands in `FieldMapping.given` for whatever is not None, False or 0."""


@dataclass(frozen=True)
class FieldMapping:
    """What becomes of one field."""

    how: str = ""
    """How it is translated, or why it has no effect."""
    paths: tuple[str, ...] = ()
    """Dotted keys of the recipe."""
    translate: Callable[[Any], Any] | None = None
    """Value of the field -> value of the first path; None where `recipe_of` translates it together with others."""
    leaves: tuple[object, ...] = ()
    """Values that leave the default of the recipe."""
    read_by: str = ""
    """Who reads it, where it is no setting of a recipe."""
    given: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """Other fields of the same class, and the values they must have for this one to act."""
    quiet: tuple[object, ...] = ()
    """Values besides the default that need no warning though they have no effect; `(ANY,)` for all."""
    caveats: Mapping[object, str] = field(default_factory=dict)
    """Values that are replaced by others, with a sentence about it."""
    refused: bool = False
    """Whether every value but the default is an error, because it would change the result and cannot be followed."""

    @property
    def has_effect(self) -> bool:
        """Whether anything reads the field."""
        return bool(self.paths or self.read_by)

    @property
    def condition(self) -> str:
        """The values that other fields must have, in words."""
        return " and ".join(
            f"{other} given" if values == (ANY,) else f"{other} = {' or '.join(map(str, values))}"
            for other, values in self.given.items()
        )

    @property
    def summary(self) -> str:
        """What becomes of the field, in one line of help."""
        keys = ", ".join(self.paths)
        start = f"Sets {keys}" if keys else f"Read by {self.read_by}" if self.read_by else "Not followed"
        return f"{start}: {self.how}." if self.how else f"{start}."

    def acts(self, owner: Any) -> bool:
        """Whether the other fields of a dataclass let this one act."""
        return all(_is_one_of(getattr(owner, other), values) for other, values in self.given.items())

    def without_effect(self, name: str, owner: Any) -> str | None:
        """Why the value of the field `name` has no effect, or another one than it names; None if it acts."""
        value = getattr(owner, name)
        if isinstance(value, str | int) and value in self.caveats:
            return self.caveats[value]
        if not self.has_effect:
            return self.how
        return None if self.acts(owner) else f"it acts only with {self.condition}"


def sets(path: str, how: str = "", translate: Callable[[Any], Any] = lambda value: value, **more: Any) -> FieldMapping:
    """A field that sets one key of the recipe by itself."""
    return FieldMapping(how, (path, *more.pop("also", ())), translate, **more)


def jointly(*paths: str, how: str = "", **more: Any) -> FieldMapping:
    """A field that `recipe_of` translates together with others."""
    return FieldMapping(how, paths, **more)


def read_by(reader: str, how: str = "") -> FieldMapping:
    """A field that is no setting of a recipe but is read by someone else."""
    return FieldMapping(how, read_by=reader)


def no_effect(why: str, *quiet: object) -> FieldMapping:
    """A field without effect, and the values that need no warning."""
    return FieldMapping(why, quiet=quiet)


def not_available(why: str) -> FieldMapping:
    """A field that must keep its default."""
    return FieldMapping(why, refused=True)


def marks(kind: type, mark: type[Mark]) -> dict[str, Mark]:
    """Field -> what stands on it of that type, for a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    found = ((item.name, part) for item in fields(kind) for part in getattr(hints[item.name], "__metadata__", ()))
    return {name: part for name, part in found if isinstance(part, mark)}


def recipe_values(*owners: Any) -> dict[str, Any]:
    """Dotted key of the recipe -> value, for all fields that are translated one by one; later owners win."""
    values = {}
    for owner in owners:
        for name, entry in marks(type(owner), FieldMapping).items():
            value = getattr(owner, name)
            if entry.translate and entry.acts(owner) and not _is_one_of(value, entry.leaves):
                values[entry.paths[0]] = entry.translate(value)
    return values


def refuse(owner: Any) -> None:
    """Raise `ConfigError` for the first field of a dataclass that asks for what is not available."""
    for name, entry in marks(type(owner), FieldMapping).items():
        value, default = getattr(owner, name), default_of(type(owner).__dataclass_fields__[name])
        if entry.refused and not _same(value, default):
            shown = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
            raise ConfigError(f"{name} is {shown}, but {entry.how}; leave it at {default!r}")


def ignored(owner: Any) -> list[tuple[str, object, str]]:
    """(field, value, reason) of every field of a dataclass that differs from its default without effect."""
    found = []
    for name, entry in marks(type(owner), FieldMapping).items():
        value, default = getattr(owner, name), default_of(type(owner).__dataclass_fields__[name])
        if entry.quiet != (ANY,) and not _is_one_of(value, (default, *entry.quiet)):
            reason = entry.without_effect(name, owner)
            found += [] if reason is None else [(name, value, reason)]
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
