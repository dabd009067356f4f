"""Which of several entries or detectors of a file is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from ptychopinn.errors import ScanError


@final
@dataclass(frozen=True, eq=False)
class Candidate:
    """One entry or detector."""

    name: str
    item: Any
    """The group."""
    has_patterns: bool
    parts: int
    """How many of the parts of a scan it holds."""

    def is_named(self, name: str) -> bool:
        """Whether a name, or a path from the top of the file, is that of this one."""
        return name.strip("/") in (self.name, self.name.rpartition("/")[2], self.item.name.strip("/"))


def chosen(
    candidates: Sequence[Candidate], given: str | None, default: str | None, kind: str, source: str, notes: list[str]
) -> Candidate | None:
    """The candidate that a user names, else that of the file's default, else the most complete one.

    Others that hold patterns too are named in a note, unless the user or the file has chosen.

    Args:
        candidates: in the order of the file.
        given: name by the user.
        default: name by the file; it counts only if that one holds patterns, or none does.
        kind: `entry` or `detector`, for messages and the option.
        source: path of the file, for messages.
        notes: sentences for the user; a note is added.

    Raises:
        ScanError: nothing has the name that the user gave.
    """
    if given is not None:
        named = [one for one in candidates if one.is_named(given)]
        if not named:
            names = ", ".join(one.name for one in candidates) or "none"
            raise ScanError(f"{source}: --{kind} (data.{kind}) must be one of {names}, got {given!r}")
        return named[0]
    if not candidates:
        return None
    any_patterns = any(one.has_patterns for one in candidates)
    for one in candidates:
        if default and one.is_named(default) and (one.has_patterns or not any_patterns):
            return one
    best = max(candidates, key=lambda one: (one.has_patterns, one.parts))
    others = [one.name for one in candidates if one is not best and one.has_patterns == best.has_patterns]
    if others:
        held = ("hold" if len(others) > 1 else "holds") + (" patterns" if best.has_patterns else " data")
        notes.append(f"{kind} {best.name} is read; {', '.join(others)} {held} too, choose by --{kind} (data.{kind})")
    return best


def choices(candidates: Sequence[Candidate], taken: Candidate | None, kind: str, plural: str) -> dict[str, Any]:
    """Metadata that name what was there to choose from; empty where there was nothing."""
    if len(candidates) < 2 or taken is None:
        return {}
    return {kind: taken.name, plural: [one.name for one in candidates]}
