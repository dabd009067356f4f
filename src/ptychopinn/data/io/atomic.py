"""Writing files whole or not at all."""

import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from hashlib import blake2b
from pathlib import Path

from ptychopinn.errors import OutputError

_HOST = blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()
_TEMPORARY = re.compile(rf"\..*\.{_HOST}-(\d{{1,9}})-[0-9a-f]{{8}}\.tmp(\..*)?")
"""Names of temporary files of this host; the number is the process that writes them."""
_DEVICE_ERRORS = frozenset({ENOSPC, EDQUOT, EFBIG, EIO, EROFS})


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its place when the block ends well.

    The temporary file keeps the extension of the target, so that writers which look at it work. When the
    block raises, the old target stays as it was and nothing is left behind. A target that is a link is
    written through.

    Raises:
        OutputError: the folder is missing or cannot be written, the disk is full, or the target is a pipe, a device or
            a socket.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "note.txt") as path:
    ...         _ = path.write_text("whole")
    ...     print([entry.name for entry in Path(folder).iterdir()])
    ['note.txt']
    """
    final = Path(os.path.realpath(target))
    check_regular(target)
    temporary = final.with_name(f".{final.stem}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp{final.suffix}")
    _claim(temporary, target)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno in _DEVICE_ERRORS:
                raise _cannot_write(target, error) from error
            raise
        _publish(temporary, final, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(target: str | Path, text: str) -> Path:
    """Write UTF-8 text whole or not at all; returns the target.

    Raises:
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")
    return Path(target)


def check_output_folder(path: str | Path) -> Path:
    """Create the folder if need be and make sure that files can be written into it; leaves no file there.

    Temporary files that a process of this host left there when it was killed are removed.

    Called before any work starts, so that a run of hours does not end with nothing saved.

    Raises:
        OutputError: a file is in the way, or the folder cannot be created or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=".ptychopinn-") as probe:
            probe.write(b"\0")
        _remove_left_over(folder)
    except (FileExistsError, NotADirectoryError):
        raise OutputError(
            f"{folder}: is not a folder because a file is in the way; remove that file or name another output folder"
        ) from None
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be used as an output folder ({_reason(error)}); "
            "name a folder that you may write to, on a disk with free space"
        ) from error
    return folder


def remove_file(path: Path) -> None:
    """Remove a file that may be missing.

    Raises:
        OutputError: it is a pipe, a device, a socket or a folder, which a user put there.
    """
    check_regular(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder where a file of results belongs; remove it, or name another folder")
    path.unlink(missing_ok=True)


def check_regular(target: str | Path) -> None:
    """Refuse a target that is there and is neither a regular file nor a folder; links are followed.

    Raises:
        OutputError: it is a pipe, a device or a socket.
    """
    path = Path(target)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OutputError(f"{target}: is a pipe, a device or a socket, which is never replaced; name another file")


def _remove_left_over(folder: Path) -> None:
    """Remove temporary files whose process is no longer alive."""
    for path in folder.iterdir():
        named = _TEMPORARY.fullmatch(path.name)
        if named and not _is_alive(int(named[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there the call below would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _claim(temporary: Path, target: str | Path) -> None:
    """Create the temporary file, with the permissions that any new file would get."""
    try:
        temporary.open("xb").close()
    except FileNotFoundError:
        raise OutputError(
            f"{target}: cannot be written because the folder {temporary.parent} does not exist; create it first"
        ) from None
    except OSError as error:
        raise _cannot_write(target, error) from error


def _publish(temporary: Path, final: Path, target: str | Path) -> None:
    """Bring the bytes to the disk, then give the file its name."""
    try:
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except IsADirectoryError:
        raise OutputError(f"{target}: cannot be written because a folder has that name; name another file") from None
    except OSError as error:
        raise _cannot_write(target, error) from error


def _cannot_write(target: str | Path, error: OSError) -> OutputError:
    return OutputError(
        f"{target}: cannot be written ({_reason(error)}); name a file in a folder that you may write to, "
        "on a disk with free space"
    )


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
