"""Hook of MkDocs: the reference of public names, of every setting, and of the commands, made from the package."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer
import yaml
from mkdocs.structure.files import File, Files
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

import ptychopinn
from ptychopinn.cli import app
from ptychopinn.config import Recipe, Section
from ptychopinn.config.base import is_section

RESULTS = (
    "ptychopinn.api.run.Run",
    "ptychopinn.api.reconstructed.Reconstructed",
    "ptychopinn.api.train.Trained",
    "ptychopinn.api.evaluate.Evaluation",
    "ptychopinn.api.simulate.Simulated",
    "ptychopinn.api.check.Checked",
    "ptychopinn.api.scan_info.ScanInfo",
    "ptychopinn.api.convert.Converted",
)
"""What the commands return."""
UNITS = {
    "_px": "px",
    "_m": "m",
    "_um": "µm",
    "_nm": "nm",
    "_eV": "eV",
    "_rad": "rad",
    "_deg": "degrees",
    "_s": "s",
    "_photons": "photons",
    "photons_per_pattern": "photons",
}
"""Ends of the names of settings -> unit."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference."""
    made = {"python": python_page(), "commands": commands_page()}
    made |= {f"settings/{name}": text for name, text in settings_pages().items()}
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def python_page() -> str:
    """Every public name of `ptychopinn`, functions first, then types and what the functions return."""
    values = {name: getattr(ptychopinn, name) for name in ptychopinn.__all__}
    functions = [name for name, value in values.items() if inspect.isfunction(value)]
    types = [name for name, value in values.items() if inspect.isclass(value)]
    others = sorted(set(values) - set(functions) - set(types))
    lines = ["# Python", "", "Everything here is imported from `ptychopinn`, and loaded when it is first used."]
    for title, names in (("Functions", functions), ("Types", types)):
        lines += ["", f"## {title}"]
        for name in names:
            lines += _entry(f"ptychopinn.{name}", f"{values[name].__module__}.{values[name].__qualname__}")
    lines += ["", "## Others"]
    for name in others:
        lines += [
            "",
            f'### <a id="ptychopinn.{name}"></a>`{name}`',
            "",
            "The version of the installed package, a text.",
        ]
    lines += ["", "## Results", "", "What the functions return; their modules are named for `import`."]
    for path in RESULTS:
        lines += _entry(path, path)
    return "\n".join(lines) + "\n"


def _entry(name: str, path: str) -> list[str]:
    options = [
        "    options:",
        "      show_root_heading: false",
        "      show_root_toc_entry: false",
        "      heading_level: 4",
    ]
    return ["", f"### `{name}` {{ #{name} }}", "", f"::: {path}", *options]


def settings_pages() -> dict[str, str]:
    """One page for each section of the recipe, and `recipe` for what stands at its top; see `setting`."""
    schema = Recipe.model_json_schema()
    pages: dict[str, list[str]] = {"recipe": ["# Recipe", "", inspect.cleandoc(Recipe.__doc__ or "").split("\n\n")[0]]}
    for key, section, name, field, part in walk(Recipe, schema, schema):
        page = key.partition(".")[0] if "." in key else "recipe"
        if page not in pages:
            about = Recipe.model_fields[page].annotation.__doc__
            pages[page] = [f"# `{page}`", "", inspect.cleandoc(about or "")]
        above = key.rpartition(".")[0]
        heading = f"## `{above}`"
        if above.count(".") and heading not in pages[page]:
            pages[page] += ["", heading, "", inspect.cleandoc(section.__doc__ or "")]
        pages[page] += setting(key, name, field, part)
    return {name: "\n".join(lines) + "\n" for name, lines in pages.items()}


def walk(
    section: type[Section], part: dict[str, Any], schema: dict[str, Any], above: str = ""
) -> Iterator[tuple[str, type[Section], str, FieldInfo, dict[str, Any]]]:
    """Dotted key, section, name, field and JSON schema of each setting: those of a section before its sections."""
    fields = section.model_fields.items()
    for name, field in sorted(fields, key=lambda item: is_section(item[1].annotation)):
        inner = part["properties"][name]
        if is_section(field.annotation):
            inner = schema["$defs"][field.annotation.__name__]
            yield from walk(field.annotation, inner, schema, f"{above}{name}.")
        else:
            yield f"{above}{name}", section, name, field, inner


def setting(key: str, name: str, field: FieldInfo, part: dict[str, Any]) -> list[str]:
    """Heading, help, and a line with type and bounds, unit and default."""
    default = field.get_default(call_default_factory=True)
    plain = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
    plain = list(plain) if isinstance(plain, tuple) else plain
    text = (
        "must be given"
        if field.is_required()
        else f"`{yaml.safe_dump(plain, default_flow_style=True).splitlines()[0]}`"
    )
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    facts = [f"**Values** {values(part)}", *([f"**Unit** {unit}"] if unit else []), f"**Default** {text}"]
    return ["", f"### `{key}` {{ #{key} }}", "", field.description or "", "", " · ".join(facts)]


def values(part: dict[str, Any]) -> str:
    """Kind and bounds of a setting in words, of its JSON schema.

    >>> values({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]})
    'whole number from 1 to 9, or null'
    """
    if "anyOf" in part:
        return ", or ".join(values(one) for one in part["anyOf"])
    if "enum" in part or "const" in part:
        return ", ".join(f"`{one}`" for one in part.get("enum", [part.get("const")]))
    kinds = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true` or `false`",
        "array": "list",
    }
    kind = part.get("type", "")
    text = kinds.get(kind, kind or "section")
    if kind == "array":
        inner = part.get("items") or next(iter(part.get("prefixItems", [])), {})
        text = f"list of ({values(inner)})" if inner else text
        text += _count(part, "minItems", "maxItems", "entries")
    if kind == "string":
        text += _count(part, "minLength", "maxLength", "letters")
    return text + _range(part)


def _count(part: dict[str, Any], least: str, most: str, what: str) -> str:
    low, high = part.get(least), part.get(most)
    if low == 1 and high is None:
        return ", not empty"
    if low is not None and low == high:
        return f", {low} {what}"
    return (f", at least {low} {what}" if low else "") + (f", at most {high} {what}" if high is not None else "")


def _range(part: dict[str, Any]) -> str:
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high, below = part.get("maximum"), part.get("exclusiveMaximum")
    begin = f" from {_number(low)}" if low is not None else f" above {_number(above)}" if above is not None else ""
    end = f" to {_number(high)}" if high is not None else f" below {_number(below)}" if below is not None else ""
    return begin + end


def _number(value: float) -> str:
    return f"{int(value):,}" if abs(value) < 1e7 and value == int(value) else f"{value:g}"


def commands_page() -> str:
    """Every command of `ptychopinn` with its arguments and options, as `--help` shows them."""
    lines = ["# Commands", "", "As `ptychopinn COMMAND --help` shows them; options of one command stand in its table."]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in _commands(group, "ptychopinn"):
        lines += ["", f"## `{name}`", "", inspect.cleandoc(command.help or "").replace("\f", ""), ""]
        visible = [param for param in command.params if not getattr(param, "hidden", False)]
        rows = [(param, getattr(param, "help", None) or "") for param in visible]
        if rows:
            lines += ["| | |", "| --- | --- |"]
        for param, text in rows:
            label = ", ".join(f"`{one}`" for one in (*param.opts, *param.secondary_opts))
            if param.param_type_name != "option":
                label = f"`{str(param.name).upper()}`"
            lines.append(f"| {label} | {' '.join(text.split()).replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _commands(group: TyperGroup, above: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{above} {name}")
        elif not command.hidden:
            yield f"{above} {name}", command
