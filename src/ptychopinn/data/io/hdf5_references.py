"""What an HDF5 file refers to outside itself: external raw storage, links and virtual datasets.

The library follows all three without asking, into any file that the user may read, and recurses without end into a
virtual dataset that is its own source. So references are looked at, without being followed, before anything else is
read.
"""

import logging
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from glob import escape, glob
from pathlib import Path
from typing import Any, final

import h5py
from h5py import h5a, h5d, h5f, h5g, h5i, h5l, h5o, h5t

from ptychopinn.data.io.child import completes
from ptychopinn.data.io.memory import size_text
from ptychopinn.errors import ScanError, shown

logger = logging.getLogger("ptychopinn.data")

DEEPEST = 64
"""Groups within groups; the deepest standard layout (NeXus) has about 10."""
MOST_OBJECTS = 50_000
"""Links of all files together that are looked at: about 1 s of work."""
MOST_FILES = 4096
"""Files that one file may lead to; a detector writes one for every 100 to 1000 frames."""
DEEPEST_VIRTUAL = 16
"""Virtual datasets made of virtual datasets."""
DEEPEST_TYPE = 32
"""Types within types; the library and NumPy need seconds for thousands of them."""
_TRIAL_BYTES = 256 * 2**20
"""Of memory, for one value of each virtual dataset and all short texts. Chunks of a detector take 64 MiB at most; what
needs more is left to the checks of `ptychopinn.data.io.hdf5_sizes`."""
MOST_TEXTS = 4096
"""Values of variable length in one dataset that are tried here: names of columns and axes are far fewer."""
_NAMED = 5
_REMEMBERED = 8
_SETTLED_NS = 2_000_000_000
"""Age from which a file that changes once more gets another time stamp on any file system."""
_BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError)

Identity = tuple[int, int, int]
"""Device, inode and address of an object."""


def check_references(file: h5py.File, *, announce: bool) -> None:
    """Refuse a file that refers to what lies outside its folder, or in circles.

    Raises:
        ScanError: external raw storage; a link or virtual dataset that leads to a file outside the folder of this one,
            or to a pipe or device; a virtual dataset that is its own source; far too many or too deep groups.
    """
    main = Path(os.path.abspath(file.filename))
    about = main.stat()
    stamp = about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
    if stamp in _self_contained():
        return
    search = _Search(main)
    search.file(file.id, main)
    if (search.virtual or search.texts) and not completes(lambda: _trial(file, search), _TRIAL_BYTES):
        what = f"virtual datasets ({', '.join(search.virtual[:_NAMED])}) or " if search.virtual else ""
        raise ScanError(
            f"{main}: {what}texts of variable length in it cannot be read within {size_text(_TRIAL_BYTES)}; the file "
            "is damaged or refers to damaged files, write the data into one file with texts of fixed length"
        )
    others = [str(path) for path in search.others]
    if others and announce:
        rest = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        logger.info("%s: links lead to %s%s", main, ", ".join(others[:_NAMED]), rest)
    is_settled = time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > _SETTLED_NS
    if is_settled and not search.virtual and not search.leads:
        _self_contained().append(stamp)


@cache
def _self_contained() -> deque[tuple[int, ...]]:
    """The states of the last files that refer to nothing: one is opened three times while it is read."""
    return deque(maxlen=_REMEMBERED)


def source_bytes(dataset: h5py.Dataset) -> int:
    """Bytes of the files that a virtual dataset takes its values from: more than it can store."""
    main = Path(dataset.file.filename)
    names = {source.file_name for source in dataset.virtual_sources()}
    found = {path for name in names for path in ([main] if name == "." else _expanded(name, main))}
    return sum(path.stat().st_size for path in found if path.is_file())


def sources_of(dataset: h5py.Dataset) -> Iterator[h5py.Dataset]:
    """The sources of a virtual dataset that are there; the file of each is open meanwhile."""
    main = Path(dataset.file.filename)
    for name, inner in sorted({(source.file_name, source.dset_name) for source in dataset.virtual_sources()}):
        for path in [main] if name == "." else _expanded(name, main):
            if path.is_file() and h5py.is_hdf5(path):
                with h5py.File(path, "r") as file:
                    found = [file.get(one) for one in _numbered(file.id, inner)]
                    yield from (one for one in found if isinstance(one, h5py.Dataset))


@final
class _Search:
    """One pass over a file and all files that it leads to."""

    def __init__(self, main: Path) -> None:
        self.main = main
        self.others: list[Path] = []
        self.virtual: list[str] = []
        self.texts: list[tuple[Path, bytes]] = []
        """Objects that hold, or have attributes with, values of variable length."""
        self.leads = False
        """Whether any name of another file was met, whether that file is there or not."""
        self._folders = {Path(os.path.realpath(main.parent)), Path(os.path.realpath(main)).parent}
        self._files: set[tuple[int, int]] = set()
        self._heights: dict[Identity, int] = {}
        self._count = 0

    def file(self, file: h5f.FileID, path: Path) -> None:
        """Everything in one file, and in those that it leads to."""
        about = path.stat()
        if (about.st_dev, about.st_ino) in self._files:
            return
        self._files.add((about.st_dev, about.st_ino))
        if len(self._files) > MOST_FILES:
            raise ScanError(f"{self.main}: leads to more than {MOST_FILES} files; read a part of them")
        seen = set()
        root = h5g.open(file, b"/")
        if _has_texts(root):
            self.texts.append((path, b"/"))
        groups = [(root, 0)]
        while groups:
            group, depth = groups.pop()
            if depth > DEEPEST:
                raise self._refused(group, f"lies more than {DEEPEST} groups deep", "write the data nearer to the top")
            for name in self._names(group, path):
                item = _opened(group, name)
                address = None if item is None else h5o.get_info(item).addr
                if item is None or address in seen:
                    continue
                seen.add(address)
                if _has_texts(item):
                    self.texts.append((path, h5i.get_name(item)))
                if isinstance(item, h5g.GroupID):
                    groups.append((item, depth + 1))
                elif isinstance(item, h5d.DatasetID):
                    self._dataset(item, path)

    def _names(self, group: h5g.GroupID, path: Path) -> Iterator[bytes]:
        """The members of a group that lie in the same file; links to others are checked on the way."""
        for name in group:
            self._count += 1
            if self._count > MOST_OBJECTS:
                raise ScanError(f"{self.main}: holds more than {MOST_OBJECTS} links; write the scan into its own file")
            kind = group.links.get_info(name).type
            if kind == h5l.TYPE_EXTERNAL:
                for other in self._leads_to(os.fsdecode(group.links.get_val(name)[0]), path):
                    with h5py.File(other, "r") as opened:
                        self.file(opened.id, other)
            elif kind == h5l.TYPE_HARD:
                yield name

    def _dataset(self, dataset: h5d.DatasetID, path: Path) -> None:
        if _is_deep(dataset.get_type(), DEEPEST_TYPE):
            raise self._refused(dataset, f"has a type of more than {DEEPEST_TYPE} levels", "store plain numbers")
        settings = dataset.get_create_plist()
        if settings.get_external_count():
            raise self._refused(
                dataset,
                f"takes its bytes from another file ({shown(os.fsdecode(settings.get_external(0)[0]))})",
                "copy the values into the file",
            )
        if settings.get_layout() == h5d.VIRTUAL:
            if path == self.main:
                self.virtual.append(_name(dataset))
            self._sources(dataset, settings, path, ())

    def _sources(self, dataset: h5d.DatasetID, settings: Any, path: Path, chain: tuple[Identity, ...]) -> int:
        """How many virtual datasets stand above each other from this one down; all of their sources are checked."""
        about = path.stat()
        me = about.st_dev, about.st_ino, h5o.get_info(dataset).addr
        if me in chain:
            raise self._refused(dataset, "is a virtual dataset that is its own source", "write its values instead")
        if me in self._heights:
            return self._heights[me]
        pairs = {
            (settings.get_virtual_filename(index), settings.get_virtual_dsetname(index))
            for index in range(settings.get_virtual_count())
        }
        height = 1
        for name in sorted({name for name, _ in pairs}):
            below = [inner for outer, inner in pairs if outer == name]
            if name == ".":
                height = max(height, 1 + self._below(h5i.get_file_id(dataset), path, below, (*chain, me)))
                continue
            for other in self._leads_to(name, path):
                with h5py.File(other, "r") as opened:
                    self.file(opened.id, other)
                    height = max(height, 1 + self._below(opened.id, other, below, (*chain, me)))
        if height > DEEPEST_VIRTUAL or len(chain) > DEEPEST_VIRTUAL:
            raise self._refused(dataset, "is made of too many virtual datasets", "write its values instead")
        self._heights[me] = height
        return height

    def _below(self, file: h5f.FileID, path: Path, names: list[str], chain: tuple[Identity, ...]) -> int:
        """The largest height of the virtual datasets among the sources."""
        height = 0
        for name in (number for one in names for number in _numbered(file, one)):
            source = _opened(file, os.fsencode(name))
            if isinstance(source, h5d.DatasetID):
                settings = source.get_create_plist()
                if settings.get_layout() == h5d.VIRTUAL:
                    height = max(height, self._sources(source, settings, path, chain))
        return height

    def _leads_to(self, name: str, path: Path) -> list[Path]:
        """The files that a name in a file stands for, checked; none that is missing or no HDF5 file."""
        self.leads = True
        found = []
        for other in _expanded(name, path):
            real = Path(os.path.realpath(other))
            if not any(real.is_relative_to(folder) for folder in self._folders):
                raise ScanError(
                    f"{self.main}: leads to {shown(name)}, which lies outside the folder of the file; links must stay "
                    f"in that folder or below it, make a symbolic link to {self.main.name} in a folder above both "
                    "files and give its path"
                )
            if real.exists() and not real.is_file():
                raise ScanError(f"{self.main}: leads to {shown(name)}, which must be a regular file; remove the link")
            if real.is_file() and h5py.is_hdf5(real):
                found.append(real)
                if real not in self.others and real != Path(os.path.realpath(self.main)):
                    self.others.append(real)
        return found

    def _refused(self, item: h5g.GroupID | h5d.DatasetID, what: str, way_out: str) -> ScanError:
        return ScanError(f"{self.main}: {shown(_name(item))} {what}, which is refused; {way_out}")


def _trial(file: h5py.File, search: _Search) -> None:
    """Read texts, and a value of each virtual dataset; only too little memory and crashes count."""
    for path, name in search.texts:
        with h5py.File(path, "r") as opened:
            item = opened[name]
            for read in (*(partial(item.attrs.__getitem__, one) for one in item.attrs), partial(_short_text, item)):
                try:
                    read()
                except _BROKEN as error:
                    if "alloc" in str(error).lower():
                        raise MemoryError from None
    for one in search.virtual[:DEEPEST]:
        with suppress(*_BROKEN, MemoryError):
            dataset = file[one]
            if dataset.size:
                dataset[(0,) * dataset.ndim]


def _short_text(item: h5py.Dataset | h5py.Group) -> None:
    if isinstance(item, h5py.Dataset) and item.dtype.hasobject and item.size <= MOST_TEXTS:
        item[()]


def _has_texts(item: Any) -> bool:
    """Whether an object holds values of variable length, in itself or in an attribute."""
    if isinstance(item, h5d.DatasetID) and _is_variable(item.get_type()):
        return True
    if not isinstance(item, h5d.DatasetID | h5g.GroupID):
        return False
    return any(
        _is_variable(h5a.open(item, index=index).get_type()) for index in range(min(h5a.get_num_attrs(item), DEEPEST))
    )


def _is_variable(kind: h5t.TypeID) -> bool:
    return bool(kind.detect_class(h5t.VLEN)) or (isinstance(kind, h5t.TypeStringID) and kind.is_variable_str())


def _is_deep(kind: h5t.TypeID, levels: int) -> bool:
    """Whether types within a type have more than so many levels."""
    if levels == 0:
        return True
    if isinstance(kind, h5t.TypeArrayID | h5t.TypeVlenID):
        return _is_deep(kind.get_super(), levels - 1)
    if isinstance(kind, h5t.TypeCompoundID):
        return any(_is_deep(kind.get_member_type(index), levels - 1) for index in range(kind.get_nmembers()))
    return False


def _opened(place: h5g.GroupID | h5f.FileID, name: bytes) -> Any:
    """An object, or none where it cannot be opened, so that nobody can read it."""
    try:
        return h5o.open(place, name)
    except _BROKEN:
        return None


def _name(item: h5g.GroupID | h5d.DatasetID) -> str:
    return os.fsdecode(h5i.get_name(item) or b"")


def _numbered(file: h5f.FileID, name: str) -> Iterator[str]:
    """The datasets that a name stands for: `%b` counts from 0."""
    if "%b" not in name:
        yield name
        return
    for number in range(MOST_FILES):
        one = name.replace("%b", str(number))
        if _opened(file, os.fsencode(one)) is None:
            return
        yield one


def _expanded(name: str, path: Path) -> list[Path]:
    """The files that exist where the library looks for a name in the file `path`; `%b` stands for numbers."""
    folders = [*_prefixes(path), path.parent, Path.cwd(), Path(os.path.realpath(path)).parent]
    places = [Path(name)] if os.path.isabs(name) else []
    places += [folder / (os.path.basename(name) if places else name) for folder in folders]
    if "%b" in name:
        patterns = [re.sub(r"%b", "[0-9]*", escape(str(place))) for place in places]
        return [Path(found) for pattern in patterns for found in sorted(glob(pattern))]
    existing = [place for place in places if os.path.lexists(place)]
    usable = (index for index, place in enumerate(existing) if place.is_file() and h5py.is_hdf5(place))
    return existing[: next(usable, len(existing)) + 1]


def _prefixes(path: Path) -> list[Path]:
    """Folders that the user names for the library."""
    given = [os.environ.get(name, "") for name in ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX")]
    return [Path(one.replace("${ORIGIN}", str(path.parent))) for text in given for one in text.split(":") if one]
