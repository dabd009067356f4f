"""What the folders of results hold, also while a command still writes into them.

Nothing in a folder is trusted: images come through the readers of the package, texts are limited in size, and what
cannot be read becomes a sentence that the page shows.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptychopinn.config import Recipe
from ptychopinn.config.text import leaves
from ptychopinn.data.io.door import check_regular_file
from ptychopinn.data.io.entries import plain_json
from ptychopinn.data.reconstruction import LIVE_NAME, RESULT_NAME, Reconstruction
from ptychopinn.errors import PtychoPINNError, ScanError, one_line
from ptychopinn.studies.campaign.ledger import LEDGER

RECIPE_NAME = "recipe.yaml"
FILES = (RESULT_NAME, LIVE_NAME, "metrics.json", "history.csv", RECIPE_NAME, "run.log")
"""Whose changes the page follows."""
MARKS = (RESULT_NAME, LIVE_NAME, "history.csv", "run.log")
"""A folder with one of them is that of a result."""
MOST_TEXT = 16 * 2**20
"""Bytes of a JSON or CSV file: the history of 100,000 epochs has 10 MB."""
LOG_BYTES = 2**18
"""Of the end of a log that are read: some 2,000 lines."""
LOG_LINES = 40
"""Shown."""
MOST_RESULTS = 2000
"""In one folder; further ones are left out."""
DEEPEST = 2
"""Folders below the one that was named: `study` keeps results at `runs/NAME/`."""
_REFINED = re.compile(r"refined (\d{1,7})/(\d{1,7}): deviance per pixel (\S{1,24})$")
"""The line that the solver logs; see `ptychopinn.solver.refine`."""

State = tuple[tuple[str, int, int], ...]
"""Name, time of the last change in ns, and bytes of each file that is there."""
History = Mapping[str, list[float]]


@dataclass(frozen=True, eq=False)
class Result:
    """A result, or what there is of it."""

    name: str
    """As the page shows it."""
    image: Reconstruction | None = None
    is_live: bool = False
    """The image so far of a scan that is being measured."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Of `metrics.json`."""
    history: History = field(default_factory=dict)
    """Of `history.csv`: column -> one number per epoch."""
    recipe: Recipe | None = None
    deviance: tuple[tuple[int, float], ...] = ()
    """Iteration and deviance per pixel of the solver."""
    log: tuple[str, ...] = ()
    """The last lines of `run.log`."""
    changed_s: float | None = None
    """When a file was last changed, seconds since the epoch."""
    faults: tuple[str, ...] = ()
    """What could not be read, one sentence each."""


def state_of(path: Path) -> State:
    """What is there of a result now; it changes when one of its files does."""
    found = []
    for file in _files(path):
        try:
            known = file.stat()
        except OSError:
            continue
        found.append((file.name, known.st_mtime_ns, known.st_size))
    return tuple(found)


def _files(path: Path) -> list[Path]:
    """What belongs to a result: all files of a folder; beside a single image its recipe alone."""
    if not path.is_file():
        return [path / name for name in FILES]
    beside = FILES if path.name == RESULT_NAME else (RECIPE_NAME,)
    return [path, *(path.parent / name for name in beside if name not in (path.name, LIVE_NAME))]


def result_paths(path: Path) -> list[Path]:
    """The results in what a user named: a file, the folder of one result, or folders of results below it.

    Links to folders are not followed, so that a search ends.
    """
    if path.is_file() or _is_result(path):
        return [path]
    return list(_below(path, DEEPEST))[:MOST_RESULTS]


def check_named(path: Path) -> None:
    """Refuse what is neither a folder nor a reconstruction.

    Raises:
        ScanError: no such folder or file, or no regular file.
    """
    if not path.is_dir():
        check_regular_file(path, f"give a folder of results, or a {RESULT_NAME}")


def read_result(path: Path, name: str) -> Result:
    """All that a folder or file of a result holds; what cannot be read stands in `faults`."""
    faults: list[str] = []
    folder = path if path.is_dir() else path.parent
    file = _image_of(path)
    image = None
    if file is not None:
        try:
            image = Reconstruction.load(file)
        except (PtychoPINNError, OSError) as error:
            faults.append(one_line(str(error)))
    is_whole = path.is_dir() or path.name == RESULT_NAME
    metrics = _read(faults, _metrics, folder / "metrics.json", {}) if is_whole else {}
    history = _read(faults, _history, folder / "history.csv", {}) if is_whole else {}
    recipe = _read(faults, Recipe.from_file, folder / RECIPE_NAME, None)
    log = _read(faults, _log, folder / "run.log", ()) if is_whole else ()
    return Result(
        name,
        image,
        file is not None and file.name == LIVE_NAME,
        metrics,
        history,
        recipe,
        _deviance(image, metrics, log),
        log[-LOG_LINES:],
        max((changed / 1e9 for _, changed, _ in state_of(path)), default=None),
        tuple(faults),
    )


def changed_settings(recipe: Recipe) -> list[tuple[str, str, str]]:
    """The settings of a recipe that differ from the default: key, value, default."""
    own, default = (leaves(one.model_dump(mode="json")) for one in (recipe, Recipe()))
    keys = [key for key in {**default, **own} if own.get(key) != default.get(key) and not key.startswith("fitted.")]
    return [(key, _shown(own.get(key)), _shown(default.get(key))) for key in keys]


def _shown(value: Any) -> str:
    return one_line(str(value), 400)


def _is_result(path: Path) -> bool:
    return not (path / LEDGER).is_file() and any((path / name).is_file() for name in MARKS)


def _below(path: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(one for one in path.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "checkpoints":
            continue
        if _is_result(entry):
            yield entry
        elif depth > 1:
            yield from _below(entry, depth - 1)


def _image_of(path: Path) -> Path | None:
    """The newer one of the finished image and the image so far."""
    if path.is_file():
        return path
    found = [path / name for name in (RESULT_NAME, LIVE_NAME) if (path / name).is_file()]
    return max(found, key=lambda one: (one.stat().st_mtime_ns, one.name == RESULT_NAME), default=None)


def _read(faults: list[str], read: Any, file: Path, missing: Any) -> Any:
    """What a reader gives for a file; what takes its place where it is absent or cannot be read."""
    if not file.exists():
        return missing
    try:
        return read(file)
    except (PtychoPINNError, OSError, ValueError, RecursionError, csv.Error) as error:
        faults.append(one_line(f"{file.name}: {error}"))
        return missing


def _text(file: Path) -> str:
    check_regular_file(file)
    with file.open("rb") as stream:
        data = stream.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise ScanError(f"has more than {MOST_TEXT} bytes, which no command writes; remove it")
    return data.decode("utf-8", "replace")


def _metrics(file: Path) -> dict[str, Any]:
    tree = plain_json(_text(file))
    if not isinstance(tree, dict):
        raise ScanError("must hold a JSON object; reconstruct again")
    return tree


def _history(file: Path) -> dict[str, list[float]]:
    rows = list(csv.DictReader(io.StringIO(_text(file))))
    columns = [name for name in (rows[0] if rows else {}) if name]
    return {name: [_number(row.get(name)) for row in rows] for name in columns}


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return math.nan


def _log(file: Path) -> tuple[str, ...]:
    check_regular_file(file)
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - LOG_BYTES))
        lines = stream.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
    return tuple(one_line(line) for line in lines)


def _deviance(
    image: Reconstruction | None, metrics: Mapping[str, Any], log: tuple[str, ...]
) -> tuple[tuple[int, float], ...]:
    """That of every iteration where the image or the metrics hold it, else what the log holds of the last solve."""
    for tree in (metrics, image.metadata if image is not None else {}):
        known = tree.get("refine")
        values = known.get("deviance_of_iterations") if isinstance(known, Mapping) else None
        if isinstance(values, list) and all(isinstance(value, int | float) for value in values) and values:
            return tuple((number, float(value)) for number, value in enumerate(values, 1))
    found: list[tuple[int, float]] = []
    for line in log:
        if match := _REFINED.search(line):
            done = int(match[1])
            found = [pair for pair in found if pair[0] < done] if found and found[-1][0] < done else []
            found.append((done, _number(match[3])))
    return tuple(found)
