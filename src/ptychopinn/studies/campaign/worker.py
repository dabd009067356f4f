"""A process that reconstructs the scans of a campaign, one after another.

The process that starts it writes JSON lines to its standard input: first what to do, then further scans. The end of
that stream, which comes also if the starting process is killed, ends the worker: at once where it waits, and where it
works as Ctrl-C would, with the state of the solver kept for the next worker.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from _thread import interrupt_main
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import IO, Any, Literal, Self, final

from ptychopinn.data.io.atomic import check_output_folder, write_text_atomically
from ptychopinn.errors import OutputError, PtychoPINNError
from ptychopinn.studies.campaign.ledger import BEAT_S, LEASE_S, Claim, Ledger
from ptychopinn.studies.campaign.settings import Settings

logger = logging.getLogger("ptychopinn.studies")
IDLE_S = 0.5
"""Between two looks at the ledger of a worker without a scan."""
TRACEBACK = "traceback.txt"
Outcome = Literal["done", "failed", "lost"]
"""How a scan ended; `lost` if another worker had taken it over."""


class ClaimLost(PtychoPINNError):
    """Another worker has taken the scan over."""


@final
class Heartbeat:
    """Shows that a worker is alive while it has a claim.

    Args:
        folder: of the campaign.
        interval_s: time between two signs of life.
    """

    def __init__(self, folder: Path, interval_s: float = BEAT_S) -> None:
        self._folder, self._interval_s = folder, interval_s
        self._end = threading.Event()
        self.is_lost = False
        """Whether the ledger said that the claim belongs to somebody else."""
        self.is_stopped = False
        """Whether the worker was told to end."""

    def beside(self, claim: Claim) -> Self:
        """For `with`: show signs of life for this claim."""
        self._end.clear()
        self.is_lost = False
        self._thread = threading.Thread(target=self._run, args=(claim,), daemon=True)
        return self

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def on_iteration(self, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Stop the solver of a scan that somebody else works on.

        Raises:
            ClaimLost: so it is.
        """
        if self.is_lost:
            raise ClaimLost("another worker has taken the scan over")

    def _run(self, claim: Claim) -> None:
        if self._end.wait(self._interval_s):
            return
        ledger = None
        try:
            while not self._end.is_set() and not self.is_lost:
                try:
                    ledger = ledger or Ledger(self._folder)
                    self.is_lost = not ledger.beat(claim)
                except PtychoPINNError as error:
                    logger.warning("no sign of life could be written: %s", error)
                self._end.wait(self._interval_s)
        finally:
            if ledger is not None:
                ledger.close()


def reconstruct_claimed(ledger: Ledger, claim: Claim, settings: Settings, heartbeat: Heartbeat) -> Outcome:
    """Reconstruct a claimed scan into its folder, and tell the ledger how it ended.

    Raises:
        KeyboardInterrupt: the scan waits for another worker, which goes on from what was reached.
        OutputError: the ledger cannot be written.
    """
    started = time.perf_counter()
    try:
        folder = result_folder(ledger.folder, claim.name)
        with heartbeat.beside(claim):
            metrics = _interruptible(settings, claim, folder, heartbeat)
    except KeyboardInterrupt:
        ledger.release(claim)
        raise
    except ClaimLost as error:
        logger.warning("%s: %s", claim.name, error)
        return "lost"
    except (PtychoPINNError, OSError, MemoryError) as error:
        ledger.fail(claim, str(error) or type(error).__name__)
        return "failed"
    except Exception as error:
        ledger.fail(
            claim, f"a fault of the program ({type(error).__name__}: {error}){_traceback(ledger, claim, error)}"
        )
        return "failed"
    return "done" if ledger.finish(claim, summary(metrics, time.perf_counter() - started)) else "lost"


def _interruptible(settings: Settings, claim: Claim, folder: Path, heartbeat: Heartbeat) -> dict[str, Any]:
    """Reconstruct a scan; an error after the order to end is the order.

    C++ code below may turn the KeyboardInterrupt of a signal into another error, as Matplotlib's conversion of arrays.
    """
    try:
        return settings.reconstruct(claim.path, folder, heartbeat.on_iteration)
    except Exception as error:
        if heartbeat.is_stopped:
            raise KeyboardInterrupt from error
        raise


def result_folder(output: Path, name: str) -> Path:
    """The folder of the results of a scan, directly in that of the campaign.

    Raises:
        OutputError: a link stands in its place, which may lead elsewhere.
    """
    folder = output / name
    if folder.is_symlink():
        raise OutputError(f"{folder}: is a link; results are written into folders only, remove the link")
    return folder


def summary(metrics: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What the table of a campaign states of one image.

    Args:
        metrics: what `metrics.json` holds.
        seconds: that the scan took.
    """
    verdict, data = metrics.get("verdict") or {}, metrics.get("data") or {}
    reference = metrics.get("reference") or {}
    return {
        "verdict": verdict.get("level"),
        "message": verdict.get("message"),
        "amplitude_misfit": data.get("amplitude_misfit"),
        "poisson_deviance_per_pixel": data.get("poisson_deviance_per_pixel"),
        "psnr_phase": reference.get("psnr_phase"),
        "ssim_phase": reference.get("ssim_phase"),
        "seconds": round(seconds, 2),
    }


def _traceback(ledger: Ledger, claim: Claim, error: Exception) -> str:
    """Write the traceback of a fault beside the results; returns where it is, for the message."""
    try:
        folder = check_output_folder(ledger.folder / claim.name)
        write_text_atomically(folder / TRACEBACK, "".join(traceback.format_exception(error)))
    except OutputError:
        return ""
    return f"; please report it with {claim.name}/{TRACEBACK}"


def _end_once(heartbeat: Heartbeat) -> None:
    """Let signals end the worker as Ctrl-C does, once: a second one must not disturb what is being written."""
    names = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: FrameType | None) -> None:
        heartbeat.is_stopped = True
        for name in names:
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    for name in names:
        signal.signal(name, interrupt)


def _listen(stream: IO[str], further: "SimpleQueue[list[str] | None]", is_working: threading.Event) -> None:
    """Pass on the lists of further scans, then None, and interrupt a worker that works on a scan."""
    for line in stream:
        if not line.endswith("\n"):  # the starting process was killed while it wrote
            break
        further.put(json.loads(line)["scans"])
    further.put(None)
    if is_working.is_set():
        interrupt_main()


def work(stream: IO[str]) -> int:
    """Reconstruct scans until the stream ends; returns the exit code."""
    line = stream.readline()
    if not line.endswith("\n"):
        return 0
    first = json.loads(line)
    settings, folder = Settings.from_tree(first["settings"]), Path(first["folder"])
    _use_threads(first["threads"])
    further: SimpleQueue[list[str] | None] = SimpleQueue()
    is_working = threading.Event()
    heartbeat = Heartbeat(folder, min(BEAT_S, first["lease_s"] / (LEASE_S / BEAT_S)))
    _end_once(heartbeat)
    threading.Thread(target=_listen, args=(stream, further, is_working), daemon=True).start()
    try:
        with Ledger(folder, first["lease_s"]) as ledger:
            wait = 0.0
            while True:
                try:
                    scans = further.get(timeout=wait) if wait else further.get_nowait()
                except Empty:
                    scans = []
                if scans is None:
                    return 0
                ledger.want(scans)
                claim = ledger.claim()
                if claim is not None:
                    is_working.set()
                    reconstruct_claimed(ledger, claim, settings, heartbeat)
                    is_working.clear()
                wait = IDLE_S if claim is None else 0.0
    except KeyboardInterrupt:
        return 0


def _use_threads(threads: int | None) -> None:
    """Share the cores of the machine between its workers, unless the recipe says how many threads to use."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(process)d %(message)s")
    logging.getLogger().handlers[0].setLevel(logging.WARNING)
    try:
        code = work(sys.stdin)
    except KeyboardInterrupt:  # a signal between the end of a scan and that of the process
        code = 0
    except PtychoPINNError as error:
        logger.error("%s", error)
        code = 2
    logging.shutdown()
    os._exit(code)  # the thread that waits for the stream would disturb the usual end of the interpreter
