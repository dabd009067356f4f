"""Results that the page shows, each read once for all windows of the browser, and again when its files have changed."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from ptychopinn.errors import PtychoPINNError, ScanError, one_line
from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.web.maps import Maps, maps_of
from ptychopinn.web.patterns import Patterns
from ptychopinn.web.results import RECIPE_NAME, Result, State, check_named, read_result, state_of

logger = logging.getLogger("ptychopinn")
TEXTS = (".json", ".csv", ".yaml", ".log")
"""Endings of the files of a result that are no images."""
MOST_PIXELS = 4_000_000
"""Of the maps of a result: 100 MB of arrays, which a browser holds."""
MOST_KNOWN = 8
"""Results that are kept after they were read: twice as many as one page shows."""


@final
@dataclass(frozen=True)
class Source:
    """What a user named."""

    path: Path
    name: str
    scan: Path | None = None
    """Read instead of the file that a result names."""


@final
@dataclass(eq=False)
class Known:
    """What was read of a result, in the state that its files had."""

    state: State
    result: Result
    maps: Maps | None
    patterns: Patterns | None
    loaded: threading.Event = field(default_factory=threading.Event)
    """Set when the scan was read, or cannot be."""
    fault: str = ""
    """Why there are no patterns."""
    correlation: dict[str, FRCCurve] = field(default_factory=dict)
    measured: threading.Event = field(default_factory=threading.Event)
    """Set when misfit and ring correlation are there, or cannot be."""


@final
class Reader:
    """Results by path; each is read again when its files have changed.

    Args:
        sources: what the user named.
        most_pixels: of the maps of a result; larger ones are binned.

    Raises:
        ScanError: a folder or file is not there, or a file holds no image.
    """

    def __init__(self, sources: Sequence[Source], most_pixels: int = MOST_PIXELS) -> None:
        self.sources = tuple(sources)
        self._most_pixels = most_pixels
        self._known: dict[Path, Known] = {}
        self._lock = threading.Lock()
        self.quick = ThreadPoolExecutor(2, "ptychopinn-look")
        self.slow = ThreadPoolExecutor(1, "ptychopinn-scan")
        for source in self.sources:
            check_named(source.path)
            if source.path.is_file():
                result = self.known(source.path, source, source.name).result
                if result.image is None:
                    raise ScanError(result.faults[0])

    def known(self, path: Path, source: Source, name: str) -> Known:
        """What there is of a result now."""
        state = state_of(path)
        with self._lock:
            before = self._known.get(path)
            if before is not None and before.state == state:
                return before
            result = read_result(path, name)
            if before is not None and _image_state(before.state) == _image_state(state):
                known = before
                known.state, known.result = state, result
                return known
            maps = None if result.image is None else maps_of(result.image, self._most_pixels)
            patterns = None if result.image is None else Patterns(result, source.scan)
            known = self._known[path] = Known(state, result, maps, patterns)
            while len(self._known) > MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
            return known

    def load(self, known: Known) -> None:
        """Read the scan of a result; called in a thread."""
        if known.patterns is not None and not known.loaded.is_set():
            with _fault_kept(known):
                known.patterns.load()
            known.loaded.set()

    def measure(self, known: Known) -> None:
        """Compare the patterns of a result with its image, once `load` was called; called in a thread."""
        if known.patterns is not None and not known.fault and not known.measured.is_set():
            with _fault_kept(known):
                known.patterns.measure()
                known.correlation.update(known.patterns.ring_correlation())
        known.measured.set()

    def close(self) -> None:
        """Drop what is waiting."""
        self.quick.shutdown(wait=False, cancel_futures=True)
        self.slow.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _fault_kept(known: Known) -> Iterator[None]:
    """Keep what goes wrong as the fault of a result."""
    try:
        yield
    except (PtychoPINNError, OSError, MemoryError) as error:
        known.fault = one_line(str(error) or type(error).__name__)
    except Exception as error:  # of a scan that does not fit its image nobody foresees everything
        logger.exception("%s: its patterns cannot be compared", known.result.name)
        known.fault = one_line(f"the patterns cannot be compared with the image ({error})")


def _image_state(state: State) -> State:
    """The files on which maps and modelled patterns depend: images, and the recipe."""
    return tuple(part for part in state if part[0] == RECIPE_NAME or not part[0].endswith(TEXTS))
