"""How many bytes this process may still use, so that a declared size is refused before anything is reserved."""

import os
import sys
from pathlib import Path

from ptychopinn.data.large_arrays import MOST_IN_MEMORY, scratch_bytes, scratch_folder
from ptychopinn.errors import ScanError

FREE_BYTES = 128 * 2**20
"""Declared bytes that are accepted whatever is stored: 1000 empty patterns of 256 x 256 in uint16. Doubling it doubles
what a file of a few bytes can cost."""
MAX_EXPANSION = 100
"""Largest ratio of declared to stored bytes beyond that. Counts of 0.1 photons per pixel compress about 40-fold in
gzip; deflate cannot exceed 1032. Doubling it doubles what a small hostile file can cost."""

SMALL_BYTES = 2**20
"""Sizes up to this one are not compared with the free memory, which takes 0.2 ms to find out."""

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def free_bytes() -> int:
    """The least of what the machine, the limits of this process and its container leave; huge where none is known."""
    return min(_of_machine(), _of_container(), _of_process())


def check_memory(needed: int, what: str) -> None:
    """Refuse what does not fit.

    Args:
        needed: bytes.
        what: the file, and what of it.

    Raises:
        ScanError: fewer bytes are free.
    """
    free = free_bytes() if needed > SMALL_BYTES else needed
    if needed > free:
        raise ScanError(
            f"{what} does not fit into memory: {size_text(needed)} are needed and {size_text(max(free, 0))} are free; "
            "crop or bin the patterns, or split the file"
        )


def check_room(needed: int, what: str) -> None:
    """Refuse what fits neither into memory nor, where it is large, into a scratch file.

    Args:
        needed: bytes of an array that `ptychopinn.data.large_arrays.new_array` makes.
        what: the file, and what of it.

    Raises:
        ScanError: too few bytes are free.
    """
    if needed <= MOST_IN_MEMORY:
        return check_memory(needed, what)
    if not has_room(needed):
        raise ScanError(
            f"{what} does not fit into memory: {size_text(needed)} are needed, {size_text(max(free_bytes(), 0))} are "
            f"free, and {size_text(scratch_bytes())} in {scratch_folder()} for scratch files; crop or bin the "
            "patterns, split the file, store it without compression, or set TMPDIR to a folder on a larger disk"
        )


def has_room(needed: int) -> bool:
    """Whether an array of so many bytes fits into memory or, where it is large, into a scratch file."""
    return needed <= free_bytes() or (needed > MOST_IN_MEMORY and needed <= scratch_bytes())


def check_expansion(declared: int, stored: int, what: str) -> None:
    """Refuse a size that is out of proportion to what is stored: such a file is unfilled, damaged or hostile.

    Args:
        declared: bytes once read.
        stored: bytes on the disk.
        what: the file, and what of it.

    Raises:
        ScanError: `declared` exceeds `FREE_BYTES` and `MAX_EXPANSION` times `stored`.
    """
    if declared > FREE_BYTES + MAX_EXPANSION * stored:
        raise ScanError(
            f"{what} declares {size_text(declared)} but only {size_text(stored)} are stored: it is damaged, was never "
            "filled, or is made to exhaust memory; if it is right, store it without compression"
        )


def size_text(count: int) -> str:
    """Bytes in the largest unit that fits.

    >>> size_text(3 * 2**20)
    '3 MiB'
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min((max(count, 1).bit_length() - 1) // 10, len(units) - 1)
    return f"{count / 1024**power:.3g} {units[power]}" if count < 10**30 else "more than any memory"


def _of_machine() -> int:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return sys.maxsize


def _of_container() -> int:
    """Files that the kernel keeps in memory and can drop count as free."""
    for limit, used, details in _CGROUPS:
        if _text(limit).strip().isdigit() and _text(used).strip().isdigit():
            kept = [line.split()[1] for line in _text(details).splitlines() if line.startswith("inactive_file ")]
            return int(_text(limit)) - int(_text(used)) + sum(map(int, kept))
    return sys.maxsize


def _of_process() -> int:
    """What the limit on address space leaves (`ulimit -v`)."""
    try:
        import resource
    except ImportError:  # not on Windows
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - reserved_bytes()


def reserved_bytes() -> int:
    """Address space of this process, bytes; 0 where the system does not give it."""
    pages = _text("/proc/self/statm").split()
    return int(pages[0]) * os.sysconf("SC_PAGESIZE") if pages else 0


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
