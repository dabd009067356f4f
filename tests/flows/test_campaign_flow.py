"""Campaigns on Prefect: 20 scans, each once, also after its processes were killed."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kept import differences, results

import ptychopinn
from ptychopinn.errors import ScanError
from ptychopinn.studies.campaign.ledger import Ledger

pytestmark = pytest.mark.optional("prefect")

SCANS, CONTENTS, WORKERS, KILLS = 20, 5, 2, 3
SETTINGS = ["reconstruction.check=false", "reconstruction.prior=none"]


@pytest.fixture(scope="module", autouse=True)
def prefect_server() -> Iterator[None]:
    """A server of Prefect with a store of its own, for these tests alone."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 scans, and the images of the single command in `single`."""
    path = tmp_path_factory.mktemp("campaign")
    (path / "scans").mkdir()
    for number in range(CONTENTS):
        drawn = ["object_size_px=32", "probe_size_px=16", "step_px=5", f"seed={number}"]
        scan = path / "scans" / f"scan_{number:02d}.npz"
        ptychopinn.simulate(scan, overrides=[f"simulation.{setting}" for setting in drawn])
        ptychopinn.reconstruct(scan, None, path / "single" / str(number), refine=3, overrides=SETTINGS)
    for number in range(CONTENTS, SCANS):
        shutil.copy(path / "scans" / f"scan_{number % CONTENTS:02d}.npz", path / "scans" / f"scan_{number:02d}.npz")
    return path


def kill_workers(output: Path, stop: threading.Event, kills: Counter[str]) -> None:
    """SIGKILL to the process of a running scan, at random times, each after a random number of scans is done."""
    rng = np.random.default_rng(0)
    due = sorted(rng.integers(0, SCANS - 4, KILLS))
    while kills.total() < KILLS and not stop.wait(rng.uniform(0.1, 1)):
        if not (output / "campaign.sqlite").exists():
            continue
        with Ledger(output) as ledger:
            states = Counter(one.state for one in ledger.entries())
            rows = ledger._base.execute("SELECT process FROM scans WHERE state = 'running'").fetchall()
        if rows and states["done"] >= due[kills.total()]:
            try:
                os.kill(int(rows[rng.integers(len(rows))][0]), signal.SIGKILL)
                kills["killed"] += 1
            except ProcessLookupError:
                pass


def test_twenty_scans_are_done_once_whatever_is_killed(folder: Path) -> None:
    from prefect.task_runners import ProcessPoolTaskRunner

    from ptychopinn.flows import campaign_flow

    output, stop, kills = folder / "out", threading.Event(), Counter[str]()
    killer = threading.Thread(target=kill_workers, args=(output, stop, kills))
    killer.start()
    two = campaign_flow.with_options(task_runner=ProcessPoolTaskRunner(max_workers=WORKERS))
    paths, errors = None, []
    try:
        while paths is None and len(errors) <= KILLS:
            try:
                paths = two(str(folder / "scans"), str(output), refine=3, overrides=SETTINGS)
            except ScanError as error:
                errors.append(str(error))
    finally:
        stop.set()
        killer.join()
    assert kills.total() == KILLS
    assert all("its process was killed" in error for error in errors), errors
    assert paths is not None, errors
    assert len(Path(paths["table"]).read_text().splitlines()) == SCANS + 1
    assert Path(paths["sheet"]).stat().st_size > 10_000
    with Ledger(output) as ledger:
        entries, events = ledger.entries(), Counter(ledger.events())
    assert [one.state for one in entries] == SCANS * ["done"]
    assert [events[(one.name, "done")] for one in entries] == SCANS * [1]
    for number in range(SCANS):
        one, other = folder / "single" / str(number % CONTENTS), output / f"scan_{number:02d}"
        assert differences(results(one), results(other), (one, other)) == [], other

    started = time.monotonic()
    again = campaign_flow(str(folder / "scans"), str(output), refine=3, overrides=SETTINGS)
    assert again == paths
    with Ledger(output) as ledger:
        assert Counter(ledger.events()) == events, time.monotonic() - started


def test_a_scan_that_fails_lets_the_flow_fail_with_its_error(folder: Path, tmp_path: Path) -> None:
    from ptychopinn.flows import campaign_flow

    (tmp_path / "torn.npz").write_bytes((folder / "scans" / "scan_00.npz").read_bytes()[:2000])
    with pytest.raises(ScanError, match=r"1 of 1 scans have no image, first torn: .*cannot be read as an NPZ file"):
        campaign_flow([str(tmp_path / "torn.npz")], str(tmp_path / "out"), refine=1, overrides=SETTINGS)
    assert "torn,failed" in (tmp_path / "out" / "table.csv").read_text()
