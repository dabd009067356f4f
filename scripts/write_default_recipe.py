"""Write src/ptychopinn/recipes/default.yaml: every setting with its default, below what it means."""

import sys
import textwrap
from pathlib import Path

import yaml

from ptychopinn.config import Recipe, Section

TARGET = Path(__file__).parents[1] / "src" / "ptychopinn" / "recipes" / "default.yaml"
HEAD = "# Every setting with its default. Copy the lines that you want to change; leave out the rest.\n"


def default_text() -> str:
    """The text of the file."""
    return HEAD + "".join(_lines(Recipe(), 0))


def _lines(section: Section, depth: int) -> list[str]:
    indent = "  " * depth
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        about = field.description or (value.__doc__ if isinstance(value, Section) else None) or ""
        lines += [f"{indent}# {line}\n" for line in textwrap.wrap(about.replace("`", ""), 100 - len(indent))]
        if isinstance(value, Section):
            lines += [f"{indent}{name}:\n", *_lines(value, depth + 1)]
        else:
            lines.append(textwrap.indent(yaml.safe_dump({name: value}), indent))
    return lines


if __name__ == "__main__":
    TARGET.write_text(default_text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
