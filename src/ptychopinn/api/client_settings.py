"""A client's settings, several dataclasses that may change: from plain values and back, changed by names of fields.

A holder has the dataclasses, its sections, as attributes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from ptychopinn.errors import ConfigError

Config = TypeVar("Config")


def config_of(kind: type[Config], value: Any) -> Config:
    """An object of a dataclass from itself or from a mapping of its fields; lists become tuples where these are meant.

    Raises:
        TypeError: neither, or a mapping with an unknown name.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Crop:
    ...     rows: tuple[int, int] = (0, 64)
    >>> config_of(Crop, {"rows": [8, 56]})
    Crop(rows=(8, 56))
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{kind.__name__} or a mapping of its fields is needed, not a {type(value).__name__}")
    pairs = {item.name for item in fields(kind) if isinstance(item.default, tuple)}  # type: ignore[arg-type]
    return kind(**{name: tuple(entry) if name in pairs else entry for name, entry in value.items()})


def plain_of(config: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON values; tuples become lists.

    Raises:
        ConfigError: a field that has no such value; the message names it.
    """
    values = asdict(config)
    for name, value in values.items():
        try:
            values[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            raise ConfigError(
                f"{name} is a {type(value).__name__}, which cannot be saved; give numbers, text or lists"
            ) from None
    return values


def read_sections(path: str | Path, sections: Sequence[str]) -> dict[str, Any]:
    """The JSON object of a file; the error for another value names the sections.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: it is no JSON object.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no JSON file ({error}); correct it") from None
    if not isinstance(stored, dict):
        raise ConfigError(f"{path}: must be an object with {', '.join(sections)}")
    return stored


def flat_fields(holder: Any, sections: Iterable[str]) -> dict[str, Any]:
    """Every field as `section.field`."""
    return {
        f"{section}.{name}": value for section in sections for name, value in asdict(getattr(holder, section)).items()
    }


def change_fields(holder: Any, sections: Sequence[str], changes: Mapping[str, Any]) -> None:
    """Change fields by name, or those of one section by a mapping; an object takes the place of a section.

    Args:
        holder: is changed.
        sections: names of its dataclasses.
        changes: by the name of a section, or of a field that one section has.

    Raises:
        TypeError: no section has such a field.
        ValueError: several have it.
    """
    for name, value in changes.items():
        if name not in sections:
            setattr(getattr(holder, _owner(holder, sections, name)), name, value)
        elif isinstance(value, Mapping):
            unknown = sorted(set(value) - set(asdict(getattr(holder, name))))
            if unknown:
                raise TypeError(f"{name} has no field {', '.join(unknown)}")
            vars(getattr(holder, name)).update(value)
        else:
            setattr(holder, name, value)


def differing_fields(here: Mapping[str, Any], there: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Those of the names whose values differ, each with the value here and that of the model.

    >>> differing_fields({"N": 64, "C": 4}, {"N": 128, "C": 4}, ("N", "C"))
    ['N (here 64, model 128)']
    """
    return [f"{name} (here {here[name]!r}, model {there[name]!r})" for name in names if here[name] != there[name]]


def _owner(holder: Any, sections: Sequence[str], name: str) -> str:
    """The one section that has a field."""
    owners = [section for section in sections if name in asdict(getattr(holder, section))]
    if not owners:
        raise TypeError(f"no configuration has a field {name!r}; give a field of {', '.join(sections)}")
    if len(owners) > 1:
        raise ValueError(f"{name} is a field of {' and '.join(owners)}; write update({owners[0]}={{{name!r}: ...}})")
    return owners[0]
