"""Which process works on a scan, and whether it is known to be dead."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import final

_PROC = Path("/proc")
_STATE, _START = 0, 19
"""Fields of /proc/PID/stat behind the name of the program: state, and time of the start in ticks since boot."""


@final
@dataclass(frozen=True)
class Owner:
    """A process of some machine; a process number that was given again makes another owner."""

    host: str
    """Digest of the machine, its last boot and its space of process numbers (containers have their own)."""
    process: int
    born: str
    """When the process started, as the machine states it; empty where it does not."""

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        return cls(_host(), os.getpid(), _stat(os.getpid())[1])

    def is_dead(self) -> bool:
        """True if this machine knows that the process has ended; False of a process of another machine."""
        if self.host != _host() or os.name == "nt":
            return False
        if (_PROC / "self/stat").exists():
            state, born = _stat(self.process)
            return state in ("", "Z") or born != self.born
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # of another user
            return False
        return False


@cache
def _host() -> str:
    parts = [socket.gethostname()]
    for read in (lambda: (_PROC / "sys/kernel/random/boot_id").read_text(), lambda: os.readlink(_PROC / "self/ns/pid")):
        try:
            parts.append(read())
        except OSError:
            parts.append("")
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _stat(process: int) -> tuple[str, str]:
    """State and start of a process; empty texts where it has ended or the machine does not tell."""
    try:
        text = (_PROC / str(process) / "stat").read_text()
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()  # the name of the program may hold anything
    return fields[_STATE], fields[_START]
