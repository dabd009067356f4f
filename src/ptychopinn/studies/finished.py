"""What a run of a study left behind when it ended, so that it is not run again."""

import json
from pathlib import Path
from typing import Any

from ptychopinn.data.io import write_text_atomically
from ptychopinn.data.io.atomic import check_regular


def read_finished(path: Path, stated: dict[str, Any]) -> dict[str, Any] | None:
    """What a run of the same statement wrote; none where it has not ended, was another one, or the file is damaged.

    Args:
        path: what `write_finished` wrote.
        stated: all that decides the run, as plain JSON values.

    Raises:
        OutputError: a pipe, a device or a socket is in its place.
    """
    check_regular(path)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return dict(tree["run"]) if tree["stated"] == stated else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_finished(path: Path, stated: dict[str, Any], run: dict[str, Any]) -> Path:
    """Write, as the last file of a run, what decided it and what it gave, all plain JSON values.

    Raises:
        OutputError: the file cannot be written.
    """
    return write_text_atomically(path, json.dumps({"stated": stated, "run": run}, indent=2))
