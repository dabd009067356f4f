"""`ptychopinn init`."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.options import Config, Quiet
from ptychopinn.cli.recipe import SCHEMA_NAME, write_recipe
from ptychopinn.cli.summary import show_path
from ptychopinn.errors import ConfigError

EXAMPLE = "build_scan.py"
_EXAMPLES = (files("ptychopinn") / "examples", Path(__file__).parents[3] / "examples")
"""Of an installed package, and of a checkout."""

README = f"""# A reconstruction

Put your scan here as `scan.npz`. `ptychopinn convert` makes it of other formats, and `{EXAMPLE}` of your own arrays.
Without a scan at hand, simulate one:

```sh
ptychopinn simulate --config recipe.yaml -o scan.npz
```

Then:

```sh
ptychopinn info scan.npz
ptychopinn check scan.npz
ptychopinn run scan.npz --config recipe.yaml -o out/ --dry-run
ptychopinn run scan.npz --config recipe.yaml -o out/
```

The figure is `out/reconstruction.png`. `recipe.yaml` explains every setting; editors with a YAML language
server check it by `{SCHEMA_NAME}`. `ptychopinn recipe` lists recipes for common cases.
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The new folder.", show_default=False)],
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Make a folder to start from: a commented recipe, a template for your own arrays, and the next commands."""
    from ptychopinn.config import Recipe
    from ptychopinn.data.io.atomic import check_output_folder, write_text_atomically

    made = ("recipe.yaml", SCHEMA_NAME, EXAMPLE, "README.md")
    present = [name for name in made if (folder / name).exists()]
    if present:
        raise ConfigError(f"{folder}: holds {', '.join(present)} already; give the name of a new folder")
    chosen = Recipe() if config is None or str(config) == "default" else Recipe.find(config)
    check_output_folder(folder)
    write_recipe(chosen, folder / "recipe.yaml", "# Remove the # before a setting to change it.\n")
    example = next(place / EXAMPLE for place in _EXAMPLES if (place / EXAMPLE).is_file())
    write_text_atomically(folder / EXAMPLE, example.read_text(encoding="utf-8"))
    show_path("begin with", write_text_atomically(folder / "README.md", README))
