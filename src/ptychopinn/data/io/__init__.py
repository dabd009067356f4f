"""Reading and writing scans: the format of a file is recognised by its content, never by its name."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ptychopinn.config import DataConfig
from ptychopinn.data.io.atomic import atomic_path, check_output_folder, write_text_atomically
from ptychopinn.data.io.npz import read_npz, write_npz
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, OutputError, ScanError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NPY = b"\x93NUMPY"


def read_scan(path: str | Path, options: DataConfig | None = None, **overrides: Any) -> Scan:
    """Read a scan from a file of any format that the package knows.

    Args:
        path: of the file.
        options: the `data` section of a recipe; of it domain, axis_order, position_origin and fftshift are
        used.
        overrides: single fields of `DataConfig` that win over `options`, as in `read_scan(path,
        fftshift=True)`.

    Returns:
        The checked scan, in the conventions of docs/conventions.md.

    Raises:
        ScanError: no such file, a format that is not known, or content that is no scan.
        ConfigError: an override that `DataConfig` does not know or accept.
    """
    options = _with(options or DataConfig(), overrides)
    path = Path(path)
    start = _first_bytes(path)
    if start.startswith(_ZIP):
        return read_npz(path, options)
    if start.startswith(_HDF5):
        raise ScanError(
            f"{path}: is an HDF5 file; HDF5 and CXI scans are not readable yet, save the scan as NPZ with "
            "the keys diffraction (or diff3d), xcoords, ycoords and probeGuess"
        )
    if start.startswith(_NPY):
        raise ScanError(
            f"{path}: holds a single array; a scan needs patterns, positions and probe, write them with numpy.savez"
        )
    raise ScanError(f"{path}: is {'empty' if not start else 'no NPZ file'}; give a scan saved with numpy.savez")


def write_scan(scan: Scan, path: str | Path) -> Path:
    """Write a scan in the format that the extension names; returns the path.

    Raises:
        OutputError: another extension than `.npz`, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise OutputError(f"{path}: a scan can be written as NPZ only; name a file that ends in .npz")
    return write_npz(scan, path)


def _with(options: DataConfig, overrides: dict[str, Any]) -> DataConfig:
    if not overrides:
        return options
    try:
        return DataConfig.model_validate({**options.model_dump(), **overrides})
    except ValidationError as error:
        parts = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"read_scan: {'; '.join(parts)}; the overrides are fields of DataConfig") from None


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file; give the path of a scan") from None
    except IsADirectoryError:
        raise ScanError(f"{path}: is a folder; give the path of a scan file") from None
    except OSError as error:
        raise ScanError(f"{path}: cannot be opened ({error.strerror}); give a file that you may read") from error


__all__ = [
    "atomic_path",
    "check_output_folder",
    "read_npz",
    "read_scan",
    "write_npz",
    "write_scan",
    "write_text_atomically",
]
