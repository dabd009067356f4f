"""Memory of a process that makes and frees the same arrays many times a second."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of the settings in glibc's malloc.h."""
KEPT_BYTES = 1 << 28
"""Freed memory at the end of the heap that stays with the process."""
LARGEST_BYTES = 1 << 25
"""Arrays up to this size come from the heap; glibc allows no more."""


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next array, in place of giving it back to the system each time.

    The solver makes arrays of some 100 kB in every step. The system clears each page that it gives to a process again,
    which takes a seventh of the CPU time of an iteration. Does nothing on systems without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, LARGEST_BYTES)
    mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
