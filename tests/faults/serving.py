"""Run by `commands.Commands`: each line of stdin is a command line of ptychopinn, which a fork of this process runs.

A fork costs milliseconds where a new interpreter imports PyTorch for seconds, so that hundreds of commands can be
killed or disturbed.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any


def serve() -> None:
    """Answer each line with how its command ended."""
    import lightning.pytorch  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import scipy.spatial  # noqa: F401

    import ptychopinn.cli
    import ptychopinn.studies.grid_lines.study
    import ptychopinn.training  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(ended(json.loads(line))), flush=True)


def ended(job: dict[str, Any]) -> dict[str, Any]:
    """Run one command in a fork; kill it after `kill_after_s` seconds, or as hanging after `limit_s`."""
    started = time.perf_counter()
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        _run(job, write)
    os.close(write)
    watched = os.pidfd_open(process)
    seconds = job["limit_s"] if job["kill_after_s"] is None else job["kill_after_s"]
    if late := not select.select([watched], [], [], seconds)[0]:
        os.kill(process, signal.SIGKILL)
    os.close(watched)
    _, status = os.waitpid(process, 0)
    told = os.read(read, 64)
    os.close(read)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hangs": late and job["kill_after_s"] is None,
        "operations": int(told) if told else None,
        "seconds": time.perf_counter() - started,
    }


def _run(job: dict[str, Any], pipe: int) -> None:
    """In the child: never returns."""
    code = 70
    try:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        faulty = ctypes.CDLL(None) if "LD_PRELOAD" in os.environ else None
        if faulty is not None:
            faulty.faulty_io_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
            faulty.faulty_io_count.restype = ctypes.c_long
            faulty.faulty_io_arm(os.fsencode(job["folder"]), job["at"], job["error"], job["lasting"])
        code = _code_of(job["words"])
        if faulty is not None:
            os.write(pipe, str(faulty.faulty_io_count()).encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _code_of(words: list[str]) -> int:
    from ptychopinn.cli import app

    try:
        app(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


if __name__ == "__main__":
    serve()
