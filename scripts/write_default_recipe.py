"""Write src/ptychopinn/recipes/default.yaml: every setting with its default, below what it means."""

import sys
from pathlib import Path

from ptychopinn.config import Recipe
from ptychopinn.config.text import DEFAULT_HEAD, commented_yaml

TARGET = Path(__file__).parents[1] / "src" / "ptychopinn" / "recipes" / "default.yaml"


def default_text() -> str:
    """The text of the file."""
    return commented_yaml(Recipe(), DEFAULT_HEAD, all_active=True)


if __name__ == "__main__":
    TARGET.write_text(default_text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
