"""Options of a command that are spelled with dashes or underscores, and the values that their texts stand for."""

import argparse
import logging
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn")


@dataclass(frozen=True)
class Flag:
    """One option of a command."""

    name: str
    """As shown, without the leading dashes."""
    dest: str
    """What it sets: a field, or one of the model or of the execution settings as `model.` or `torch.` and field."""
    kind: Any = str
    """Type of the value; one that may be true or false needs no value."""
    note: str = ""
    """Its line in `--help`."""
    others: tuple[str, ...] = ()
    """Further spellings."""
    replaced_by: str = ""
    """For an old spelling, what to write instead."""


class Options:
    """The options of one command; `groups` is title -> flags, `example` a line that works.

    Args:
        prog: name of the command.
        description: what it does.
        example: a line that works.
        groups: title -> flags.
    """

    def __init__(self, prog: str, description: str, example: str, groups: Mapping[str, Sequence[Flag]]) -> None:
        self._parser = _Parser(
            prog=prog,
            usage="%(prog)s [options]",
            description=description,
            epilog=f"Example: {example}",
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
        )
        self._flags: dict[str, Flag] = {}
        self._spelling = {"help": "--help"}
        for title, flags in groups.items():
            group = self._parser.add_argument_group(title)
            for flag in flags:
                self._add(group, flag)

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """Destination -> value of every option that was given; `--help` ends the process.

        A `ConfigError` for an unknown option, a bad value or a missing value has the way out.

        Raises:
            ConfigError: an unknown option, a bad value, a missing value; the message names the way out.
        """
        found, extra = self._parser.parse_known_args([self._spelled(word) for word in argv])
        if extra:
            raise ConfigError(f"{extra[0].partition('=')[0]} is no option of this command{self._near(extra[0])}")
        values = {}
        for name, text in vars(found).items():
            flag = self._flags[name]
            if flag.replaced_by:
                logger.warning("DeprecationWarning: --%s is an old spelling; %s", flag.name, flag.replaced_by)
            values[flag.dest] = _read(flag, text, f"--{flag.name}")
        return values

    def knows(self, name: str) -> bool:
        """Whether there is a flag of that name, in either spelling."""
        return _key(name) in self._spelling

    def from_mapping(self, tree: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The same for the keys of a settings file: names of flags, `model` and `torch` nested or flat.

        Raises:
            ConfigError: an unknown key or a bad value.
        """
        values: dict[str, Any] = {}
        for key, value in tree.items():
            if isinstance(value, Mapping) and key in ("model", "torch"):
                nested = {f"torch_{name}" if key == "torch" else name: item for name, item in value.items()}
                values |= self.from_mapping(nested, where)
                continue
            flag = self._flags.get(_key(str(key)))
            if flag is None:
                raise ConfigError(f"{where}: unknown key {key}{self._near(str(key))}")
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            values[flag.dest] = _read(flag, text, f"{where}: {key}")
        return values

    def _add(self, group: Any, flag: Flag) -> None:
        names = (flag.name, *flag.others)
        for name in names:
            self._flags[_key(name)] = flag
            self._spelling[_key(name)] = f"--{name}"
        dest, note = _key(flag.name), flag.note.replace("%", "%%")
        is_switch = bool in members(flag.kind)
        optional = {"nargs": "?", "const": "true"} if is_switch else {}
        group.add_argument(
            *(f"--{name}" for name in names), dest=dest, metavar=_metavar(flag.kind), help=note, **optional
        )
        if is_switch and not flag.replaced_by:
            self._spelling[f"no_{dest}"] = f"--no_{dest}"
            group.add_argument(f"--no_{dest}", dest=dest, action="store_const", const="false", help=argparse.SUPPRESS)

    def _spelled(self, word: str) -> str:
        if not word.startswith("--"):
            return word
        name, equals, value = word[2:].partition("=")
        return self._spelling.get(_key(name), f"--{name}") + equals + value

    def _near(self, word: str) -> str:
        close = get_close_matches(_key(word.lstrip("-").partition("=")[0]), self._spelling, n=1)
        return f"; did you mean {self._spelling[close[0]]}?" if close else "; --help lists them"


class _Parser(argparse.ArgumentParser):
    """Bad arguments raise instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message.removeprefix("argument ").replace(": expected one argument", " needs a value"))


def _read(flag: Flag, text: str, where: str) -> Any:
    try:
        return read_value(flag.kind, text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _key(name: str) -> str:
    return name.replace("-", "_")


_TRUE_OR_FALSE = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_KINDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "true|false"),
    int: ("a whole number", "N"),
    float: ("a number", "X"),
    str: ("text", "TEXT"),
    Path: ("a path", "PATH"),
    types.NoneType: ("none", ""),
}
"""Type -> its name in messages, and what stands for its value in the help."""


def read_value(kind: Any, text: str) -> Any:
    """The value that a text stands for; a `ConfigError` with the type in words where it is no such value.

    Args:
        kind: `bool`, `int`, `float`, `str`, `Path`, a `Literal`, a list of one of them, or a union of these.
        text: as typed; lists are separated by commas, and `none` is None where that is allowed.

    >>> read_value(int | None, "none"), read_value(float, "1e9"), read_value(list[int] | None, "3,5")
    (None, 1000000000.0, [3, 5])
    """
    for one in members(kind):
        try:
            return _parsed(one, text.strip())
        except (ValueError, KeyError):
            continue
    raise ConfigError(f"{text!r} is not {describe(kind)}")


def describe(kind: Any) -> str:
    """A type in words.

    >>> describe(int | None), describe(bool | Literal["warn"])
    ('a whole number or none', 'true or false, or warn')
    """
    words = [_KINDS[one][0] if one in _KINDS else _in_words(one) for one in members(kind)]
    return (", or " if any(" or " in word for word in words) else " or ").join(words)


def members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, with text last because it takes anything; another type alone."""
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return tuple(sorted(parts, key=lambda part: part is str))


def _parsed(kind: Any, text: str) -> Any:
    if kind is types.NoneType:
        return {"none": None, "null": None}[text.lower()]
    if get_origin(kind) is Literal:
        return {str(choice).lower(): choice for choice in get_args(kind)}[text.lower()]
    if get_origin(kind) is list:
        return [_parsed(get_args(kind)[0], part.strip()) for part in text.strip("[]").split(",") if part.strip()]
    if kind is bool:
        return _TRUE_OR_FALSE[text.lower()]
    if kind is int and not float(text).is_integer():
        raise ValueError(text)
    return int(float(text) if "e" in text.lower() else text) if kind is int else kind(text)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    return f"{_KINDS[get_args(kind)[0]][0]}s, separated by commas".removeprefix("a ")


def _metavar(kind: Any) -> str:
    parts = (part for part in members(kind) if part is not types.NoneType)
    return "|".join(_KINDS[part][1] if part in _KINDS else _choices(part) for part in parts)


def _choices(kind: Any) -> str:
    return "|".join(map(str, get_args(kind))) if get_origin(kind) is Literal else "A,B,..."
