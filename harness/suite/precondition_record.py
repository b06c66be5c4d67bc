# SPDX-License-Identifier: MIT
"""How many guests each case of a probe needed on this host until it had what it needs.

Two questions are answered from it: whether a kernel withholds what an unmodified kernel of the
same release gives, and which probes need another try too often.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.core.ktap import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from harness.core.ktap import KtapResult

FILE = "preconditions.sqlite"  # in the cache
_TABLE = """
CREATE TABLE IF NOT EXISTS cases (
    kernel TEXT, release TEXT, unmodified INTEGER, machine TEXT, probe TEXT, name TEXT,
    runs INTEGER NOT NULL DEFAULT 0,
    again INTEGER NOT NULL DEFAULT 0,
    never INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kernel, release, unmodified, machine, probe, name)
)
"""
_NOTE = """
INSERT INTO cases (kernel, release, unmodified, machine, probe, name, runs, again, never)
VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET runs = runs + 1, again = again + excluded.again,
    never = never + excluded.never
"""
_GIVEN = """
SELECT kernel, release, SUM(runs - never), SUM(runs) FROM cases
WHERE unmodified AND machine = ? AND probe = ? AND name = ? AND release GLOB ?
GROUP BY kernel, release HAVING SUM(runs - never) > 0 ORDER BY SUM(runs) DESC LIMIT 1
"""
_OFTEN = """
SELECT kernel, machine, probe, name, SUM(runs), SUM(again), SUM(never) FROM cases
GROUP BY kernel, machine, probe, name HAVING SUM(again) > 0
ORDER BY CAST(SUM(again) AS REAL) / SUM(runs) DESC, kernel, machine, probe, name
"""
_BUSY_SECONDS = 60.0


@dataclass(frozen=True)
class Subject:
    """What a probe ran on: a kernel by name and release, and a machine by name.

    ``unmodified``: nobody changed the kernel's source, so that it may speak for its release.
    """

    kernel: str
    release: str
    unmodified: bool
    machine: str

    @property
    def series(self) -> str:
        """Return "7.3" for a release "7.3.4+deb13-arm64"."""
        return ".".join(self.release.split(".")[:2])


@dataclass(frozen=True)
class Often:
    """One case that needed another guest: in ``again`` of ``runs``, of them ``never`` for good."""

    kernel: str
    machine: str
    probe: str
    case: str
    runs: int
    again: int
    never: int


class PreconditionRecord:
    """The record in one SQLite file, which the processes of several runs may write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Hold the database in a transaction; one that is damaged is begun anew."""
        try:
            with contextlib.closing(self._connected()) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise HarnessError(f"{self._path}: {error}", f"rm {self._path}") from error

    def _connected(self) -> sqlite3.Connection:
        try:
            return self._tabled()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, or the disk is full: nothing is wrong with the file
            self._path.unlink(missing_ok=True)
            return self._tabled()

    def _tabled(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        try:
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def note(
        self,
        probe: str,
        subject: Subject,
        results: Iterable[KtapResult],
        again: Mapping[str, int],
    ) -> None:
        """Add one run of a probe: its results, and the tries of cases that needed several."""
        rows = [
            (
                *(subject.kernel, subject.release, subject.unmodified, subject.machine),
                *(probe, result.name, result.name in again, result.outcome is Outcome.UNTESTED),
            )
            for result in results
        ]
        with self._open() as connection:
            connection.executemany(_NOTE, rows)

    def given_elsewhere(self, probe: str, case: str, subject: Subject) -> str:
        """Return where a case had what it needs, on an unmodified kernel of the same release.

        ``""`` where none ran the case here, or ``subject`` is unmodified itself.
        """
        if subject.unmodified:
            return ""
        with self._open() as connection:
            found = connection.execute(
                _GIVEN, (subject.machine, probe, case, f"{subject.series}.*")
            ).fetchone()
        if found is None:
            return ""
        kernel, release, given, runs = found
        return f"on {kernel} ({release}, unmodified) it came about in {given} of {runs} runs here"

    def often(self) -> tuple[Often, ...]:
        """Return all cases that needed another guest, those that did most often first."""
        with self._open() as connection:
            return tuple(Often(*row) for row in connection.execute(_OFTEN))
