"""Trying work that C code may crash on in a process of its own."""

import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

SECONDS = 20
"""Of processor and wall clock; reading one value of a dataset takes milliseconds."""
MEMORY = 2**30
"""Bytes beyond what this process has reserved."""


def survives(work: Callable[[], object]) -> bool:
    """Whether `work` ends within `SECONDS` and `MEMORY` and without killing its process; its errors are dropped."""
    return not os.WIFSIGNALED(_status(work, MEMORY))


def completes(work: Callable[[], object], memory: int) -> bool:
    """Whether `work` ends well within `SECONDS` and so many bytes beyond what this process has reserved."""
    return _status(work, memory) == 0


def _status(work: Callable[[], object], memory: int) -> int:
    """How a process ends that does the work; its result is dropped.

    A fork of this process does it: 25 ms with PyTorch loaded, where a new interpreter with h5py takes 140 ms. Where a
    fork is not safe (macOS, Windows) nothing is tried and the answer is 0.
    """
    if not sys.platform.startswith("linux"):
        return 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, none of which the child uses
        process = os.fork()
    if process == 0:
        _work_and_end(work, memory)
    watched = os.pidfd_open(process)
    try:
        if not select.select([watched], [], [], SECONDS)[0]:
            os.kill(process, signal.SIGKILL)
    finally:
        os.close(watched)
        _, status = os.waitpid(process, 0)
    return status


def _work_and_end(work: Callable[[], object], memory: int) -> None:
    """In the child: never returns."""
    code = 1
    try:
        import resource

        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        reserved = int(pages) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (reserved + memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        work()
        code = 0
    except BaseException:
        pass
    finally:
        os._exit(code)
