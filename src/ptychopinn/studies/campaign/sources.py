"""Which scans a campaign has: those of folders, patterns of names, lists and files; and when a new file is complete."""

import glob
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from ptychopinn.data.io.formats import find_format
from ptychopinn.data.io.source_file import open_source
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.studies.campaign.ledger import Found

logger = logging.getLogger("ptychopinn.studies")
LISTS = (".txt", ".list")
"""Extensions of text files with one path on each line."""
LARGEST_LIST = 1 << 26
"""Bytes of such a file: half a million paths of 128 letters."""
_SCAN_SUFFIXES = (".npz", ".cxi", ".h5", ".hdf5", ".hdf", ".nxs", ".mat")
"""Files of a folder that are reported if they cannot be read."""
_Seen = tuple[int, int]
"""Size and time of change of a file, or their sum and maximum over a folder."""


@final
class Sources:
    """Where the scans of a campaign are looked for.

    Args:
        sources: folders, patterns such as `data/**/*.h5`, text files with one path on each line, and scans.
        output: folder of the results, in which nothing is looked for.
    """

    def __init__(self, sources: Sequence[str | Path], output: Path) -> None:
        if not sources:
            raise ConfigError("no scans are given; name a folder, a pattern such as 'data/*.npz', a list or files")
        self._sources = [os.fspath(source) for source in sources]
        self._output = os.path.realpath(output)
        self._judged: dict[str, tuple[_Seen, bool]] = {}

    def scans(self) -> list[Found]:
        """All scans that are there now, each file once however often it is named, in the order of sources and names.

        Raises:
            ScanError: a file that was named does not exist.
        """
        found: dict[str, Found] = {}
        for source in self._sources:
            for path in self._listed(source):
                one = self._found(path)
                if one is not None:
                    found.setdefault(str(one.path), one)
        return list(found.values())

    def _listed(self, source: str) -> Iterator[str]:
        if "\0" in source:
            raise ScanError(f"{source!r}: a path must not hold a zero character")
        if os.path.isdir(source):
            if _is_scan(source):
                yield source
                return
            names = sorted(entry for entry in os.listdir(source) if not entry.startswith("."))
            yield from (path for name in names if self._belongs(path := os.path.join(source, name)))
        elif os.path.exists(source):
            yield from _read_list(Path(source)) if source.lower().endswith(LISTS) else [source]
        elif glob.has_magic(source):
            yield from sorted(glob.glob(source, recursive=True))
        else:
            raise ScanError(f"{source}: no such file or folder; give a folder, a pattern, a list or a scan")

    def _belongs(self, path: str) -> bool:
        """Whether an entry of a folder is a scan, or should be one; looked at again only after a change."""
        try:
            seen = _seen(path)
        except OSError:
            return False
        known = self._judged.get(path)
        if known is None or known[0] != seen:
            known = self._judged[path] = (seen, _should_be_scan(path))
            if not known[1] and path.lower().endswith(_SCAN_SUFFIXES):
                logger.info("%s: holds no scan, left out", path)
        return known[1]

    def _found(self, path: str) -> Found | None:
        """A scan with the state of its file; None if it has vanished, or is a result of the campaign."""
        real = os.path.realpath(path)
        if os.path.commonpath([self._output, real]) == self._output:
            return None
        try:
            real.encode("utf-8")
        except UnicodeEncodeError:
            raise ScanError(f"{real!r}: the name of the file is not UTF-8; rename it") from None
        try:
            size, changed = _seen(real)
        except OSError:
            return None
        return Found(Path(real), Path(path).name if os.path.isdir(path) else Path(path).stem, size, changed)


@final
class Arrivals:
    """Tells which scans are complete: readable, and unchanged for `settle_s` on the clock of this machine."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[Path, tuple[_Seen, float]] = {}
        self._complete: set[Path] = set()
        self.waiting: dict[Path, str] = {}
        """Files that are not complete, each with the reason."""

    def complete(self, found: Sequence[Found]) -> list[Found]:
        """The scans that are complete."""
        now = time.monotonic()
        self.waiting = {}
        for one in found:
            if one.path in self._complete:
                continue
            seen = (one.bytes, one.changed_ns)
            before = self._since.get(one.path)
            if before is None or before[0] != seen:
                before = self._since[one.path] = (seen, now)
            if now - before[1] < self._settle_s:
                self.waiting[one.path] = "it has changed a moment ago"
            elif reason := _unreadable(one.path):
                self.waiting[one.path] = reason
            else:
                self._complete.add(one.path)
        return [one for one in found if one.path in self._complete]


def _seen(path: str) -> _Seen:
    """Raises `OSError` where nothing is there."""
    if not os.path.isdir(path):
        state = os.stat(path)
        return state.st_size, state.st_mtime_ns
    with os.scandir(path) as entries:
        states = [entry.stat() for entry in entries]
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def _read_list(path: Path) -> Iterator[str]:
    """The paths of a list; relative ones begin at its folder, empty lines and those that begin with # are left out.

    Raises:
        ScanError: it is too large, no text, or names a file that is not there.
    """
    if not path.is_file() or path.stat().st_size > LARGEST_LIST:
        raise ScanError(f"{path}: a list of scans must be a regular file of at most {LARGEST_LIST >> 20} MiB")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScanError(f"{path}: a list of scans must be UTF-8 text with one path on each line ({error})") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if "\0" in text or not os.path.exists(path.parent / text):
            raise ScanError(f"{path}, line {number}: no such file {text!r}; correct the path or remove the line")
        yield str(path.parent / text)


def _is_scan(path: str) -> bool:
    """Whether a folder is a scan itself: frames with a table of positions."""
    with open_source(path) as file:
        return find_format(file) is not None


def _should_be_scan(path: str) -> bool:
    """Whether an entry of a folder is a scan; a file that is damaged or not finished counts if its extension fits."""
    named = path.lower().endswith(_SCAN_SUFFIXES)
    if not os.path.isdir(path) and not os.path.isfile(path):
        return False
    try:
        with open_source(path) as file:
            found = find_format(file)
            if found is not None:
                return found.contents(file)[0] == "scan"
            return named and (file.container == "empty" or file.members is None)
    except ScanError:
        return named


def _unreadable(path: Path) -> str:
    """Why a file cannot be read as a scan; empty if it can."""
    try:
        with open_source(path) as file:
            is_whole = file.members is not None  # the names of a ZIP file stand at its end
            return "" if is_whole and find_format(file) is not None else "it is not finished, or holds no scan"
    except ScanError as error:
        return str(error)
