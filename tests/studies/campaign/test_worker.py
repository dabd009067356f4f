"""A worker ends with the stream of its commands, and reports what goes wrong with one scan without ending."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ptychopinn.errors import ScanError
from ptychopinn.studies.campaign.ledger import Claim, Found, Ledger
from ptychopinn.studies.campaign.settings import Settings
from ptychopinn.studies.campaign.worker import TRACEBACK, ClaimLost, Heartbeat, reconstruct_claimed


def test_a_worker_ends_when_its_commands_end_in_the_middle_of_a_line(tmp_path: Path) -> None:
    first = {"folder": str(tmp_path), "settings": {"overrides": []}, "threads": None, "lease_s": 60}
    for text in ("", '{"folder": "x', f'{json.dumps(first)}\n{{"scans": ["/data/a'):
        ended = subprocess.run(
            [sys.executable, "-m", "ptychopinn.studies.campaign.worker"],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), text


@pytest.fixture
def claimed(tmp_path: Path) -> Any:
    with Ledger(tmp_path) as ledger:
        ledger.add([Found(Path("/data/a.npz"), "a", 1, 1)])
        yield ledger, ledger.claim()


def outcome(claimed: tuple[Ledger, Claim], error: BaseException, monkeypatch: pytest.MonkeyPatch) -> str:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Settings, "reconstruct", fails)
    ledger, claim = claimed
    return reconstruct_claimed(ledger, claim, Settings(), Heartbeat(ledger.folder))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ScanError("torn"), "torn"),
        (MemoryError(), "MemoryError"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (
            ZeroDivisionError("by 0"),
            f"a fault of the program (ZeroDivisionError: by 0); please report it with a/{TRACEBACK}",
        ),
    ],
)
def test_what_goes_wrong_stands_in_the_ledger(
    claimed: tuple[Ledger, Claim], monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    assert outcome(claimed, error, monkeypatch) == "failed"
    (entry,) = claimed[0].entries()
    assert (entry.state, entry.error) == ("failed", told)
    assert (claimed[0].folder / "a" / TRACEBACK).exists() == isinstance(error, ZeroDivisionError)


def test_an_interrupted_scan_waits_for_another_worker(
    claimed: tuple[Ledger, Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        outcome(claimed, KeyboardInterrupt(), monkeypatch)
    assert [(one.state, one.deaths) for one in claimed[0].entries()] == [("waiting", 0)]


def test_an_error_after_the_order_to_end_is_the_order(
    claimed: tuple[Ledger, Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, claim = claimed
    heartbeat = Heartbeat(ledger.folder)

    def swallowed(*_: object) -> None:
        heartbeat.is_stopped = True
        raise ValueError("Invalid affine transformation matrix")

    monkeypatch.setattr(Settings, "reconstruct", swallowed)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_claimed(ledger, claim, Settings(), heartbeat)
    assert [one.state for one in ledger.entries()] == ["waiting"]


def test_a_worker_that_lost_its_claim_stops_and_reports_nothing(claimed: tuple[Ledger, Claim]) -> None:
    ledger, claim = claimed
    ledger.release(claim)
    other = ledger.claim()
    heartbeat = Heartbeat(ledger.folder, 0.01)
    with heartbeat.beside(claim):
        while not heartbeat.is_lost:
            pass
        with pytest.raises(ClaimLost):
            heartbeat.on_iteration(1, 2, {})
    assert not ledger.finish(claim, {})
    assert other is not None
    assert ledger.finish(other, {"seconds": 1})
    assert [event for _, event in ledger.events()] == ["found", "claimed", "released", "claimed", "lost", "done"]
