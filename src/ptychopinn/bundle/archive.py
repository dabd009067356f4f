"""Zip files of which every byte is checked before it is used; nothing is extracted or executed."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, final

from ptychopinn.bundle.manifest import KNOWN, MANIFEST, REQUIRED, WEIGHTS_OF, FileEntry, Manifest, parse_manifest
from ptychopinn.data.io.door import check_regular_file
from ptychopinn.data.io.memory import check_memory
from ptychopinn.errors import BundleError, ScanError, shown

MAX_MEMBERS = 64
MAX_JSON_BYTES = 8 * 2**20
"""Largest manifest, recipe or parameter file that is read."""
MAX_EXPANSION = 8
"""A compressed member may not grow by more than this, once it is past `FREE_BYTES`. Weights in float32 shrink to 0.9 of
their size; this package stores them uncompressed."""
FREE_BYTES = 64 * 2**20
"""Unpacked bytes that are accepted from a member of any size."""

EARLIER_MANIFEST = "manifest.dill"
EARLIER = frozenset(
    (
        EARLIER_MANIFEST,
        *(
            f"{model}/{part}"
            for model in ("autoencoder", "diffraction_to_obj")
            for part in ("params.dill", "model.keras", "model.pth")
        ),
    )
)
"""Members of an archive of the earlier implementation that are read, by `ptychopinn.bundle.legacy`."""

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members, stored without compression, in the given order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)


def read_archive(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the bytes of every member after its name, size and hash were checked.

    Raises:
        BundleError: the one thing that is wrong with the archive.
    """
    where = str(path)
    with _opened(path) as archive:
        members = _checked_names(archive, where)
        check_memory(sum(info.file_size for info in members.values()), f"{where}: the bundle")
        manifest = parse_manifest(_read_manifest(archive, members, where), where)
        _check_listing(manifest, members, where)
        data = {name: _read_member(archive, members[name], entry, where) for name, entry in manifest.files.items()}
    return manifest, data


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive, packed first where it is a folder."""
    try:
        if path.exists() and not path.is_dir():
            check_regular_file(path, "give a wts.h5.zip or the folder that holds one")
        with _packed(path) if path.is_dir() else path.open("rb") as stream, opened_zip(stream, str(path)) as archive:
            yield archive
    except FileNotFoundError:
        raise BundleError(f"{path}: no such model bundle; give a wts.h5.zip or the folder that holds one") from None
    except BundleError:
        raise
    except ScanError as error:
        raise BundleError(str(error)) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def opened_zip(stream: IO[bytes], where: str) -> Iterator[zipfile.ZipFile]:
    """The open zip file; whatever zipfile finds wrong with it becomes one sentence, with `where` in front."""
    try:
        if stream.read(4) != b"PK\x03\x04":
            raise BundleError(f"{where}: is not a zip file, so it is no model bundle; give a wts.h5.zip")
        with zipfile.ZipFile(stream) as archive:
            yield archive
    except (BundleError, ScanError):
        raise
    except _DAMAGE as error:
        reason = "its end is missing" if "not a zip file" in str(error) else shown(error)
        raise BundleError(f"{where}: is truncated or damaged ({reason}); copy it again or train again") from None


@contextmanager
def opened_members(path: Path) -> "Iterator[Members]":
    """The members of an archive without a manifest of hashes; names and sizes were checked.

    Raises:
        BundleError: the one thing that is wrong with the archive, also while the members are read.
    """
    with _opened(path) as archive:
        yield Members(archive, str(path))


@final
class Members:
    """Members of an open archive by name, each read when it is asked for.

    Raises:
        BundleError: a name or a size breaks a rule, or together they do not fit into memory.
    """

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self.where = where
        self._archive = archive
        self._infos = _checked_names(archive, where)
        check_memory(sum(info.file_size for info in self._infos.values()), f"{where}: the bundle")

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a member, `limit` of them at most; its checksum was compared.

        Raises:
            BundleError: it is not there, too large, or damaged.
        """
        if name not in self._infos:
            raise BundleError(f"{self.where}: lacks the member {name}; the archive is not whole, copy it again")
        return _bounded(self._archive, self._infos[name], limit, self.where)


def _packed(folder: Path) -> io.BytesIO:
    """The unpacked members of a bundle as an archive again, so that one set of checks serves both."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted({MANIFEST, *KNOWN, *EARLIER}):
            file = folder / name
            if file.is_symlink():
                raise BundleError(f"{file}: is a symbolic link; the bundle is refused")
            if file.is_file():
                archive.write(file, name)
    stream.seek(0)
    return stream


def _checked_names(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """Members by name, after every rule that needs no manifest."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise BundleError(f"{where}: holds {len(infos)} members, more than any bundle has; it is refused")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        for broken, rule in _RULES:
            if broken(info):
                raise BundleError(f"{where}: member {shown(info.filename)!r} {rule}; the archive is refused")
        if info.filename in members:
            raise BundleError(f"{where}: member {shown(info.filename)!r} is there twice; the archive is refused")
        members[info.filename] = info
    return members


def _is_unsafe_path(info: zipfile.ZipInfo) -> bool:
    name = info.orig_filename
    return name.startswith("/") or ".." in name.split("/") or any(mark in name for mark in "\\:\0")


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _is_encrypted(info: zipfile.ZipInfo) -> bool:
    return bool(info.flag_bits & 1)


def _is_oddly_compressed(info: zipfile.ZipInfo) -> bool:
    return info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _is_bomb(info: zipfile.ZipInfo) -> bool:
    return info.file_size > FREE_BYTES + MAX_EXPANSION * info.compress_size


_RULES: tuple[tuple[Callable[[zipfile.ZipInfo], bool], str], ...] = (
    (_is_unsafe_path, "has an absolute path or leaves its folder"),
    (_is_link, "is a symbolic link"),
    (_is_encrypted, "is encrypted"),
    (_is_oddly_compressed, "uses a compression other than none or deflate"),
    (_is_bomb, "expands to far more bytes than it takes up"),
)


def _read_manifest(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], where: str) -> bytes:
    if MANIFEST in members:
        return _bounded(archive, members[MANIFEST], MAX_JSON_BYTES, where)
    raise BundleError(f"{where}: holds no {MANIFEST}, so it is no PtychoPINN model bundle")


def _check_listing(manifest: Manifest, members: Mapping[str, zipfile.ZipInfo], where: str) -> None:
    """Archive, manifest and layout name the same members."""
    listed, present = set(manifest.files), set(members) - {MANIFEST}
    needed = {*REQUIRED, *manifest.weights.values()}
    problems = (
        (present - KNOWN, "holds unknown member(s)"),
        (listed - KNOWN, "lists unknown member(s)"),
        ((needed | listed) - present, "lacks member(s)"),
        ((set(WEIGHTS_OF.values()) & present) - needed, "holds weights that its manifest does not name:"),
        (present - listed, "holds member(s) that its manifest does not list:"),
    )
    for names, complaint in problems:
        if names:
            raise BundleError(f"{where}: {complaint} {shown(', '.join(sorted(names)))}; the archive is refused")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: FileEntry, where: str) -> bytes:
    name = info.filename
    if info.file_size != entry.bytes:
        relation = "larger" if info.file_size > entry.bytes else "smaller"
        raise BundleError(
            f"{where}: member {name} ({info.file_size} bytes) is {relation} than its manifest says "
            f"({entry.bytes} bytes); the archive is refused"
        )
    limit = min(entry.bytes, MAX_JSON_BYTES) if name.endswith(".json") else entry.bytes
    data = _bounded(archive, info, limit, where)
    if sha256(data).hexdigest() != entry.sha256:
        raise BundleError(f"{where}: the hash of member {name} differs from its manifest; it was damaged or changed")
    return data


def _bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, where: str) -> bytes:
    """At most `limit` bytes of a member; more of them are an error and are never read."""
    if info.file_size > limit:
        raise BundleError(f"{where}: member {info.filename} has {info.file_size} bytes, more than the {limit} allowed")
    with archive.open(info) as member:
        data = member.read(limit + 1)
    if len(data) != info.file_size:
        raise BundleError(f"{where}: member {info.filename} is truncated; copy the bundle again or train again")
    return data
