"""What a process of the command line sets for itself: how its threads wait, and what becomes of freed memory."""

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of the settings in glibc's malloc.h."""
KEPT_BYTES = 1 << 28
"""Freed memory at the end of the heap that stays with the process."""
LARGEST_BYTES = 1 << 25
"""Arrays up to this size come from the heap; glibc allows no more."""
RETURNED_BYTES = 1 << 22
"""Arrays from this size on are given back to the system when they are freed. With a quarter of it a comparison of
patterns, whose arrays have 2 MB, takes three times as long."""
SPARE_BYTES = 1 << 25
"""Freed memory at the end of the heap that stays with such a process."""
SELDOM = (50_000, 10, 10)
"""Thresholds of the garbage collector of Python, in place of 700, 10, 10: objects that are made before it looks for
cycles among the youngest ones, and how often it does so before it looks among older ones. Half as many cost 0.05 CPU s
more in `reconstruct`; with twice as many a training holds larger cycles for longer."""
OFTEN = gc.get_threshold()
"""Those of Python itself."""


def wait_without_work() -> None:
    """Let the threads of torch sleep while they wait for each other; call it before torch is imported.

    Otherwise each thread that is done keeps its core busy until the last one is done. Where other programs need the
    cores that takes the time from the very thread that is waited for. An `OMP_WAIT_POLICY` of the user's own stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def start_no_plugins_of_pydantic() -> None:
    """Keep pydantic from importing what other packages add to it; call it before pydantic is imported.

    Such plugins watch the models of a service. Where one is installed, each command would take a quarter of a second
    more to start. A `PYDANTIC_DISABLE_PLUGINS` of the user's own stays.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def collect_seldom() -> None:
    """Let Python look for cycles of unused objects seldom.

    A command makes some 500,000 objects that stay: modules, classes of settings, parts of a figure. To look through
    all of them again and again takes 0.3 CPU s of `ptychopinn reconstruct`. Objects without cycles, such as most
    arrays, are freed at once as before.
    """
    gc.set_threshold(*SELDOM)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next array, in place of giving it back to the system each time.

    The solver makes arrays of some 100 kB in every step. The system clears each page that it gives to a process again,
    which takes a seventh of the CPU time of an iteration. Does nothing on systems without glibc.
    """
    _set_malloc({_MMAP_THRESHOLD: LARGEST_BYTES, _TRIM_THRESHOLD: KEPT_BYTES})


def return_freed_memory() -> None:
    """Let glibc give the memory of large arrays back to the system at once, and share its heap between threads.

    A process that waits for hours, such as the server of `view`, then holds what it needs and not what it once
    needed. Does nothing on systems without glibc.
    """
    gc.set_threshold(*OFTEN)  # a closed page is a large cycle
    _set_malloc({_MMAP_THRESHOLD: RETURNED_BYTES, _TRIM_THRESHOLD: SPARE_BYTES, _ARENA_MAX: 1})


def _set_malloc(values: dict[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for name, value in values.items():
        mallopt(name, value)
