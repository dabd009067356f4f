"""Trying work that C code may crash on in a process of its own."""

import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from math import ceil

from ptychopinn.data.io.memory import reserved_bytes

SECONDS = 3.0
"""Of processor time; reading one value of a dataset takes milliseconds."""
_WAITING = 15
"""Seconds of the wall clock beyond that, for slow disks and busy machines."""
MEMORY = 2**30
"""Bytes beyond what this process has reserved."""


def survives(work: Callable[[], object]) -> bool:
    """Whether `work` ends within `SECONDS` and `MEMORY` and without killing its process; its errors are dropped."""
    return not os.WIFSIGNALED(_status(work, MEMORY, SECONDS))


def completes(work: Callable[[], object], memory: int, seconds: float = SECONDS) -> bool:
    """Whether `work` ends well within so many bytes beyond what this process has reserved, and processor time."""
    return _status(work, memory, seconds) == 0


def _status(work: Callable[[], object], memory: int, seconds: float) -> int:
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
        _work_and_end(work, memory, ceil(seconds))
    watched = os.pidfd_open(process)
    try:
        if not select.select([watched], [], [], seconds + _WAITING)[0]:
            os.kill(process, signal.SIGKILL)
    finally:
        os.close(watched)
        _, status = os.waitpid(process, 0)
    return status


def _work_and_end(work: Callable[[], object], memory: int, seconds: int) -> None:
    """In the child: never returns."""
    code = 1
    try:
        import resource

        reserved = reserved_bytes()
        for kind, wanted in (
            (resource.RLIMIT_AS, reserved + memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_CORE, 0),
        ):
            hard = resource.getrlimit(kind)[1]  # of the user or the batch system: it may be lower, and stays
            resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        work()
        code = 0
    except BaseException:
        pass
    finally:
        os._exit(code)
