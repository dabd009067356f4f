"""`simulate`: make a scan of a known object with the built-in simulator."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptychopinn.api.inputs import RecipeSource, as_recipe
from ptychopinn.data import Scan, write_scan
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.errors import OutputError
from ptychopinn.simulation import simulate as draw_scan

logger = logging.getLogger("ptychopinn")


@dataclass(frozen=True)
class Simulated:
    """A simulated scan, and where it was written."""

    scan: Scan
    """Counts, positions, the exact probe and the exact object."""
    path: Path | None
    """The file; none when nothing was written."""


def simulate(
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
) -> Simulated:
    """Simulate the experiment of a recipe's `simulation` section.

    Args:
        output: NPZ file to write; its folder is made. Nothing is written without it.
        recipe: YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.

    Raises:
        PtychoPINNError: the recipe or the file cannot be used; nothing has been written then.

    >>> made = simulate(overrides=["simulation.object_size_px=48", "simulation.probe_size_px=16"])
    >>> made.scan.domain, made.path
    ('counts', None)
    """
    settings = as_recipe(recipe, overrides)
    target = None if output is None else _checked_target(Path(output))
    scan = draw_scan(settings.simulation)
    logger.info("simulated %d patterns of %d px", len(scan), scan.pattern_size)
    if target is None:
        return Simulated(scan, None)
    check_output_folder(target.parent)
    return Simulated(scan, write_scan(scan, target))


def _checked_target(target: Path) -> Path:
    """Refuse early what `write_scan` would refuse at the end."""
    if target.is_dir() or target.suffix.lower() != ".npz":
        raise OutputError(f"{target}: a scan is written as NPZ; name a file that ends in .npz")
    return target
