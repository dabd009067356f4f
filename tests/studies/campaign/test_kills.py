"""Workers and commands that are killed at random times: every scan is done once, as by the single command.

PTYCHOPINN_CAMPAIGN_SEED sets the times, PTYCHOPINN_CAMPAIGN_SCANS and _KILLS the size of the long test.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from kept import differences, results, temporary_files

import ptychopinn
from ptychopinn.studies.campaign.ledger import Ledger

SEED = int(os.environ.get("PTYCHOPINN_CAMPAIGN_SEED", "0"))
SCANS = int(os.environ.get("PTYCHOPINN_CAMPAIGN_SCANS", "1000"))
KILLS = int(os.environ.get("PTYCHOPINN_CAMPAIGN_KILLS", "50"))
CONTENTS = 20
"""Different scans, at most; the others are copies of them under other names, to be compared with the same image."""
SETTINGS = ["reconstruction.check=false", "reconstruction.prior=none"]
ITERATIONS = 5
LONGEST_DELAY_S = 2.0
"""From a number of scans that is done, at which a kill is due, to the kill."""
COMMANDS = 0.4
"""Part of the kills that hit the command, not one of its workers."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")


def started(folder: Path, output: Path) -> "subprocess.Popen[str]":
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from ptychopinn.cli import main; main()"),
            *("campaign", str(folder), "-o", str(output), "--workers", "2", "--refine", str(ITERATIONS), *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(process: int) -> list[int]:
    """Of a process, by their numbers."""
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def ended(output: Path) -> int:
    """Scans that are done or have failed."""
    if not (output / "campaign.sqlite").exists():
        return 0
    base = sqlite3.connect(output / "campaign.sqlite")
    try:
        return base.execute("SELECT COUNT(*) FROM scans WHERE state IN ('done', 'failed')").fetchone()[0]
    except sqlite3.OperationalError:  # its tables are being made
        return 0
    finally:
        base.close()


def no_worker_is_left(output: Path) -> bool:
    """Whether the workers of all commands that worked on a folder have ended."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if not any(
            os.path.samefile(output / "campaign.log", log)
            for log in Path("/proc").glob("[0-9]*/fd/2")
            if os.path.exists(log)
        ):
            return True
        time.sleep(0.5)
    return False


@pytest.mark.parametrize(("scans", "kills"), [(4, 2), pytest.param(SCANS, KILLS, marks=pytest.mark.slow)])
def test_a_campaign_that_is_killed_has_every_result_once(tmp_path: Path, scans: int, kills: int) -> None:
    rng, contents = np.random.default_rng(SEED), min(scans, CONTENTS)
    folder, single, output = tmp_path / "scans", tmp_path / "single", tmp_path / "out"
    folder.mkdir()
    for number in range(contents):
        drawn = ["object_size_px=32", "probe_size_px=16", "step_px=5", f"seed={number}"]
        path = folder / f"scan_{number:04d}.npz"
        ptychopinn.simulate(path, overrides=[f"simulation.{setting}" for setting in drawn])
        ptychopinn.reconstruct(path, None, single / str(number), refine=ITERATIONS, overrides=SETTINGS)
    for number in range(contents, scans):
        shutil.copy(folder / f"scan_{number % contents:04d}.npz", folder / f"scan_{number:04d}.npz")

    due, hit = sorted(rng.integers(0, max(scans - 20, 2), kills)), Counter[str]()
    running = started(folder, output)
    for done_before in due:
        while ended(output) < done_before and running.poll() is None:
            time.sleep(0.3)
        time.sleep(rng.uniform(0, LONGEST_DELAY_S))
        workers = children(running.pid)
        is_command = running.poll() is None and (not workers or rng.uniform() < COMMANDS)
        if running.poll() is None:
            os.kill(running.pid if is_command else int(rng.choice(workers)), signal.SIGKILL)
            hit["command" if is_command else "worker"] += 1
        if is_command or running.poll() is not None:
            running.communicate()
            running = started(folder, output)
    printed, _ = running.communicate()

    assert running.returncode == 0, printed
    assert no_worker_is_left(output)
    print(f"{scans} scans, seed {SEED}, kills: {dict(hit)}")
    assert hit.total() == kills if scans > 100 else hit  # a few scans may be done before the last kill
    with Ledger(output) as ledger:
        entries, events = ledger.entries(), Counter(ledger.events())
    assert [one.state for one in entries] == scans * ["done"]
    assert [events[(one.name, "done")] for one in entries] == scans * [1]
    assert {event for _, event in events} <= {"found", "claimed", "done", "released", "worker died"}
    expected = [results(single / str(number)) for number in range(contents)]
    for number in range(scans):
        one, other = single / str(number % contents), output / f"scan_{number:04d}"
        assert differences(expected[number % contents], results(other), (one, other)) == [], other
    assert [name for name in temporary_files(output) if "sqlite" not in name] == []
    assert len((output / "table.csv").read_text().splitlines()) == scans + 1
    assert (output / "contact_sheet.png").stat().st_size > 10_000
