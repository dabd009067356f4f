"""What kind of file it is, told from its first bytes."""

from pathlib import Path
from typing import Literal

from ptychopinn.errors import ScanError

_BEGINNINGS: tuple[tuple[bytes, Literal["zip", "hdf5", "npy"]], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
)


def kind_of_file(path: str | Path) -> Literal["zip", "hdf5", "npy", "empty", "other"]:
    """The container that a file is.

    Raises:
        ScanError: no such file, a folder, or a file that may not be read.
    """
    start = _first_bytes(Path(path))
    known = (kind for beginning, kind in _BEGINNINGS if start.startswith(beginning))
    return next(known, "other" if start else "empty")


def is_hdf5(path: str | Path) -> bool:
    """Whether a file is there and begins as HDF5 does."""
    return Path(path).is_file() and kind_of_file(path) == "hdf5"


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
