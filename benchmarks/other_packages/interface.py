"""What every method offers: images of a scan after given CPU seconds of iterations."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.frame import Frame, nearest_pixel
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.studies.iterative import illuminated

Image = NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class Found:
    """The estimate after some iterations."""

    object_: Image
    """(Y, X), transmission."""
    origin_px: tuple[int, int]
    """(y, x) of its element (0, 0) in the frame of the scan's positions."""
    probe: Image
    """(M, H, W), sqrt(photons)."""
    iterations: int
    cpu_s: float
    """Of the iterations, without import and preparation."""
    background: float | None = None
    """Photons per pixel, where one was fitted."""
    blur_px: float | None = None
    """Standard deviation of the detector's point spread, where one was fitted."""


@dataclass(frozen=True)
class Method:
    """One solver with its settings.

    `solve(scan, seconds, seed)` returns one `Found` for each of the CPU times, in their order, and starts from
    `scan.probe`, `scan.positions_px` and an object of 1 everywhere.
    """

    name: str
    """In the table."""
    package: str
    """As `pip install` takes it."""
    module: str
    """What must be importable."""
    settings: str
    """In words, for the table."""
    solve: Callable[[Scan, Sequence[float], int], list[Found]]

    def problem(self) -> str | None:
        """Why this method cannot run here, with the way out; None where it can."""
        try:
            import_module(self.module)
        except ImportError as error:
            return f"{self.name}: {self.package} cannot be imported ({error}); pip install {self.package}"
        return None

    @property
    def version(self) -> str:
        """Of the installed package; empty for the sources of this repository."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


class Finished(Exception):
    """All CPU times have passed."""


class Stopwatch:
    """Counts the CPU time of iterations and keeps the estimate nearest to each of some times.

    Args:
        seconds: when estimates are taken, ascending.
        take: object, its origin, probe, as they are now; its own time does not count.
    """

    def __init__(self, seconds: Sequence[float], take: Callable[[], tuple[Image, tuple[int, int], Image]]) -> None:
        if list(seconds) != sorted(seconds) or not seconds or seconds[0] <= 0:
            raise ValueError(f"seconds must be positive and ascending, got {list(seconds)}")
        self._seconds = list(seconds)
        self._take = take
        self._iterations = 0
        self._elapsed = 0.0
        self.found: list[Found] = []
        self._since = time.process_time()

    def start(self) -> None:
        """Begin to count; what was prepared before does not count."""
        self._since = time.process_time()

    def iterated(self) -> None:
        """An iteration has ended.

        Raises:
            Finished: it was the last one.
        """
        self._elapsed += time.process_time() - self._since
        self._iterations += 1
        half_an_iteration = 0.5 * self._elapsed / self._iterations
        due = [at for at in self._seconds[len(self.found) :] if self._elapsed + half_an_iteration >= at]
        if due:
            object_, origin, probe = self._take()
            now = Found(object_.copy(), origin, probe.copy(), self._iterations, self._elapsed)
            self.found += [now] * len(due)
        if len(self.found) == len(self._seconds):
            raise Finished
        self._since = time.process_time()


def continued(watch: Stopwatch, iterate: Callable[[], object]) -> list[Found]:
    """Iterate until the last of the CPU times."""
    watch.start()
    try:
        while True:
            iterate()
            watch.iterated()
    except Finished:
        return watch.found


def planned(solve: Callable[[int], Found], seconds: Sequence[float], probing: tuple[int, int] = (2, 6)) -> list[Found]:
    """For methods whose steps depend on the number of iterations: one run for each CPU time.

    The number is estimated from two short runs, which do not count, and corrected once where the run took more than a
    tenth longer or shorter than it should.
    """
    few, more = (solve(count) for count in probing)
    each = max((more.cpu_s - few.cpu_s) / (probing[1] - probing[0]), 1e-3)
    fixed = max(few.cpu_s - probing[0] * each, 0.0)
    found = []
    for at in seconds:
        count = max(1, round((at - fixed) / each))
        made = solve(count)
        if abs(made.cpu_s / at - 1) > 0.1 and (count > 1 or made.cpu_s < at):
            better = max(1, round(count * _iterating(at, fixed) / _iterating(made.cpu_s, fixed)))
            made = solve(better) if better != count else made
        found.append(made)
    return found


def _iterating(cpu_s: float, fixed: float) -> float:
    """The part of a run's CPU time that its iterations cost; half of it at least, since `fixed` is uncertain."""
    return max(cpu_s - fixed, 0.5 * cpu_s, 1e-3)


def canvas(scan: Scan) -> Frame:
    """The smallest rectangle that holds every pattern's window, with 2 px around it."""
    return Frame.of_positions(nearest_pixel(scan.positions_px), scan.pattern_size, margin=2)


def reconstruction_of(found: Found, scan: Scan, name: str) -> Reconstruction:
    """An estimate in the frame of a scan."""
    own = Frame(found.origin_px, (found.object_.shape[0], found.object_.shape[1]))
    frame = Frame.of_scan(scan, canvas(scan))
    return Reconstruction(
        object_=own.moved(found.object_.astype(np.complex64), frame, fill=1),
        coverage=canvas(scan).moved(illuminated(scan, canvas(scan), scan.probe), frame, fill=0),
        origin_px=np.asarray(frame.origin_px),
        positions_px=scan.positions_px,
        probe=np.ascontiguousarray(found.probe, np.complex64),
        pixel_size_m=scan.pixel_size_m,
        background=found.background,
        blur_px=found.blur_px,
        metadata={"source": scan.source, "backend": name},
    )
