"""The recipe as text for people and editors: commented YAML, the dotted keys, and a JSON schema."""

import textwrap
from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile
from typing import Any

import yaml

from ptychopinn.config.base import Section, is_section
from ptychopinn.config.recipe import Recipe, recipe_text

DEFAULT_HEAD = "# Every setting with its default. Copy the lines that you want to change; leave out the rest.\n"
_WIDTH = 100


def commented_yaml(recipe: Recipe, head: str = "", *, all_active: bool = False) -> str:
    """Every setting of a recipe with its meaning above it; those that the recipe does not state are comments.

    Read again, the text gives the same recipe, with the same settings stated.

    Args:
        recipe: whose values are written.
        head: comment lines at the beginning.
        all_active: state all settings.

    >>> text = commented_yaml(Recipe.from_mapping({"training": {"epochs": 3}}))
    >>> "\\n  epochs: 3" in text, "\\n  #seed: 0" in text
    (True, True)
    """
    active = None if all_active else frozenset(stated_keys(recipe))
    return head + "".join(_lines(recipe, Recipe(), active, ""))


def stated_keys(section: Section, above: str = "") -> Iterator[str]:
    """Dotted keys of the settings that were given."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from stated_keys(value, f"{above}{name}.")
        elif name in section.model_fields_set:
            yield f"{above}{name}"


def about_recipe(name: str) -> str:
    """What a recipe of the package is for: the comment at its beginning.

    >>> about_recipe("quick")
    'For a short training: a quarter of the usual number of epochs. Use the default recipe for the final image.'
    """
    if name == "default":
        return "Every setting with its default."
    comments = takewhile(lambda line: line.startswith("#"), recipe_text(name).splitlines())
    return " ".join(line.lstrip("# ") for line in comments)


def keys(section: type[Section], above: str = "") -> Iterator[str]:
    """Dotted keys of all settings, in their order.

    >>> "training.epochs" in keys(Recipe)
    True
    """
    for name, field in section.model_fields.items():
        if is_section(field.annotation):
            yield from keys(field.annotation, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Dotted key -> value of a nested mapping of settings."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{path}{name}"
        found |= leaves(value, f"{key}.") if isinstance(value, Mapping) and value else {key: value}
    return found


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipes, by which editors complete and check them."""
    schema = Recipe.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part.get("properties", {}).items():
            if "$ref" in field:  # a section, which may be empty
                others = {key: value for key, value in field.items() if key != "$ref"}
                part["properties"][name] = {**others, "anyOf": [{"$ref": field["$ref"]}, {"type": "null"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Recipe of PtychoPINN"}


def schema_line(name: str) -> str:
    """The comment by which editors find the schema of a YAML file, given as a path relative to that file."""
    return f"# yaml-language-server: $schema={name}\n"


def _lines(section: Section, default: Section, active: Collection[str] | None, above: str) -> list[str]:
    indent = "  " * above.count(".")
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        value, usual = getattr(section, name), getattr(default, name)
        about = field.description or (value.__doc__ if isinstance(value, Section) else None) or ""
        lines += [f"{indent}# {line}\n" for line in textwrap.wrap(about.replace("`", ""), _WIDTH - len(indent))]
        if isinstance(value, Section):
            other = usual if isinstance(usual, type(value)) else value
            lines += [f"{indent}{name}:\n", *_lines(value, other, active, f"{above}{name}.")]
            continue
        if value != usual:
            shown = yaml.safe_dump(usual, default_flow_style=True).partition("\n")[0]
            lines.append(f"{indent}# Default: {shown}.\n")
        mark = "" if active is None or f"{above}{name}" in active else "#"
        lines.append(textwrap.indent(yaml.safe_dump({name: value}), indent + mark))
    return lines
