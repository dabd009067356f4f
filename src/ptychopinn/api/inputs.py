"""What every verb accepts: a path or the thing itself."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan

logger = logging.getLogger("ptychopinn")
ScanSource: TypeAlias = str | Path | Scan
RecipeSource: TypeAlias = str | Path | Recipe | Mapping[str, Any] | None


def as_recipe(source: RecipeSource, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """A recipe from a YAML file, a mapping, a recipe, or nothing (the default), with dotted overrides."""
    if source is None:
        recipe = Recipe()
    elif isinstance(source, Recipe):
        recipe = source
    elif isinstance(source, Mapping):
        recipe = Recipe.from_mapping(source)
    else:
        recipe = Recipe.from_file(source)
    return recipe.with_overrides(overrides) if overrides else recipe


def as_scan(source: ScanSource, recipe: Recipe) -> Scan:
    """A scan, read from its file where a path is given."""
    return source if isinstance(source, Scan) else read_scan(source, recipe.data)


def log_start(scan: Scan, recipe: Recipe) -> None:
    """The first lines of every log: what runs, on what."""
    logger.info(
        "ptychopinn %s, backend %s, device %s", version("ptychopinn"), recipe.backend, recipe.training.device
    )
    size = scan.pattern_size
    logger.info(
        "%s: %d patterns of %dx%d px, %s (%s)",
        scan.source,
        len(scan),
        size,
        size,
        scan.domain,
        scan.domain_reason,
    )


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Write everything that our loggers say into a file as well, while the block runs."""
    if path is None:
        yield
        return
    root = logging.getLogger("ptychopinn")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
