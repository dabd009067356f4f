"""Commands of ptychopinn in processes that are killed, or whose writes fail."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LIMIT_S = 120.0
"""A command of these tests takes seconds; one that has not ended then hangs."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; minus the number of a signal."""
    err: str
    """What it printed on stderr."""
    hangs: bool
    operations: int | None
    """Writing operations below the folder, counted by `faulty_io.c`; none without it or after a kill."""
    seconds: float

    @property
    def is_one_sentence(self) -> bool:
        """Exit code 2, and one line for the error, after warnings and progress."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        return self.code == 2 and not self.hangs and "Traceback" not in self.err and len(lines) == 1


class Commands:
    """A process that has imported the package, and runs commands in forks of itself.

    Args:
        folder: for what the commands print.
        library: `faulty_io.c` compiled, for failing operations.
    """

    def __init__(self, folder: Path, library: Path | None = None) -> None:
        self._folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        if library is not None:
            environment["LD_PRELOAD"] = str(library)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serving.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def run(
        self,
        words: Sequence[object],
        folder: Path,
        *,
        kill_after_s: float | None = None,
        at: int = 0,
        error: int = 0,
        lasting: bool = True,
    ) -> Ended:
        """Run one command.

        Args:
            words: of the command line, without `ptychopinn`.
            folder: where operations are counted.
            kill_after_s: SIGKILL after so many seconds.
            at: number of the operation that fails, from 1; 0 for none.
            error: its errno; 0 for SIGKILL in place of the operation.
            lasting: all later operations fail, too, as on a full disk.
        """
        job = {
            "words": [str(word) for word in words],
            "folder": str(folder),
            "out": str(self._folder / "out.txt"),
            "err": str(self._folder / "err.txt"),
            "kill_after_s": kill_after_s,
            "limit_s": LIMIT_S,
            "at": at,
            "error": error,
            "lasting": int(lasting),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Ended(err=(self._folder / "err.txt").read_text(errors="replace"), **answer)
