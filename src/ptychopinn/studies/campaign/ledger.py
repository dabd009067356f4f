"""The ledger of a campaign: every scan with its state, in one SQLite file that several processes and machines share.

The journal is a rollback journal (`DELETE`) with full synchronisation. The write-ahead log would be faster, but needs
memory that all processes share, so that it works on one machine only. With a rollback journal SQLite needs nothing but
locks on the file. A process that is killed in a transaction leaves a journal, which the next one rolls back.

A claim belongs to one process. It ends when the process finishes the scan, when a process of the same machine sees that
it is dead, or when its counter has stood still for `lease_s` on the clock of somebody else: clocks of different
machines are never compared.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast, final, get_args

from ptychopinn.data.io.atomic import check_regular
from ptychopinn.errors import ConfigError, OutputError, one_line, shown
from ptychopinn.studies.campaign.names import free_name, is_plain_name
from ptychopinn.studies.campaign.owner import Owner

SCORES = ("amplitude_misfit", "poisson_deviance_per_pixel", "psnr_phase", "ssim_phase", "seconds")
"""Results of a scan that the table and the page show."""
LEDGER = "campaign.sqlite"
State = Literal["waiting", "running", "done", "failed"]
LEASE_S = 120.0
"""A claim whose counter stood still for so long is taken from a process that may have lost power or network. The
counter moves every `BEAT_S`. A machine that only paused for longer does its scan once more, with the same result."""
BEAT_S = 10.0
MOST_DEATHS = 5
"""A scan whose workers died so often is marked as failed: it may be what kills them, as by using all memory."""
_WAIT_S = 60.0
"""For a lock of the file that another process holds."""
_LOOK_WAIT_S = 2.0
"""The same for somebody who only looks, and can look again."""
_APPLICATION, _VERSION = 0x50745043, 1
"""Marks of our files in the header of SQLite: "PtPC", and the version of the tables."""
_TABLES = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE scans (name TEXT PRIMARY KEY COLLATE NOCASE, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, "
    "changed_ns INTEGER NOT NULL, state TEXT NOT NULL, deaths INTEGER NOT NULL DEFAULT 0, token TEXT, host TEXT, "
    "process INTEGER, born TEXT, beat INTEGER NOT NULL DEFAULT 0, result TEXT, error TEXT)",
    "CREATE TABLE events (number INTEGER PRIMARY KEY, at TEXT NOT NULL, name TEXT NOT NULL, event TEXT NOT NULL, "
    "host TEXT, process INTEGER, note TEXT)",
)
_FREE = "token = NULL, host = NULL, process = NULL, born = NULL"


@final
@dataclass(frozen=True)
class Found:
    """A scan that was found, and the state of its file."""

    path: Path
    """Absolute, without links."""
    name: str
    """Wanted for its results."""
    bytes: int
    changed_ns: int


@final
@dataclass(frozen=True)
class Claim:
    """A scan that this process works on."""

    name: str
    path: Path
    token: str


@final
@dataclass(frozen=True)
class Entry:
    """A scan of the ledger."""

    name: str
    path: Path
    state: State
    deaths: int
    """Workers that ended without a result."""
    result: Mapping[str, Any]
    """What the worker reported; empty without a result."""
    error: str


@final
class Ledger:
    """The scans of a campaign.

    Args:
        folder: of the campaign, which exists.
        lease_s: time without a sign of life after which a process of another machine counts as dead.

    Raises:
        OutputError: the file cannot be read or written, or is no ledger of a campaign.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self.folder = folder
        self.path = folder / LEDGER
        self._lease_s = lease_s
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._owner = Owner.here()
        check_regular(self.path)
        if self.path.is_symlink():
            raise OutputError(f"{self.path}: is a link; the ledger must lie in its folder, remove the link")
        with self._reported():
            self._base = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def agree(self, settings: Mapping[str, Any]) -> None:
        """Keep the settings of a new campaign; compare them with those of one that was begun.

        Raises:
            ConfigError: the campaign was begun with other settings.
        """
        with self._change() as base:
            known = {name: json.loads(value) for name, value in base.execute("SELECT name, value FROM settings")}
            if not known:
                pairs = [(name, json.dumps(value)) for name, value in settings.items()]
                base.executemany("INSERT INTO settings VALUES (?, ?)", pairs)
                return
        plain = json.loads(json.dumps(dict(settings)))
        for name in sorted(known.keys() | plain.keys()):
            if known.get(name) != plain.get(name):
                before, now = ("none" if one.get(name) is None else shown(one[name]) for one in (known, plain))
                raise ConfigError(
                    f"{self.folder}: its campaign was begun with {shown(name)} {before}, got {now}; give the same "
                    "settings, or another output folder"
                )

    def add(self, found: Iterable[Found]) -> int:
        """Enter scans that are new, and want those that are not; a failed one whose file has changed waits again.

        Only scans that were added are claimed and counted by this object.

        Returns:
            The number of new ones.
        """
        added = 0
        with self._change() as base:
            known = {path: row for path, *row in base.execute("SELECT path, name, state, bytes, changed_ns FROM scans")}
            taken = {str(row[0]).casefold() for row in known.values()}
            for one in found:
                base.execute("INSERT OR IGNORE INTO temp.wanted VALUES (?)", (str(one.path),))
                if str(one.path) not in known:
                    name = free_name(one.name, str(one.path), taken)
                    taken.add(name.casefold())
                    base.execute(
                        "INSERT INTO scans (name, path, bytes, changed_ns, state) VALUES (?, ?, ?, ?, 'waiting')",
                        (name, str(one.path), one.bytes, one.changed_ns),
                    )
                    self._note(name, "found")
                    added += 1
                    continue
                name, state, *before = known[str(one.path)]
                if state == "failed" and before != [one.bytes, one.changed_ns]:
                    base.execute(
                        "UPDATE scans SET bytes = ?, changed_ns = ? WHERE name = ?", (one.bytes, one.changed_ns, name)
                    )
                    self._wait_again(name, "changed")
        return added

    def want(self, paths: Iterable[str]) -> None:
        """Want scans that another process added."""
        with self._reported():
            self._base.executemany("INSERT OR IGNORE INTO temp.wanted VALUES (?)", [(path,) for path in paths])

    def retry_failed(self) -> int:
        """Let the failed ones among the wanted scans wait again; returns their number."""
        with self._change():
            failed = [one.name for one in self._entries("state = 'failed' AND path IN temp.wanted")]
            for name in failed:
                self._wait_again(name, "retried")
        return len(failed)

    def redo(self, names: Sequence[str]) -> None:
        """Let finished scans wait again, whose results are gone."""
        with self._change() as base:
            for name in names:
                if base.execute("SELECT 1 FROM scans WHERE name = ? AND state = 'done'", (name,)).fetchone():
                    self._wait_again(name, "results gone")

    def claim(self) -> Claim | None:
        """The next waiting scan for this process; those whose workers died come last."""
        with self._change() as base:
            row = base.execute(
                "SELECT name, path FROM scans WHERE state = 'waiting' AND path IN temp.wanted "
                "ORDER BY deaths, rowid LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            claim = Claim(self._plain(row[0]), Path(row[1]), secrets.token_hex(8))
            mine = (claim.token, self._owner.host, self._owner.process, self._owner.born)
            base.execute(
                "UPDATE scans SET state = 'running', beat = beat + 1, token = ?, host = ?, process = ?, born = ? "
                "WHERE name = ?",
                (*mine, claim.name),
            )
            self._note(claim.name, "claimed")
        return claim

    def beat(self, claim: Claim) -> bool:
        """Show that this process is alive; False if it has lost its claim."""
        with self._change() as base:
            return base.execute("UPDATE scans SET beat = beat + 1 WHERE token = ?", (claim.token,)).rowcount == 1

    def finish(self, claim: Claim, result: Mapping[str, Any]) -> bool:
        """The scan is done; False if the claim was lost before."""
        return self._end(claim, "done", json.dumps(dict(result)), None)

    def fail(self, claim: Claim, error: str) -> bool:
        """The scan cannot be reconstructed; False if the claim was lost before."""
        return self._end(claim, "failed", None, one_line(error))

    def release(self, claim: Claim) -> bool:
        """Somebody else shall do it; False if the claim was lost before."""
        return self._end(claim, "waiting", None, None)

    def take_over(self) -> list[str]:
        """Let the scans of dead workers wait again; returns their names.

        Call it again and again: whether a worker of another machine is alive shows only after `lease_s`.
        """
        columns = "name, token, beat, host, process, born, deaths"
        dead = []
        with self._reported():
            running = self._base.execute(f"SELECT {columns} FROM scans WHERE state = 'running'").fetchall()
        now = time.monotonic()
        self._seen = {name: self._seen[name] for name, *_ in running if name in self._seen}
        for name, token, beat, host, process, born, deaths in running:
            before = self._seen.get(name)
            if before is None or before[:2] != (token, beat):
                before = self._seen[name] = (token, beat, now)
            if Owner(host, process, born).is_dead() or now - before[2] > self._lease_s:
                dead.append((name, token, beat, deaths + 1))
        if not dead:
            return []
        taken = []
        with self._change() as base:
            for name, token, beat, deaths in dead:
                error = None
                if deaths >= MOST_DEATHS:
                    error = (
                        f"{deaths} worker processes ended while they worked on it (killed, or out of memory); give it "
                        "more memory, then --retry-failed"
                    )
                changed = base.execute(
                    f"UPDATE scans SET state = ?, deaths = ?, error = ?, {_FREE} WHERE name = ? AND token = ? AND beat "
                    "= ? AND state = 'running'",
                    ("failed" if error else "waiting", deaths, error, name, token, beat),
                ).rowcount
                if changed:
                    self._note(name, "worker died")
                    taken.append(str(name))
        return taken

    def counts(self) -> dict[State, int]:
        """Numbers of the wanted scans in each state."""
        query = "SELECT state, COUNT(*) FROM scans WHERE path IN temp.wanted GROUP BY state"
        with self._reported():
            found: dict[str, int] = dict(self._base.execute(query).fetchall())
        return {state: found.get(state, 0) for state in get_args(State)}

    def entries(self, *, wanted: bool = False) -> list[Entry]:
        """All scans in the order in which they were found, or the wanted ones alone."""
        with self._reported():
            return list(self._entries("path IN temp.wanted" if wanted else "TRUE"))

    def events(self) -> list[tuple[str, str]]:
        """All events, each the name of a scan and what happened, in their order."""
        with self._reported():
            return self._base.execute("SELECT name, event FROM events ORDER BY number").fetchall()

    def _entries(self, condition: str) -> Iterator[Entry]:
        yield from _entries_of(self._base, self.path, condition)

    def _end(self, claim: Claim, state: State, result: str | None, error: str | None) -> bool:
        with self._change() as base:
            ended = base.execute(
                f"UPDATE scans SET state = ?, result = ?, error = ?, {_FREE} WHERE token = ? AND state = 'running'",
                (state, result, error, claim.token),
            ).rowcount
            self._note(claim.name, ("released" if state == "waiting" else state) if ended else "lost", error)
        return ended == 1

    def _wait_again(self, name: str, event: str) -> None:
        self._base.execute(
            f"UPDATE scans SET state = 'waiting', deaths = 0, result = NULL, error = NULL, {_FREE} WHERE name = ?",
            (name,),
        )
        self._note(name, event)

    def _note(self, name: str, event: str, note: str | None = None) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._base.execute(
            "INSERT INTO events (at, name, event, host, process, note) VALUES (?, ?, ?, ?, ?, ?)",
            (at, name, event, self._owner.host, self._owner.process, note),
        )

    def _plain(self, name: object) -> str:
        """A name that stays in the folder.

        Raises:
            OutputError: it does not.
        """
        return _plain(self.path, name)

    def _prepare(self) -> None:
        with self._reported():
            self._base.execute("PRAGMA trusted_schema = OFF")
            self._base.execute("PRAGMA journal_mode = DELETE")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute("PRAGMA temp_store = MEMORY")
            self._base.execute("CREATE TEMP TABLE wanted (path TEXT PRIMARY KEY)")
        with self._change() as base:
            tables = {sql for (sql,) in base.execute("SELECT sql FROM main.sqlite_master WHERE sql IS NOT NULL")}
            if not tables:
                for table in _TABLES:
                    base.execute(table)
                base.execute(f"PRAGMA application_id = {_APPLICATION}")
                base.execute(f"PRAGMA user_version = {_VERSION}")
                return
            marks = [base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if tables != set(_TABLES) or marks != [_APPLICATION, _VERSION]:
            raise _damaged(self.path, "other tables than those of a campaign")

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other one runs beside."""
        with self._reported():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Errors of SQLite as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"{self.path}: cannot be used ({error}); the folder must be writable, have free space and support "
                "locks on files"
            ) from error
        except sqlite3.DatabaseError as error:
            raise OutputError(
                f"{self.path}: is no ledger of a campaign, or damaged ({error}); remove it or name another output "
                "folder"
            ) from error


def entries_of(folder: Path) -> list[Entry]:
    """All scans of the campaign in a folder, read beside the processes that work on it; nothing is written.

    Raises:
        OutputError: there is no ledger, it cannot be read now, or it is none.
    """
    path = folder / LEDGER
    check_regular(path)
    try:
        base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_LOOK_WAIT_S)
        try:
            base.execute("PRAGMA trusted_schema = OFF")
            kind = base.execute("SELECT type FROM sqlite_master WHERE name = 'scans'").fetchone()
            if kind != ("table",):
                raise _damaged(path, "other tables than those of a campaign")
            return list(_entries_of(base, path, "TRUE"))
        finally:
            base.close()
    except sqlite3.Error as error:
        raise OutputError(f"{path}: cannot be read ({error}); it is no ledger of a campaign, or damaged") from error


def _entries_of(base: sqlite3.Connection, ledger: Path, condition: str) -> Iterator[Entry]:
    rows = base.execute(
        f"SELECT name, path, state, deaths, result, error FROM scans WHERE {condition} ORDER BY rowid"
    ).fetchall()
    for name, path, state, deaths, result, error in rows:
        if state not in get_args(State):
            raise _damaged(ledger, f"the state {shown(state)}")
        yield Entry(
            _plain(ledger, name),
            Path(path),
            cast(State, state),
            int(deaths),
            _mapping(result),
            one_line(error or ""),
        )


def _plain(ledger: Path, name: object) -> str:
    if not is_plain_name(name):
        raise _damaged(ledger, f"the name {shown(name)}")
    return str(name)


def _damaged(ledger: Path, what: str) -> OutputError:
    return OutputError(
        f"{ledger}: holds {what}, which no campaign writes; the file is damaged or was changed, remove it or name "
        "another output folder"
    )


def _mapping(text: str | None) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        tree = json.loads(text or "{}")
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}
