"""The file formats: one class each, in one registry.

A format says whether a file is one of its own (`sniff`), reads scans or reconstructions from it, and writes them under
its extensions. `read_scan`, `write_scan`, `Reconstruction.load` and `save`, `convert` and `read_probe` go through
`format_of` (reading, by content) and `format_for` (writing, by extension), and through nothing else.

Installed packages add formats by the entry point group `ptychopinn.formats`; see docs/extending.md.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, Literal, final

from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.io.rules import Propagation
from ptychopinn.data.io.source_file import SourceFile, open_source
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, OutputError, ScanError
from ptychopinn.plugins import Registry

logger = logging.getLogger("ptychopinn.data")

GROUP = "ptychopinn.formats"
"""Entry points of packages that bring file formats."""

Content = Literal["scan", "reconstruction"]
"""What a file can hold for us."""


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """How a scan is to be read."""

    data: DataConfig = field(default_factory=DataConfig)
    """Domain, axis order, position origin, `fftshift`."""
    diffraction: Path | None = None
    """File with the patterns, where they are not in the file itself."""
    probe: NDArray[Any] | None = None
    """(H, W) or (M, H, W), to be used in place of the probe of the file."""
    propagation: Propagation = "auto"
    """What the user says about near and far field."""


class FileFormat(ABC):
    """One file format. A subclass sets the class attributes, and overrides the methods of what it reads and writes.

    A subclass must have a constructor without arguments.
    """

    name: ClassVar[str]
    """For messages: "a scan is written as <name>"."""
    extensions: ClassVar[tuple[str, ...]] = ()
    """Under which files are written, lower case, with the dot; the first one is named in messages."""
    reads: ClassVar[tuple[Content, ...]] = ()
    writes: ClassVar[tuple[Content, ...]] = ()
    takes_parts: ClassVar[bool] = False
    """Whether the patterns may come from another file (`--diffraction`)."""
    takes_probe: ClassVar[bool] = False
    """Whether the probe may come from another file (`--probe`)."""
    finishes: ClassVar[bool] = False
    """Whether `read_scan` ends with `finished_scan`, which applies the settings of `data` before the checks, so that a
    scan may hold what they leave out. Without it they are applied to the checked scan."""
    keeps_varying_probe: ClassVar[bool] = True
    """Whether a reconstruction is written with the modes by which its probe varies, or has no probe at all."""
    last: ClassVar[bool] = False
    """Whether all others are asked first, because this format describes itself too little."""

    @abstractmethod
    def sniff(self, file: SourceFile) -> bool:
        """Whether a file is of this format. Must be fast, and must not fail on files of other formats."""

    def contents(self, file: SourceFile) -> tuple[Content, ...]:
        """What can be read from a file of this format; first what `convert` takes it for."""
        return self.reads

    def read_scan(self, path: Path, reading: Reading) -> Scan:
        """The scan in a file, built with `Scan.create`, in the conventions of docs/conventions.md.

        Raises:
            ScanError: the file holds no scan, or it is damaged.
        """
        raise ScanError(f"{path}: a {self.name} file holds no scan; give a file with patterns, positions and probe")

    def read_reconstruction(self, path: Path) -> Any:
        """The `Reconstruction` in a file.

        Raises:
            ScanError: the file holds none, or it is damaged.
        """
        raise ScanError(f"{path}: a {self.name} file holds no reconstruction; give a file with an object")

    def read_probe(self, path: Path) -> NDArray[Any]:
        """The probe in a file, (H, W) or (M, H, W), complex. By default that of its scan or reconstruction.

        Raises:
            ScanError: the file holds none, or it is damaged.
        """
        with open_source(path) as file:
            content = self.contents(file)[0]
        return self.read_scan(path, Reading()).probe if content == "scan" else self.read_reconstruction(path).probe

    def write_scan(self, scan: Scan, path: Path) -> Path:
        """Write a scan; returns the path. Use `atomic_path`, so that a failure leaves the old file.

        Raises:
            OutputError: the file cannot be written.
        """
        raise OutputError(f"{path}: scans are not written as {self.name}")

    def write_reconstruction(self, image: Any, path: Path) -> Path:
        """Write a `Reconstruction`, whose metadata are plain JSON values; returns the path. As `write_scan`.

        Raises:
            OutputError: the file cannot be written.
        """
        raise OutputError(f"{path}: reconstructions are not written as {self.name}")


_BUILT_IN = {
    "ptychodus_npz_product": "ptychopinn.data.io.ptychodus_npz:PtychodusNpzProduct",
    "ptychodus_npz_diffraction": "ptychopinn.data.io.ptychodus_npz:PtychodusNpzDiffraction",
    "npz": "ptychopinn.data.io.npz_format:Npz",
    "nxcxi_ptycho": "ptychopinn.data.io.hdf5_formats:NXcxiPtycho",
    "cxi": "ptychopinn.data.io.hdf5_formats:Cxi",
    "ptyrad": "ptychopinn.data.io.ptyrad:PtyRad",
    "matlab": "ptychopinn.data.io.matlab:Matlab",
    "ptychodus_training": "ptychopinn.data.io.hdf5_formats:PtychodusTraining",
    "ptychodus_product": "ptychopinn.data.io.hdf5_formats:PtychodusProduct",
    "ptychodus_diffraction": "ptychopinn.data.io.hdf5_formats:PtychodusDiffraction",
    "ptylab": "ptychopinn.data.io.ptylab:PtyLab",
    "fold_slice": "ptychopinn.data.io.fold_slice:FoldSlice",
    "frames_with_table": "ptychopinn.data.io.frames_with_table:FramesWithTable",
    "nexus": "ptychopinn.data.io.hdf5_formats:Nexus",
    "tiff": "ptychopinn.data.io.tiff:Tiff",
}
"""In the order in which they are asked; by name only, so that a format is imported when a file needs it."""


def _check(value: Any) -> None:
    if not (isinstance(value, str) or (isinstance(value, type) and issubclass(value, FileFormat))):
        raise ConfigError(f"a file format must be a subclass of FileFormat, got {value!r}")


_FORMATS: Registry[str | type[FileFormat]] = Registry(
    "file format", _BUILT_IN, setting="file format", group=GROUP, check=_check
)


def register(name: str, kind: type[FileFormat]) -> None:
    """Add a format under a new name.

    Raises:
        ConfigError: the name is taken, or the value is no subclass of `FileFormat`.
    """
    _FORMATS.register(name, kind)


def formats() -> list[FileFormat]:
    """All formats, in the order in which they are asked."""
    return list(_in_order())


def format_of(path: str | Path, content: Content = "scan") -> FileFormat:
    """The format that a file has, told from what is in it.

    Args:
        path: of the file.
        content: what it is wanted for, for the message if the format is not known.

    Raises:
        ScanError: no such file, or a format that is not known.
    """
    with open_source(path) as file:
        return sniffed(file, content)


def sniffed(file: SourceFile, content: Content = "scan") -> FileFormat:
    """Like `format_of`, of a file that is open.

    Raises:
        ScanError: a format that is not known.
    """
    found = find_format(file)
    if found is None:
        raise _unknown(file, content)
    return found


def find_format(file: SourceFile) -> FileFormat | None:
    """The format that a file has; None if it is not known."""
    return next((one for one in _in_order() if _accepts(one, file)), None)


def format_for(path: str | Path, content: Content) -> FileFormat:
    """The format in which a scan or a reconstruction is written under the extension of a path.

    Raises:
        OutputError: no format has that extension.
    """
    suffix = Path(path).suffix.lower()
    for one in _in_order():
        if content in one.writes and suffix in one.extensions:
            return one
    possible = [one for one in _in_order() if content in one.writes]
    raise OutputError(
        f"{path}: a {content} is written as {_listed([one.name for one in possible])}; name a file that ends in "
        f"{_listed([one.extensions[0] for one in possible])}"
    )


def extensions(content: Content) -> tuple[str, ...]:
    """Under which a scan or a reconstruction is written."""
    return tuple(dict.fromkeys(suffix for one in _in_order() if content in one.writes for suffix in one.extensions))


def _in_order() -> Iterator[FileFormat]:
    """Ours, then those of installed packages, then those that describe themselves too little.

    Each is imported when its turn comes, and installed packages are searched only after ours, so that they neither
    change how known files are read nor cost time there.
    """
    late = []
    for name in _BUILT_IN:
        one = _made(name)
        if not one.last:
            yield one
        else:
            late.append(one)
    added = [_made(name) for name in _FORMATS.names() if name not in _BUILT_IN]
    yield from sorted([*added, *late], key=lambda one: one.last)


def _made(name: str) -> FileFormat:
    kind = _FORMATS.resolve(name)
    made: FileFormat = (resolve_name(kind) if isinstance(kind, str) else kind)()
    return made


def _accepts(one: FileFormat, file: SourceFile) -> bool:
    """Whether a format takes a file; one that fails on it is left out with a warning."""
    try:
        return one.sniff(file)
    except ScanError:
        raise
    except Exception as error:
        logger.warning("%s: the file format %s is left out, as it fails: %s", file.path, one.name, error)
        return False


def _listed(words: list[str]) -> str:
    """As in "a, b or c"."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def building_command(path: Path) -> str:
    """The command that makes a scan of a file of patterns."""
    return (
        f"`ptychopinn convert {path.name} scan.npz --positions FILE --energy-kev KEV --distance-m M "
        "--detector-pixel-um UM`"
    )


def _unknown(file: SourceFile, content: Content) -> ScanError:
    """Names what the file is, as far as that can be said, and what to give."""
    path, failed = file.path, "".join(_FORMATS.failures())
    if path.is_dir():
        return ScanError(
            f"{path}: is a folder; give the path of a scan file, or put positions.csv beside the frames in it, or give "
            f"{building_command(path)}"
        )
    if file.hdf5 is not None:
        from ptychopinn.data.io.hdf5 import listing

        return ScanError(
            f"{path}: an HDF5 file of a layout that is not known (found: {listing(file.hdf5)}); known are CXI, NeXus, "
            "and the files of ptychodus, PtyLab, PtyRAD, fold_slice and MATLAB; write the scan as NPZ with diff3d, "
            "xcoords, ycoords and "
            f"probeGuess{failed}"
        )
    if content == "reconstruction":
        return ScanError(f"{path}: is not an NPZ file; give a reconstruction.npz{failed}")
    if file.container == "zip":
        names = ", ".join(sorted(name.removesuffix(".npy") for name in file.members or ())[:12])
        return ScanError(
            f"{path}: has no patterns, neither diffraction nor diff3d (found: {names}); save them as (N, H, W) under "
            f"one of these keys{failed}"
        )
    if file.container == "npy":
        return ScanError(
            f"{path}: holds a single array; a scan needs patterns, positions and probe, write them with numpy.savez, "
            f"put {path.stem}.csv with x_um,y_um beside it, or give {building_command(path)}"
        )
    if file.start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ScanError(
            f"{path}: is a TIFF stack of patterns alone; put {path.stem}.csv with x_um,y_um beside it, or give "
            f"{building_command(path)}"
        )
    return ScanError(
        f"{path}: is {'empty' if file.container == 'empty' else 'no NPZ or HDF5 file'}; give a scan saved with "
        f"numpy.savez, as CXI or NeXus, or by ptychodus{failed}"
    )
