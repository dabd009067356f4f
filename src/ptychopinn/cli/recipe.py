"""`ptychopinn recipe`."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ptychopinn.cli.console import results
from ptychopinn.cli.options import Quiet, Set, complete_recipe
from ptychopinn.cli.summary import new_table, show_path
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.config import Recipe

SCHEMA_NAME = "recipe.schema.json"
"""Of the schema beside a recipe."""


def recipe(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A name or a YAML file; without it and without -o the names are listed.",
            autocompletion=complete_recipe,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"YAML file to write; {SCHEMA_NAME}, by which editors complete and check it, is written beside it.",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    quiet: Quiet = False,
) -> None:
    """List the recipes, or write one with the meaning of every setting, ready to be changed."""
    from ptychopinn.config import Recipe, recipe_names
    from ptychopinn.config.text import about_recipe, commented_yaml, leaves

    if overwrite and output is None:
        raise ConfigError("--overwrite needs -o, the file to replace; give both, or leave it out")
    if output is None and name is None and not set_:
        table = new_table()
        for known in recipe_names():
            table.add_row(known, about_recipe(known))
        results.print(table, markup=False)
        return
    chosen = Recipe() if name in (None, "default") else Recipe.find(name)
    if set_:
        stated = leaves(chosen.model_dump(mode="json", exclude_unset=True))
        changed = leaves(chosen.with_overrides(set_).model_dump(mode="json"))
        given = [key for key in changed if key in stated or any(text.partition("=")[0].strip() == key for text in set_)]
        chosen = Recipe.from_dotted({key: changed[key] for key in given})
    if output is None:
        results.print(commented_yaml(chosen), end="", markup=False, highlight=False, soft_wrap=True)
        return
    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: exists already; give --overwrite to replace it, or another name")
    show_path("recipe", write_recipe(chosen, output, _head(name)))
    show_path("schema", output.parent / SCHEMA_NAME)


def write_recipe(recipe: "Recipe", target: Path, head: str) -> Path:
    """Write a recipe with comments, and the schema of recipes beside it, to which its first line points."""
    from ptychopinn.config.text import commented_yaml, json_schema, schema_line
    from ptychopinn.data.io.atomic import check_output_folder, write_text_atomically

    folder = check_output_folder(target.parent)
    write_text_atomically(folder / SCHEMA_NAME, json.dumps(json_schema(), indent=1))
    return write_text_atomically(target, commented_yaml(recipe, schema_line(SCHEMA_NAME) + head))


def _head(name: str | None) -> str:
    """Comment lines that say which recipe this is and what it is for."""
    from ptychopinn.config import recipe_names
    from ptychopinn.config.text import about_recipe

    about = f"Recipe {name}. {about_recipe(name)}" if name in recipe_names() and name != "default" else ""
    text = f"{about} Remove the # before a setting to change it.".strip()
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 98))
