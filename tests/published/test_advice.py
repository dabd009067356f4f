"""Every option, setting and function that a message names as a way out exists where the message appears."""

import ast
import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import typer.main
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from ptychopinn import Recipe
from ptychopinn.cli import app
from ptychopinn.errors import ConfigError

SOURCE = Path(__file__).resolve().parents[2] / "src" / "ptychopinn"
READING = ("info", "run", "train", "reconstruct", "convert")
"""Commands that read scans: what reading advises must be an option of each."""
RUNNER = Path("cli/grid_lines_runner.py")
"""A script with a parser of its own."""
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SETTING = re.compile(
    r"(?<![\w./])(data|training|model|reconstruction|simulation|backend)((?:\.[a-z][A-Za-z_0-9]*)+)(=\S+)?"
)
_FUNCTION = re.compile(r"(?<![\w.])(numpy|ptychopinn)((?:\.[A-Za-z_]\w*)+)")
_COMMAND = re.compile(r"`?ptychopinn ([a-z]+)(?= [\w/.{-])")


def texts(tree: ast.Module) -> Iterator[str]:
    """Texts of a module that are no docstrings; of formatted ones the values are {}."""
    documentation = {
        id(body[0].value)
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list) and body and isinstance(body[0], ast.Expr)
    } | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in documentation or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


MESSAGES = [
    (path.relative_to(SOURCE), text)
    for path in sorted(SOURCE.rglob("*.py"))
    for text in texts(ast.parse(path.read_text(encoding="utf-8")))
    if " " in text
]


def options() -> dict[str, set[str]]:
    """Options by command, those of `study grid-lines` under its own name."""
    found: dict[str, set[str]] = {}

    def visit(command: Any, name: str) -> None:
        found[name] = {"--help", *(word for one in command.params for word in (*one.opts, *one.secondary_opts))}
        for below, inner in getattr(command, "commands", {}).items():
            visit(inner, below)
            if name:
                found[name] |= found[below]

    visit(typer.main.get_command(app), "")
    return found


OPTIONS = options()


def exists(path: str) -> bool:
    """Whether a dotted setting stands in the recipe."""
    section: Any = Recipe
    for name in path.split("."):
        if not (isinstance(section, type) and issubclass(section, BaseModel)) or name not in section.model_fields:
            return False
        section = section.model_fields[name].annotation
        kinds = [kind for kind in getattr(section, "__args__", ()) if isinstance(kind, type)]
        section = next((kind for kind in kinds if issubclass(kind, BaseModel)), section)
    return True


def accepted_alone(path: str, text: str) -> bool:
    """Whether the field of a setting accepts a value, whatever the other settings of its section need."""
    section: Any = Recipe
    *parents, last = path.split(".")
    for name in parents:
        section = section.model_fields[name].annotation
    adapter = TypeAdapter(section.model_fields[last].annotation)
    try:
        adapter.validate_python(yaml.safe_load(text))
    except ValidationError:
        return False
    return True


def test_there_are_messages_to_look_at() -> None:
    """The search finds what it is meant to find, so that no message passes unseen."""
    joined = "\n".join(text for _, text in MESSAGES)
    for known in ("--fftshift", "data.fftshift=true", "numpy.savez", "--drop-frames", "ptychopinn convert"):
        assert known in joined
    assert {"--probe", "--set"} <= OPTIONS["run"]
    assert not exists("data.no_such_setting")


@pytest.mark.parametrize(("where", "text"), [m for m in MESSAGES if _OPTION.search(m[1])])
def test_options_exist(where: Path, text: str) -> None:
    """What reading advises is an option of every command that reads a scan, unless the message names the command."""
    reads = where.parts[0] == "data" or where.name in ("scan_problems.py", "inputs.py")
    named = [name for name in _COMMAND.findall(text) if name in OPTIONS]
    for option in set(_OPTION.findall(text)):
        if option == "--set":
            assert all(option in OPTIONS[name] for name in READING if name != "convert")
        elif named:
            assert any(option in OPTIONS[name] for name in named), f"{option} is no option of {named}"
        elif reads:
            lacking = [name for name in READING if option not in OPTIONS[name]]
            assert not lacking, f"{option} is no option of {lacking}"
        else:
            of_runner = where.name.startswith("grid_lines") and f'"{option}"' in (SOURCE / RUNNER).read_text()
            assert of_runner or any(option in known for known in OPTIONS.values()), f"{option} is no option"


@pytest.mark.parametrize(("where", "text"), [m for m in MESSAGES if _SETTING.search(m[1])])
def test_settings_exist(where: Path, text: str) -> None:
    for section, rest, value in _SETTING.findall(text):
        path = (section + rest).rstrip(".")
        if path.endswith((".npz", ".png", ".json")):
            continue  # a file
        assert exists(path), f"{path} is no setting"
        shown = value.lstrip("=").rstrip(").,;:'\"`")
        if shown and "{" not in shown and shown not in ("N", "..."):
            with contextlib.suppress(ConfigError):  # it may need another setting beside it
                Recipe().with_overrides([f"{path}={shown}"])
                continue
            assert accepted_alone(path, shown), f"{path}={shown} is refused"


@pytest.mark.parametrize(("where", "text"), [m for m in MESSAGES if _FUNCTION.search(m[1])])
def test_functions_exist(where: Path, text: str) -> None:
    for package, rest in _FUNCTION.findall(text):
        found: Any = numpy if package == "numpy" else importlib.import_module("ptychopinn")
        for name in rest.strip(".").split("."):
            if not hasattr(found, name):
                found = importlib.import_module(f"{found.__name__}.{name}")
            else:
                found = getattr(found, name)


@pytest.mark.parametrize(("where", "text"), [m for m in MESSAGES if "`ptychopinn " in m[1]])
def test_commands_exist(where: Path, text: str) -> None:
    for name in re.findall(r"`ptychopinn ([a-z-]+)", text):
        assert name in OPTIONS
