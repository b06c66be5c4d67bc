# SPDX-License-Identifier: MIT
"""The records of all nights as one SQLite database, which can always be made again from them.

A test or case on a kernel and a machine is a row of ``subject``; what it was in a run is a row of
``result``, whose ``state`` is the place in night.State. A test itself has the empty ``case``; only
it has ``seconds``.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.core.file_lock import locked
from harness.core.progress import Silent
from harness.history.night import State, load_run, run_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.history.night import Run

FILE = "history.sqlite"
VERSION = 2
STATES = tuple(State)
_NUMBER = {state: number for number, state in enumerate(STATES)}
_SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, night TEXT, entry TEXT, suite TEXT, started TEXT, seconds REAL,
    exit_status INTEGER, whole INTEGER, selection TEXT, harness TEXT, qemu TEXT, compiler TEXT,
    host TEXT, errors TEXT, not_run TEXT, gone TEXT, report TEXT, file TEXT, stamp TEXT);
CREATE TABLE kernel (
    run INTEGER, name TEXT, machine TEXT, key TEXT, release TEXT, about TEXT, boot_seconds REAL);
CREATE TABLE subject (
    id INTEGER PRIMARY KEY, kernel TEXT, machine TEXT, test TEXT, name TEXT, bug TEXT, about TEXT);
CREATE TABLE detail (id INTEGER PRIMARY KEY, fingerprint TEXT, reason TEXT, repeat TEXT);
CREATE TABLE result (
    run INTEGER, subject INTEGER, state INTEGER, seconds REAL, detail INTEGER,
    PRIMARY KEY (run, subject)) WITHOUT ROWID;
CREATE TABLE measure (
    run INTEGER, kernel TEXT, machine TEXT, name TEXT, unit TEXT, value REAL);
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS result_subject ON result (subject);
CREATE UNIQUE INDEX IF NOT EXISTS subject_name ON subject (test, name, kernel, machine);
CREATE INDEX IF NOT EXISTS kernel_run ON kernel (run);
CREATE INDEX IF NOT EXISTS measure_run ON measure (run);
"""


@contextlib.contextmanager
def opened(results: Path) -> Iterator[sqlite3.Connection]:
    """Open the database of the results, up to date with the records. Raise ArtifactError."""
    path = results / FILE
    try:
        with locked(results / f"{FILE}.lock", "another process reads the records", Silent()):
            _bring_up_to_date(path, results)
        with contextlib.closing(sqlite3.connect(path)) as database:
            yield database
    except sqlite3.DatabaseError as error:
        raise ArtifactError(f"{path}: {error}", "if the disk is not full, remove it") from error


def _bring_up_to_date(path: Path, results: Path) -> None:
    """Add the records that the database lacks, or make all of it anew."""
    files = {file.relative_to(results).as_posix(): file for file in run_files(results)}
    stamps = {name: _stamp(file) for name, file in files.items()}
    known = _known(path)
    missing = [name for name in files if name not in known]
    same = all(stamps.get(name) == stamp for name, stamp in known.items())
    # A record that changed, went, or came late makes all of it anew: runs are in their order.
    if not same or (missing and known and min(missing) < max(known)):
        path.unlink(missing_ok=True)
        missing = list(files)
    if missing or not known:
        with contextlib.closing(sqlite3.connect(path)) as database:
            _add(database, [(name, stamps[name], files[name]) for name in missing])


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_mtime_ns} {found.st_size}"


def _known(path: Path) -> dict[str, str]:
    """Return file and stamp of the runs in a database; remove one that is not of this version."""
    if not path.exists():
        return {}
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == VERSION:
                return dict(database.execute("SELECT file, stamp FROM run"))
    except sqlite3.DatabaseError:  # damaged: the records are the truth
        pass
    path.unlink()
    return {}


def _add(database: sqlite3.Connection, files: list[tuple[str, str, Path]]) -> None:
    """Add records, which are later than all that are there."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    # One transaction: an interruption leaves the database as it was.
    database.execute("PRAGMA cache_size = -200000")
    if version != VERSION:
        database.executescript(f"{_SCHEMA}PRAGMA user_version = {VERSION};")
    database.execute("BEGIN")
    writer = _Writer(database)
    for name, stamp, file in files:
        writer.add(load_run(file), name, stamp)
    database.commit()
    database.executescript(_INDEXES)


def _the_worst_last(row: tuple[int, int, int, float | None, int | None]) -> tuple[bool, int]:
    """Return what sorts two results of one test in one run so that the worse one is kept."""
    return STATES[row[2]].bad, row[2]


class _Writer:
    """Writes runs, with the numbers of subjects and details in memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        rows = database.execute("SELECT kernel, machine, test, name, id FROM subject")
        self._subjects = {(k, m, t, n): i for k, m, t, n, i in rows}
        self._told: dict[int, tuple[str, str]] = {}
        rows = database.execute("SELECT fingerprint, reason, repeat, id FROM detail")
        self._details = {(f, r, again): i for f, r, again, i in rows}
        (self._run,) = database.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()

    def add(self, run: Run, file: str, stamp: str) -> None:
        self._run += 1
        number = self._run
        context = run.context
        self._database.execute(
            f"INSERT INTO run VALUES ({', '.join('?' * 19)})",
            (
                number, run.night, run.entry, run.suite, run.started, run.seconds,
                run.exit_status, run.whole, run.selection, context.harness, context.qemu,
                context.compiler, context.host, json.dumps(run.errors), json.dumps(run.not_run),
                json.dumps(run.gone), run.report, file, stamp,
            ),
        )  # fmt: skip
        self._database.executemany(
            "INSERT INTO kernel VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(number, k.name, k.machine, k.key, k.release, k.about, k.boot_seconds)
             for k in run.kernels],
        )  # fmt: skip
        self._database.executemany(
            "INSERT INTO measure VALUES (?, ?, ?, ?, ?, ?)",
            [(number, m.kernel, m.machine, m.name, m.unit, m.value) for m in run.measures],
        )
        rows = sorted(self._rows(run), key=_the_worst_last)
        self._database.executemany("INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?)", rows)

    def _rows(self, run: Run) -> Iterator[tuple[int, int, int, float | None, int | None]]:
        number = self._run
        for test in run.tests:
            place = (test.kernel, test.machine, test.test)
            subject = self._subject((*place, ""), test.bug, test.about)
            detail = self._detail((test.fingerprint, test.reason, test.repeat))
            yield number, subject, _NUMBER[test.state], test.seconds, detail
            for state, names in test.cases.items():
                code = _NUMBER[state]
                for name in names:
                    yield number, self._subject((*place, name)), code, None, None

    def _subject(self, name: tuple[str, str, str, str], bug: str = "", about: str = "") -> int:
        found = self._subjects.get(name)
        if found is None:
            found = self._subjects[name] = len(self._subjects) + 1
            self._database.execute(
                "INSERT INTO subject VALUES (?, ?, ?, ?, ?, '', '')", (found, *name)
            )
        # Of what bug a test is may come out later: a page shows what the last record says.
        if (bug or about) and self._told.get(found) != (bug, about):
            self._told[found] = (bug, about)
            self._database.execute(
                "UPDATE subject SET bug = iif(? = '', bug, ?), about = iif(? = '', about, ?) "
                "WHERE id = ?",
                (bug, bug, about, about, found),
            )
        return found

    def _detail(self, texts: tuple[str, str, str]) -> int | None:
        if not any(texts):
            return None
        found = self._details.get(texts)
        if found is None:
            found = self._details[texts] = len(self._details) + 1
            self._database.execute("INSERT INTO detail VALUES (?, ?, ?, ?)", (found, *texts))
        return found
