"""The ledger gives every scan to one worker at a time, takes it from dead ones, and trusts nothing that it reads."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptychopinn.errors import ConfigError, OutputError
from ptychopinn.studies.campaign import ledger as module
from ptychopinn.studies.campaign.ledger import LEDGER, MOST_DEATHS, Claim, Found, Ledger
from ptychopinn.studies.campaign.owner import Owner

CLAIM_AND_DIE = """
import sys
from pathlib import Path
from ptychopinn.studies.campaign.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.want([sys.argv[2]])
print(ledger.claim().name, flush=True)
if sys.argv[3] == "in a transaction":
    with ledger._change() as base:
        base.execute("DELETE FROM scans")
        print("deleted", flush=True)
        sys.stdin.read()
sys.stdin.read()
"""


def found(*names: str) -> list[Found]:
    return [Found(Path(f"/data/{name}.npz"), name, 1, 1) for name in names]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as made:
        yield made


def claimed_elsewhere(folder: Path, path: str, how: str) -> "subprocess.Popen[str]":
    """A process that has claimed a scan, and waits."""
    words = [sys.executable, "-c", CLAIM_AND_DIE, str(folder), path, how]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    if how == "in a transaction":
        assert process.stdout.readline() == "deleted\n"
    return process


def change(folder: Path, query: str, *values: object) -> None:
    base = sqlite3.connect(folder / LEDGER, isolation_level=None)
    base.execute(query, values)
    base.close()


def test_every_scan_is_claimed_once_by_threads_that_race(tmp_path: Path) -> None:
    names = [f"scan_{number}" for number in range(60)]
    claims: list[Claim] = []

    def take() -> None:
        with Ledger(tmp_path) as own:
            own.add(found(*names))
            while (claim := own.claim()) is not None:
                claims.append(claim)
                own.finish(claim, {"seconds": 1})

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claim.name for claim in claims) == sorted(names)
    with Ledger(tmp_path) as own:
        assert {one.state for one in own.entries()} == {"done"}


@pytest.mark.parametrize("how", ["waiting", "in a transaction"])
def test_the_scan_of_a_killed_worker_is_given_to_another_one(ledger: Ledger, tmp_path: Path, how: str) -> None:
    ledger.add(found("a"))
    other = claimed_elsewhere(tmp_path, "/data/a.npz", how)
    if how == "waiting":
        assert ledger.claim() is None
        assert ledger.take_over() == []
    other.kill()
    other.wait()
    assert ledger.take_over() == ["a"]
    assert ledger.entries()[0].deaths == 1
    claim = ledger.claim()
    assert claim is not None
    assert ledger.finish(claim, {})
    assert ledger.counts() == {"waiting": 0, "running": 0, "done": 1, "failed": 0}


def test_a_worker_of_another_machine_keeps_its_scan_while_its_counter_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with Ledger(tmp_path, lease_s=60) as ledger, Ledger(tmp_path) as remote:
        ledger.add(found("a"))
        remote.want(["/data/a.npz"])
        claim = remote.claim()
        assert claim is not None
        change(tmp_path, "UPDATE scans SET host = 'another'")
        for clock[0] in (0.0, 50.0, 100.0):
            assert ledger.take_over() == []
            assert remote.beat(claim)
        assert ledger.take_over() == []
        clock[0] = 161.0
        assert ledger.take_over() == ["a"]
        assert not remote.beat(claim)
        assert not remote.finish(claim, {})
        assert ledger.entries()[0].state == "waiting"


def test_a_process_number_that_was_given_again_is_another_owner() -> None:
    me = Owner.here()
    assert not me.is_dead()
    if me.born:
        assert Owner(me.host, me.process, "1").is_dead()
    assert not Owner("another", 1 << 22, "1").is_dead()


def test_a_scan_that_kills_its_workers_fails_at_last(ledger: Ledger) -> None:
    ledger.add(found("a", "b"))
    for _ in range(MOST_DEATHS):
        change(
            ledger.folder,
            "UPDATE scans SET state = 'running', token = 'x', host = ?, process = ?, born = '1' WHERE name = 'a'",
            Owner.here().host,
            os.getpid(),
        )
        assert ledger.take_over() == ["a"]
    assert [(one.name, one.state) for one in ledger.entries()] == [("a", "failed"), ("b", "waiting")]
    assert "--retry-failed" in ledger.entries()[0].error
    assert ledger.retry_failed() == 1
    assert ledger.entries()[0].deaths == 0


def test_scans_whose_workers_died_come_last(ledger: Ledger) -> None:
    ledger.add(found("a", "b"))
    change(ledger.folder, "UPDATE scans SET deaths = 1 WHERE name = 'a'")
    claim = ledger.claim()
    assert claim is not None
    assert claim.name == "b"


def test_only_scans_that_were_asked_for_are_claimed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add(found("a"))
    with Ledger(tmp_path) as other:
        assert other.claim() is None
        assert sum(other.counts().values()) == 0


def test_two_scans_of_one_name_do_not_collide(ledger: Ledger) -> None:
    ledger.add(
        [Found(Path(f"/{folder}/x.npz"), name, 1, 1) for folder, name in (("a", "scan"), ("b", "scan"), ("c", "SCAN"))]
    )
    names = [one.name for one in ledger.entries()]
    assert names[0] == "scan"
    assert len({name.casefold() for name in names}) == 3


@pytest.mark.parametrize(
    "name", ["../../x", "/etc", "..", ".", "", "table.csv", "campaign.sqlite", "a/b", "CON", "Contact_sheet"]
)
def test_no_name_leaves_the_folder_or_takes_that_of_a_file_of_the_campaign(ledger: Ledger, name: str) -> None:
    ledger.add([Found(Path("/data/x.npz"), name, 1, 1)])
    given = ledger.entries()[0].name
    assert (ledger.folder / given).resolve().parent == ledger.folder.resolve()
    assert given.casefold() not in ("table.csv", "campaign.sqlite", "contact_sheet", "con")


def test_a_failed_scan_whose_file_has_changed_waits_again(ledger: Ledger) -> None:
    ledger.add(found("a"))
    claim = ledger.claim()
    assert claim is not None
    ledger.fail(claim, "torn\nfile")
    assert ledger.entries()[0].error == "torn file"
    ledger.add(found("a"))
    assert ledger.counts()["failed"] == 1
    ledger.add([Found(Path("/data/a.npz"), "a", 2, 5)])
    assert ledger.counts()["waiting"] == 1


def test_other_settings_are_refused_by_name(ledger: Ledger) -> None:
    ledger.agree({"refine": 3, "model.kind": "pinn"})
    ledger.agree({"refine": 3, "model.kind": "pinn"})
    with pytest.raises(ConfigError, match=r"begun with refine 3, got 4; give the same settings"):
        ledger.agree({"refine": 4, "model.kind": "pinn"})
    with pytest.raises(ConfigError, match=r"begun with refine 3, got none; give"):
        ledger.agree({"refine": None, "model.kind": "pinn"})


@pytest.mark.parametrize(
    ("query", "found_in_it"),
    [
        ("UPDATE scans SET name = '../escaped'", "the name ../escaped"),
        ("UPDATE scans SET name = ''", "the name"),
        ("UPDATE scans SET state = 'odd'", "the state odd"),
        ("CREATE TRIGGER t AFTER UPDATE ON scans BEGIN DELETE FROM scans; END", "other tables"),
        ("PRAGMA user_version = 7", "other tables"),
    ],
)
def test_a_changed_ledger_is_refused(tmp_path: Path, query: str, found_in_it: str) -> None:
    with Ledger(tmp_path) as made:
        made.add(found("a"))
    change(tmp_path, query)
    for use in (Ledger.entries, Ledger.claim) if "name =" in query else (Ledger.entries,):
        with pytest.raises(OutputError, match="no campaign writes") as refused:
            opened_and(tmp_path, use)
        assert found_in_it in str(refused.value)


def opened_and(folder: Path, use: Callable[[Ledger], object]) -> None:
    with Ledger(folder) as ledger:
        ledger.want(["/data/a.npz"])
        use(ledger)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"no database, but long enough to be read as one" * 100)
    with pytest.raises(OutputError, match="no ledger of a campaign"):
        Ledger(tmp_path)
    (tmp_path / LEDGER).unlink()
    (tmp_path / LEDGER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        Ledger(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_the_journal_needs_no_shared_memory(ledger: Ledger) -> None:
    ledger.add(found("a"))
    base = sqlite3.connect(ledger.path)
    assert base.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert {path.name for path in ledger.folder.iterdir()} == {LEDGER}
