"""The worker processes of one machine: started, told of scans, replaced when they die, and ended."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from ptychopinn.errors import OutputError, one_line
from ptychopinn.studies.campaign.settings import Settings

LOG = "campaign.log"
"""What the workers print."""
MOST_EARLY_ENDS = 5
"""Workers that ended in a row while no scan was finished, at most, for each worker that was asked for."""
END_S = 60.0
"""A worker that was told to end keeps its state within so many seconds, or is killed."""


@final
class Workers:
    """Processes that run `ptychopinn.studies.campaign.worker`; their block ends them.

    Args:
        folder: of the campaign.
        settings: what is done with each scan.
        count: of the processes.
        lease_s: see `Ledger`.
    """

    def __init__(self, folder: Path, settings: Settings, count: int, lease_s: float) -> None:
        self._folder, self._settings, self._lease_s = folder, settings, lease_s
        self._running: list[subprocess.Popen[str] | None] = [None] * count
        self._scans: dict[str, None] = {}
        self._early_ends = 0
        self._threads = _threads_for(count)
        self._devices = _devices_for(settings.device, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def tell(self, scans: Sequence[str]) -> None:
        """Tell all workers, also later ones, of scans; of each one once."""
        new = [scan for scan in dict.fromkeys(scans) if scan not in self._scans]
        if new:
            self._scans.update(dict.fromkeys(new))
            for worker in self._running:
                if worker is not None:
                    _send(worker, {"scans": new})

    def keep_running(self, progress: bool) -> bool:
        """Start workers in place of those that have ended; returns whether one had.

        Args:
            progress: whether a scan has ended since the last call.

        Raises:
            OutputError: workers end again and again while no scan does.
        """
        self._early_ends = 0 if progress else self._early_ends
        has_ended = False
        for place, worker in enumerate(self._running):
            if worker is not None and worker.poll() is not None:
                has_ended = True
                self._early_ends += 1
                self._close(worker)
                self._running[place] = None
            if self._early_ends > MOST_EARLY_ENDS * len(self._running):
                raise OutputError(
                    f"{self._folder}: {self._early_ends} workers have ended while no scan was finished; the last lines "
                    f"of {LOG} are: {self._last_lines()}"
                )
            if self._running[place] is None:
                self._running[place] = self._start(place)
        return has_ended

    def end(self) -> None:
        """End all workers; one that works keeps the state of its solver for the next one."""
        workers = [worker for worker in self._running if worker is not None]
        self._running = [None] * len(self._running)
        for worker in workers:
            self._close(worker)
        until = time.monotonic() + END_S
        for worker in workers:
            try:
                worker.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _start(self, place: int) -> "subprocess.Popen[str]":
        """A worker, in a session of its own: Ctrl-C in a terminal reaches this process alone, which ends them."""
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "ptychopinn.studies.campaign.worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        settings = self._settings.on(self._devices[place])
        _send(
            worker,
            {
                "folder": str(self._folder.resolve()),
                "settings": asdict(settings),
                "threads": self._threads,
                "lease_s": self._lease_s,
            },
        )
        _send(worker, {"scans": list(self._scans)})
        return worker

    @staticmethod
    def _close(worker: "subprocess.Popen[str]") -> None:
        try:
            if worker.stdin is not None:
                worker.stdin.close()
        except OSError:  # it has ended before it read all
            pass

    def _last_lines(self) -> str:
        try:
            return one_line(" ".join((self._folder / LOG).read_text(encoding="utf-8", errors="replace")[-400:].split()))
        except OSError:
            return ""


def _send(worker: "subprocess.Popen[str]", tree: dict[str, Any]) -> None:
    """Write a line to a worker; one that has ended is noticed elsewhere."""
    try:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(tree) + "\n")
        worker.stdin.flush()
    except OSError:
        pass


def _threads_for(count: int) -> int | None:
    """Threads of each worker, so that together they use each core once; None for what torch takes by itself."""
    import torch

    return None if count == 1 else max(torch.get_num_threads() // count, 1)


def _devices_for(device: str, count: int) -> list[str]:
    """The device of each worker: where several GPUs are there and none was asked for, one after the other."""
    import torch

    gpus = torch.cuda.device_count() if device == "auto" else 0
    return [f"cuda:{place % gpus}" if gpus > 1 else device for place in range(count)]
