"""Files that are healthy but open in another program, or that their writer did not close, told by the error."""

from pathlib import Path

from ptychopinn.errors import ScanError

_LOCKED = ("unable to lock file", "resource temporarily unavailable")
_OPEN_FOR_WRITING = ("already open for write", "already open for swmr", "h5clear")


def state_error(path: str | Path, error: Exception) -> ScanError | None:
    """What is wrong with a file that is not damaged: locked, or not closed.

    Args:
        path: of the file.
        error: what opening it raised.

    Returns:
        An error with the way out; None if the file is in another state.
    """
    detail = " ".join(str(error).split())
    lower = detail.lower()
    if any(word in lower for word in _LOCKED):
        return ScanError(
            f"{path}: another program has the file open for writing ({detail}); wait until it is closed, or set the "
            "environment variable HDF5_USE_FILE_LOCKING=FALSE if you know that nothing is written to it any more"
        )
    if any(word in lower for word in _OPEN_FOR_WRITING):
        return ScanError(
            f"{path}: the file was not closed by the program that wrote it, which is still running or has ended early "
            f"({detail}); close it there, or clear the mark on a copy with h5clear -s of the HDF5 tools"
        )
    return None
