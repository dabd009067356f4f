"""Flags of a command, made from the fields of dataclasses."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from ptycho.config.field_mapping import FieldMapping, marks
from ptychopinn.cli.flags import Flag as Flag
from ptychopinn.cli.flags import Options as Options
from ptychopinn.cli.flags import read_value as read_value


def field_flags(
    settings: type, notes: Mapping[str, str], names: Mapping[str, str] | None = None, *, section: str = ""
) -> list[Flag]:
    """One flag for every field of a dataclass but `model` and `n_images`, its own fields first.

    Args:
        settings: the dataclass.
        notes: field -> text of the help; what becomes of the field by default. The default value is added.
        names: field -> name, where the flag is not called after its field; the field's own name works as well.
        section: `model` or `torch`; the latter also begins the names of the flags.
    """
    hints, entries = get_type_hints(settings), marks(settings, FieldMapping)
    prefix = "torch-" if section == "torch" else ""
    flags = []
    for field in sorted(fields(settings), key=lambda field: field.name not in settings.__annotations__):
        if field.name in ("model", "n_images"):
            continue
        spelled = dict.fromkeys(((names or {}).get(field.name, field.name), field.name))
        first, *others = (prefix + (one.replace("_", "-") if prefix else one) for one in spelled)
        dest = f"{section}.{field.name}" if section else field.name
        note = notes.get(field.name) or entries[field.name].summary
        flags.append(Flag(first, dest, hints[field.name], note + _default_of(field), tuple(others)))
    return flags


def _default_of(field: "Field[Any]") -> str:
    if field.default is MISSING or field.default is None:
        return ""
    return f" (default {str(field.default).lower() if isinstance(field.default, bool) else field.default})"
