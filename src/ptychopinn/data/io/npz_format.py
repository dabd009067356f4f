"""The NPZ format: scans and reconstructions as NumPy arrays."""

from pathlib import Path
from typing import Any, ClassVar, final

from numpy.typing import NDArray

from ptychopinn.data.io.door import open_npz, read_npy
from ptychopinn.data.io.formats import Content, FileFormat, Reading
from ptychopinn.data.io.npz_reconstruction import read_npz_reconstruction, write_npz_reconstruction
from ptychopinn.data.io.npz_scan import read_npz, write_npz
from ptychopinn.data.io.source_file import SourceFile, container_of
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError

_KEYS = frozenset({"diffraction", "diff3d", "xcoords", "probe", "probeGuess", "object", "objectGuess", "coverage"})
"""A file with one of these arrays is ours; others are left to the formats of installed packages."""
_PROBE_KEYS = ("probeGuess", "probe")


@final
class Npz(FileFormat):
    """NPZ files; nothing in them is ever unpickled."""

    name: ClassVar[str] = "NPZ"
    extensions: ClassVar[tuple[str, ...]] = (".npz",)
    reads: ClassVar[tuple[Content, ...]] = ("scan", "reconstruction")
    writes: ClassVar[tuple[Content, ...]] = ("scan", "reconstruction")

    takes_probe: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def sniff(self, file: SourceFile) -> bool:
        """Also empty and damaged ZIP files, which reading refuses with the reason."""
        if file.container != "zip":
            return False
        return not file.members or any(f"{key}.npy" in file.members for key in _KEYS)

    def contents(self, file: SourceFile) -> tuple[Content, ...]:
        return ("reconstruction",) if "object.npy" in (file.members or ()) else ("scan",)

    def read_scan(self, path: Path, reading: Reading) -> Scan:
        return read_npz(path, reading.data, reading.probe)

    def read_reconstruction(self, path: Path) -> Reconstruction:
        return read_npz_reconstruction(path)

    def read_probe(self, path: Path) -> NDArray[Any]:
        return read_numpy_probe(path)

    def write_scan(self, scan: Scan, path: Path) -> Path:
        return write_npz(scan, path)

    def write_reconstruction(self, image: Any, path: Path) -> Path:
        return write_npz_reconstruction(image, path)


def read_numpy_probe(path: Path) -> NDArray[Any]:
    """The probe of an NPZ file, or the array of an NPY file.

    Raises:
        ScanError: damaged, or no complex array of two or three axes in it.
    """
    probe = _probe_array(path)
    if probe.dtype.kind != "c" or probe.ndim not in (2, 3):
        raise ScanError(f"{path}: holds {probe.dtype} {probe.shape}; must be a complex probe, (H, W) or (M, H, W)")
    return probe


def _probe_array(path: Path) -> NDArray[Any]:
    if container_of(path) == "npy":
        return read_npy(path)
    if container_of(path) != "zip":
        raise ScanError(f"{path}: no probe can be read from it; give an NPZ, NPY or HDF5 file")
    with open_npz(path) as archive:
        found = next((key for key in _PROBE_KEYS if key in archive.files), None)
        if found is None:
            raise ScanError(f"{path}: holds no probe (looked for {' and '.join(_PROBE_KEYS)}); give a file that does")
        return archive[found]
