"""Work that runs in a process of its own, with limits on time and memory."""

import json
import os
import resource
import select
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptychopinn.errors import PtychoPINNError

SECONDS = 20
MEMORY = 2**30
"""Bytes that an attack may take beyond what the process had."""


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended."""

    kind: str
    """`result`, `sentence`, `traceback`, `hang` or `killed`."""
    message: str
    peak: int
    """Bytes beyond what the process had before."""

    @property
    def is_safe(self) -> bool:
        """A result, or one sentence that can be printed, within the limit of memory."""
        sentence = self.kind == "sentence" and self.message.isprintable() and 20 < len(self.message) <= 1000
        return (self.kind == "result" or sentence) and self.peak <= MEMORY


def attempt(work: Callable[[], object], seconds: float = SECONDS) -> Outcome:
    """How `work` ends in a fork of this process."""
    return attempt_all([work], seconds)[0]


def attempt_all(works: Sequence[Callable[[], object]], seconds: float = SECONDS) -> list[Outcome]:
    """How each of them ends, one after the other in a fork of this process, or in the next fork if one is killed."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(works):
        outcomes += _in_one_fork(works[len(outcomes) :], seconds)
    return outcomes


def _in_one_fork(works: Sequence[Callable[[], object]], seconds: float) -> list[Outcome]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _run(works, write)
    os.close(write)
    outcomes, rest, hangs = [], b"", False
    while not hangs:
        hangs = not select.select([read], [], [], seconds)[0]
        part = b"" if hangs else os.read(read, 65536)
        if not part:
            break
        *lines, rest = (rest + part).split(b"\n")
        outcomes += [Outcome(*json.loads(line)) for line in lines]
    if hangs:
        os.kill(child, signal.SIGKILL)
    os.close(read)
    _, status = os.waitpid(child, 0)
    if hangs:
        outcomes.append(Outcome("hang", "", 0))
    elif status:
        code = os.waitstatus_to_exitcode(status)
        outcomes.append(Outcome("killed", f"exit code {code}" if code > 0 else signal.Signals(-code).name, 0))
    return outcomes


def _run(works: Sequence[Callable[[], object]], pipe: int) -> None:
    """In the child: write one line for each outcome, and end, whatever happens: it must not go on with the tests."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        reserved = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (reserved + 8 * MEMORY,) * 2)
        for work in works:
            before = _resident()
            kind, message = _ending(work)
            peak = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)
            os.write(pipe, json.dumps([kind, message[:4000], peak]).encode() + b"\n")
        os._exit(0)
    finally:
        os._exit(1)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _ending(work: Callable[[], Any]) -> tuple[str, str]:
    try:
        work()
    except PtychoPINNError as error:
        return "sentence", str(error)
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error}"
    return "result", ""
