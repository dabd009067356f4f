"""The log file of a run, which never stops the run."""

import logging
import sys
from pathlib import Path
from typing import final

from ptychopinn.errors import OutputError

logger = logging.getLogger("ptychopinn")


@final
class LogFile(logging.FileHandler):
    """Writes log records to a file until the disk refuses one; then it says so once and drops the rest.

    Args:
        path: of the file; records are added at its end.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_failed = False
        try:
            super().__init__(path, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); remove it or name another folder"
            ) from error

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless an earlier one was refused."""
        if not self._has_failed:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by `emit` within its `except`: warn of what the disk refused; a fault of the program is raised."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            raise
        self._has_failed = True
        logger.warning("%s: cannot be written any more (%s); this log is incomplete", self._path, error.strerror)

    def close(self) -> None:
        """Close the file; what it still holds may be refused once more."""
        try:
            super().close()
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                logger.warning("%s: cannot be written (%s); this log is incomplete", self._path, error.strerror)
