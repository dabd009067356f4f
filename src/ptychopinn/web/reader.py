"""Results that the page shows, each read once for all windows of the browser, and again when its files have changed."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from ptychopinn.errors import PtychoPINNError, one_line
from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.web.maps import Maps, maps_of
from ptychopinn.web.patterns import Patterns
from ptychopinn.web.results import Result, State, read_result, state_of

logger = logging.getLogger("ptychopinn")
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
    done: threading.Event = field(default_factory=threading.Event)
    """Set when the scan was read, or cannot be."""
    fault: str = ""
    """Why there are no patterns."""
    correlation: dict[str, FRCCurve] = field(default_factory=dict)
    measured: threading.Event = field(default_factory=threading.Event)
    """Set when misfit and ring correlation are there, or cannot be."""
    _begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> bool:
        """Whether the caller is the first to ask for the scan, and has to read it."""
        with self._lock:
            first, self._begun = not self._begun, True
        return first


@final
class Reader:
    """Results by path; each is read again when its files have changed.

    Args:
        sources: what the user named.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._known: dict[Path, Known] = {}
        self._lock = threading.Lock()
        self.quick = ThreadPoolExecutor(2, "ptychopinn-look")
        self.slow = ThreadPoolExecutor(1, "ptychopinn-scan")

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
            maps = None if result.image is None else maps_of(result.image, MOST_PIXELS)
            patterns = None if result.image is None else Patterns(result, source.scan)
            known = self._known[path] = Known(state, result, maps, patterns)
            while len(self._known) > MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
            return known

    def prepare(self, known: Known) -> None:
        """Read the scan of a result, and compare it; called in a thread."""
        if known.patterns is None or not known.begin():
            return
        try:
            known.patterns.load()
            known.done.set()
            known.patterns.measure()
            known.correlation.update(known.patterns.ring_correlation())
        except (PtychoPINNError, OSError, MemoryError) as error:
            known.fault = one_line(str(error) or type(error).__name__)
        except Exception as error:  # of a scan that does not fit its image nobody foresees everything
            logger.exception("%s: its patterns cannot be compared", known.result.name)
            known.fault = one_line(f"the patterns cannot be compared with the image ({error})")
        finally:
            known.done.set()
            known.measured.set()

    def close(self) -> None:
        """Drop what is waiting."""
        self.quick.shutdown(wait=False, cancel_futures=True)
        self.slow.shutdown(wait=False, cancel_futures=True)


def _image_state(state: State) -> State:
    return tuple(part for part in state if part[0].endswith((".npz", ".cxi", ".h5", ".hdf5")))
