"""What every command accepts: a path or the thing itself."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any, TypeAlias, final

from ptychopinn.api.log_file import LogFile
from ptychopinn.api.scan_facts import facts_of
from ptychopinn.api.scan_info import ScanInfo
from ptychopinn.api.scan_problems import find_problems
from ptychopinn.config import Recipe
from ptychopinn.config.backend import DEFAULT, requested_backend
from ptychopinn.data import Scan
from ptychopinn.data.io import log_notes, scan_of_file
from ptychopinn.data.io.atomic import check_regular
from ptychopinn.data.leave_out import without_unusable

logger = logging.getLogger("ptychopinn")


@final
@dataclass(frozen=True)
class ScanFiles:
    """A scan whose parts come from several files."""

    path: Path
    probe: Path | None = None
    """File whose probe is used; see `ptychopinn.data.io.read_probe`."""
    diffraction: Path | None = None
    """File with the patterns."""


ScanSource: TypeAlias = str | Path | Scan | ScanFiles
RecipeSource: TypeAlias = str | Path | Recipe | Mapping[str, Any] | None


def as_recipe(source: RecipeSource, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe with dotted overrides, and the backend that they or `PTYCHOPINN_BACKEND` ask for.

    Args:
        source: a YAML file, the name of a recipe of the package, a mapping, a recipe, or nothing (the default).
        overrides: `section.key=value` texts.

    Raises:
        ConfigError: no such recipe, a bad value, or `PTYCHOPINN_BACKEND` names no backend.
    """
    recipe = stated_recipe(source, overrides)
    wanted = requested_backend(given_backend(overrides), recipe.backend) or DEFAULT
    return recipe if recipe.backend == wanted else recipe.changed(backend=wanted)


def given_backend(overrides: Sequence[str]) -> str | None:
    """The backend that overrides name.

    >>> given_backend(["training.epochs=2", "backend=tensorflow"])
    'tensorflow'
    """
    named = [text.partition("=")[2].strip() for text in overrides if text.partition("=")[0].strip() == "backend"]
    return named[-1] if named else None


def stated_recipe(source: RecipeSource, overrides: Sequence[str] = ()) -> Recipe:
    """The same as it was given, whatever `PTYCHOPINN_BACKEND` says."""
    if source is None:
        recipe = Recipe()
    elif isinstance(source, Recipe):
        recipe = source
    elif isinstance(source, Mapping):
        recipe = Recipe.from_mapping(source)
    else:
        recipe = Recipe.find(source)
    return recipe.with_overrides(overrides) if overrides else recipe


def as_scan(source: ScanSource, recipe: Recipe) -> Scan:
    """A scan, read from its file where a path is given, without the frames that `data.drop_frames` leaves out.

    Everything that looks wrong with it stands in the `notes` of the scan; `warn_of_problems` logs them.
    """
    scan = opened_scan(source, recipe)
    return replace(scan, notes=problems_of(scan, facts_of(scan), recipe))


def warn_of_problems(*scans: Scan) -> None:
    """Log what is wrong with scans, once nothing is refused any more, so that a refusal stays one sentence."""
    for scan in scans:
        log_notes(scan)


def opened_scan(source: ScanSource, recipe: Recipe) -> Scan:
    """The same, without a look at what is wrong with it."""
    if isinstance(source, ScanFiles):
        return scan_of_file(source.path, recipe.data, diffraction=source.diffraction, probe=source.probe)
    if not isinstance(source, Scan):
        return scan_of_file(source, recipe.data)
    return without_unusable(source, recipe.data.drop_frames)


def problems_of(scan: Scan, facts: ScanInfo, recipe: Recipe) -> tuple[str, ...]:
    """What was left out or replaced when the scan was read, and what looks wrong with it, one sentence each."""
    return tuple(dict.fromkeys([*scan.notes, *find_problems(facts, recipe.data.group_size)]))


class RunLog:
    """Keeps what our loggers say while its block runs, and writes it to a file from `write_to` on.

    So the log begins with the reading of the scan, and a refused input leaves no file behind.
    """

    def __init__(self) -> None:
        self._buffer = MemoryHandler(capacity=sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)
        self._root = logging.getLogger("ptychopinn")
        self._level = self._root.level
        self.path: Path | None = None

    def __enter__(self) -> "RunLog":
        self._root.addHandler(self._buffer)
        self._root.setLevel(min(self._level or logging.INFO, logging.INFO))
        return self

    def __exit__(self, *_: object) -> None:
        self._root.removeHandler(self._buffer)
        self._root.setLevel(self._level)
        if self._buffer.target is not None:
            self._buffer.target.close()
        self._buffer.close()

    def write_to(self, folder: Path) -> None:
        """Write `run.log` in a folder: what was logged so far, and then each line as it comes.

        Raises:
            OutputError: the file cannot be written.
        """
        path = folder / "run.log"
        check_regular(path)
        target = LogFile(path)
        self.path = path
        target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._buffer.setTarget(target)
        self._buffer.flush()
        self._buffer.flushLevel = logging.NOTSET


def log_backend(recipe: Recipe, device: str | None = None) -> None:
    """The first line of every log; the device is that of the recipe unless another one is given."""
    where = recipe.training.device if device is None else device
    logger.info("ptychopinn %s, backend %s, device %s", version("ptychopinn"), recipe.backend, where)
