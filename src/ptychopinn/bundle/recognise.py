"""Whether a file or folder holds a trained model, by names and first bytes alone."""

from pathlib import Path

from ptychopinn.bundle.archive import EARLIER_MANIFEST
from ptychopinn.bundle.manifest import BUNDLE_NAME, MANIFEST
from ptychopinn.data.io.door import first_bytes, zip_names
from ptychopinn.errors import ScanError

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"


def bundle_file(path: str | Path) -> Path:
    """The file itself: a folder stands for the `wts.h5.zip` inside it, or for its own unpacked members."""
    path = Path(path)
    if not path.is_dir():
        return path
    inside = path / BUNDLE_NAME
    unpacked = any((path / name).is_file() for name in (MANIFEST, EARLIER_MANIFEST))
    return path if unpacked and not inside.exists() else inside


def holds_model(path: str | Path) -> bool:
    """Whether a file or folder is, or holds, a trained model; nothing of it is read but names."""
    file = bundle_file(path)
    if file.is_dir() or not file.is_file():
        return file.is_dir()
    return MANIFEST in (zip_names(file) or ()) or is_earlier(file)


def is_earlier(file: Path) -> bool:
    """Whether a file, or a folder with the unpacked members of one, belongs to the earlier implementation."""
    if file.is_dir():
        return (file / EARLIER_MANIFEST).is_file() and not (file / MANIFEST).exists()
    if not file.is_file():
        return False
    return is_checkpoint(file) or _has_earlier_manifest(zip_names(file) or ())


def is_checkpoint(file: Path) -> bool:
    """Whether a file is one of `torch.save`, packed by gzip or not."""
    try:
        start = first_bytes(file, 4)
    except ScanError:
        return False
    return start[:2] == GZIP or (start == ZIP and any(name.endswith("/data.pkl") for name in zip_names(file) or ()))


def _has_earlier_manifest(names: tuple[str, ...]) -> bool:
    return EARLIER_MANIFEST in names and MANIFEST not in names
