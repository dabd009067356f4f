"""Measure the points of the curves one after the other; what has been measured is read from the output folder."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ptychopinn.api.prior_use import NONE
from ptychopinn.data.io import check_output_folder
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.prior import load_prior
from ptychopinn.studies.curves.axes import AXES, Point
from ptychopinn.studies.curves.methods import METHODS, Scores, Settings
from ptychopinn.studies.finished import read_finished, write_finished

logger = logging.getLogger("ptychopinn.studies")
FIRST_SEED = 2000
"""Nothing was chosen on seeds from 2000 on."""
Tell = Callable[[str], None]
"""Called with a sentence about every point that was measured."""


@dataclass(frozen=True)
class Cell:
    """One measured point."""

    axis: str
    value: float
    seed: int
    line: str
    """Name of the method in tables and figures."""
    scores: Scores


@dataclass(frozen=True)
class Curves:
    """What to measure."""

    axes: Sequence[str] = tuple(AXES)
    methods: Sequence[str] = tuple(METHODS)
    seeds: int = 3
    base: Point = field(default_factory=Point)
    values: Sequence[float] | None = None
    """In place of those of each axis."""
    settings: Settings = field(default_factory=Settings)

    def check(self) -> None:
        """Refuse unknown names, and a prior that cannot be read.

        Raises:
            ConfigError: no such axis or method, or less than one seed.
            BundleError: the prior is missing or damaged.
        """
        for what, given, known in (("axes", self.axes, AXES), ("methods", self.methods, METHODS)):
            unknown = [name for name in given if name not in known]
            if unknown or not given:
                raise ConfigError(f"{what} must be some of {', '.join(known)}; got {', '.join(given) or 'none'}")
        if self.seeds < 1:
            raise ConfigError(f"seeds must be at least 1, got {self.seeds}")
        self.prior_sha256()

    def prior_sha256(self) -> str:
        """Of the file of the prior; empty without one."""
        return "" if self.settings.prior == NONE else load_prior(self.settings.prior).sha256

    def points(self) -> Iterator[tuple[str, float, int]]:
        """Axis, value and seed; the first seed of everything comes first, so that a part of them is a whole curve."""
        for seed in range(FIRST_SEED, FIRST_SEED + self.seeds):
            for axis in self.axes:
                for value in self.values or AXES[axis].values:
                    yield axis, value, seed


def measure_curves(
    output: Path | str, curves: Curves, *, minutes: float | None = None, tell: Tell = logger.info
) -> list[Cell]:
    """Measure what has not been measured yet, and return all points of these curves that are there.

    A method that cannot run here is left out with a sentence; so is a point on which a method fails.

    Args:
        output: folder with a file for each point.
        curves: what to measure.
        minutes: begin no point after this time; give it again to go on.
        tell: called with a sentence about every point.

    Raises:
        ConfigError: see `Curves.check`.
        OutputError: the folder cannot be written.
    """
    curves.check()
    folder, ends = check_output_folder(output), None if minutes is None else time.monotonic() + 60 * minutes
    sha256, usable = curves.prior_sha256(), _usable(curves.methods, tell)
    cells: list[Cell] = []
    for axis, value, seed in curves.points():
        point = AXES[axis].point(value, curves.base)
        scan: Scan | None = None
        for method in usable:
            if axis not in (METHODS[method].axes or AXES):
                continue
            path = folder / axis / f"{value:g}" / f"{seed}_{method}.json"
            stated: dict[str, Any] = {"scan": point.stated(seed)}
            if METHODS[method].has_settings:
                stated |= {"settings": curves.settings.stated(), "prior": sha256}
            found = read_finished(path, stated)
            if found is None and (ends is None or time.monotonic() < ends):
                scan = scan or point.scan(seed)
                found = _measured(method, scan, seed, curves.settings, tell)
                tell(f"{axis} {value:g}, seed {seed}: {_sentence(found)}")
                if found["scores"]:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_finished(path, stated, found)
            for line, scores in (found or {}).get("scores", {}).items():
                cells.append(Cell(axis, value, seed, line, Scores(**scores)))
    return cells


def _measured(method: str, scan: Scan, seed: int, settings: Settings, tell: Tell) -> dict[str, Any]:
    """Scores by line; none where the method fails."""
    try:
        made = METHODS[method].measure(scan, seed, settings)
    except Exception as error:  # of any package
        tell(f"FAILED: {method}: {type(error).__name__}: {error}")
        made = {}
    return {"scores": {line: asdict(scores) for line, scores in made.items()}}


def _usable(methods: Sequence[str], tell: Tell) -> list[str]:
    usable = []
    for name in methods:
        problem = METHODS[name].problem()
        if problem is None:
            usable.append(name)
        else:
            tell(f"left out: {problem}")
    return usable


def _sentence(found: dict[str, Any]) -> str:
    parts = [f"{line} {s['psnr_amplitude']:.1f} / {s['psnr_phase']:.1f} dB" for line, s in found["scores"].items()]
    return ", ".join(parts) or "no image"
