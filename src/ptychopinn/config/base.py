"""What all sections of a recipe share: frozen, no unknown keys, earlier names accepted, changed by one method."""

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, ClassVar, Self, TypeGuard

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn.config")
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 200, 200
"""Shows values of a recipe in messages; they may be of any size."""

_MOST_ERRORS = 5
"""Faults of a recipe that are named; a message has 1000 characters."""


class Section(BaseModel):
    """One frozen section of the recipe."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    renamed: ClassVar[Mapping[str, str]] = {}
    """Earlier name of a setting -> its name now; the earlier one is accepted with a warning for one release."""

    @classmethod
    def current_name(cls, name: str) -> str:
        """Name of a setting now; logs a warning where an earlier name was given."""
        current = cls.renamed.get(name, name)
        if current != name:
            logger.warning("the setting %s is now called %s; the old name will be removed", name, current)
        return current

    @model_validator(mode="before")
    @classmethod
    def _without_empty_sections(cls, tree: Any) -> Any:
        """A section with nothing below it has its defaults."""
        if not isinstance(tree, Mapping):
            return tree
        empty = [name for name in tree if _is_empty(tree[name], cls, name)]
        return {name: value for name, value in tree.items() if name not in empty} if empty else tree

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping) or cls.renamed.keys().isdisjoint(tree):
            return tree
        both = [old for old, new in cls.renamed.items() if old in tree and new in tree]
        if both:
            raise ValueError(f"{both[0]} and {cls.renamed[both[0]]} are two names of one setting; give only the second")
        return {cls.current_name(name): value for name, value in tree.items()}

    def changed(self, **values: Any) -> Self:
        """A new section with some fields replaced; all fields are validated together.

        Sections among the values are taken as they are. For settings by their dotted path there is
        `Recipe.with_overrides`.

        Raises:
            ConfigError: an unknown field or a bad value, each named with its dotted path.

        >>> from ptychopinn.config import TrainingConfig
        >>> TrainingConfig().changed(epochs=3).epochs
        3
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self).model_validate(fields | values)
        except ValidationError as error:
            raise ConfigError(explain(error, type(self), type(self).__name__)) from None


def is_section(kind: Any) -> TypeGuard[type[Section]]:
    """Whether the type of a field is a section."""
    return isinstance(kind, type) and issubclass(kind, Section)


def _is_empty(value: Any, section: type[Section], name: Any) -> bool:
    """Whether a value of a section is a section in which nothing is stated, as `data:` with comments below it."""
    field = section.model_fields.get(name)
    if field is None or not is_section(field.annotation):
        return False
    inner = field.annotation
    return value is None or (isinstance(value, Mapping) and all(_is_empty(value[key], inner, key) for key in value))


def explain(error: ValidationError, section: type[Section], where: str) -> str:
    """One sentence for each thing that is wrong, with its dotted path below `section`."""
    parts = []
    for item in error.errors()[:_MOST_ERRORS]:
        path = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown key {path}{_near(path, section)}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            shown = "{...}" if isinstance(item["input"], dict | BaseModel) else _SHORT.repr(item["input"])
            parts.append((f"{path} = {shown}: " if path else "") + message[:1].lower() + message[1:])
    if error.error_count() > _MOST_ERRORS:
        parts.append(f"and {error.error_count() - _MOST_ERRORS} more")
    return f"{where}: {'; '.join(parts)}"


def _near(path: str, section: type[Section]) -> str:
    """The keys that stand where an unknown key was given, best guess first."""
    *parents, last = path.split(".")
    for name in parents:
        field = section.model_fields.get(name)
        if field is None or not is_section(field.annotation):
            return ""
        section = field.annotation
    known = list(section.model_fields)
    close = get_close_matches(last, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
