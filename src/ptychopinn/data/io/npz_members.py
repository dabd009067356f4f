"""Members of NPZ files. Nothing is ever unpickled, and every defect is a ScanError."""

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ScanError


class ObjectArray(ScanError):
    """A member that only unpickling could read, which is never done."""


_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    TypeError,
    OverflowError,
    OSError,
    EOFError,
    RuntimeError,
    MemoryError,
)
"""What NumPy and zipfile raise on damaged, encrypted and forged members."""


@contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """An NPZ file for reading; see `member`.

    Raises:
        ScanError: no such file, a folder, a single array, or a damaged file.
    """
    try:
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise ScanError(f"{path}: holds a single array; the rule is an NPZ file, write it with numpy.savez")
        with opened as archive:
            yield archive
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file; give the path of a scan") from None
    except IsADirectoryError:
        raise ScanError(f"{path}: is a folder; give the path of a scan file") from None
    except _BROKEN as error:
        if isinstance(error, ScanError):
            raise
        raise _damaged(path, error) from error


def member(archive: Any, key: str, path: Path) -> NDArray[Any]:
    """An array of an open file.

    Raises:
        ObjectArray: it holds Python objects.
        ScanError: it cannot be read.
    """
    try:
        value = archive[key]
    except ValueError as error:
        if "allow_pickle" in str(error):
            other = ", or give another probe by --probe FILE" if key == "probeGuess" else ""
            raise ObjectArray(
                f"{path}: {key} is an object array, which is never unpickled; convert it where it was "
                f"made, with {key} = numpy.stack({key}.tolist()) and a plain number type, and save the file "
                f"again{other}"
            ) from None
        raise _damaged(path, error, key) from error
    except _BROKEN as error:
        raise _damaged(path, error, key) from error
    if not isinstance(value, np.ndarray):
        raise ScanError(f"{path}: {key} is no NumPy array; write the file with numpy.savez")
    return value


def _damaged(path: Path, error: Exception, key: str | None = None) -> ScanError:
    what = "cannot be read as an NPZ file" if key is None else f"the member {key} cannot be read"
    detail = " ".join(str(error).split()) or type(error).__name__
    return ScanError(
        f"{path}: {what} ({detail}); the file is damaged or not finished by its writer, or of another kind: copy or "
        "export it again"
    )
