# SPDX-License-Identifier: MIT
"""What a search has seen, in a file, so that it goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cattrs import BaseValidationError, transform_error

from harness.bugs.tally import Finding, Tally  # noqa: TC001 - cattrs reads the annotations
from harness.core.disk import disk_full_as_error
from harness.core.errors import ArtifactError, UsageError
from harness.core.files import replace_file
from harness.core.structure import strict_converter

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
_CONVERTER = strict_converter()


@dataclass
class Journal:
    """All that a search has seen.

    ``search`` is what makes two searches the same: the program, the ends, the options.
    ``sign``: what the bug shows as, "" until it is known. ``measured`` are the signs of each run on
    the end that has the bug. ``tallies`` and ``findings`` are by point; ``fresh`` are the runs of
    the confirmation at the end, and ``removed`` those without the culprit.
    """

    search: dict[str, str]
    sign: str = ""
    measured: list[dict[str, str]] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    fresh: dict[str, Tally] = field(default_factory=dict)
    removed: dict[str, Tally] = field(default_factory=dict)
    schema: int = SCHEMA

    def save(self, path: Path) -> None:
        """Write the file as a whole. Raise DiskFullError, with the state of before in the file."""
        text = json.dumps(_CONVERTER.unstructure(self), indent=1, ensure_ascii=False)
        with disk_full_as_error(path):
            replace_file(path, f"{text}\n".encode(errors="backslashreplace"))


def open_journal(path: Path, search: dict[str, str]) -> Journal:
    """Return the journal in a file, or a new one if there is none that has seen a run.

    A new one is written at once: that it cannot be is found before any kernel is built. Raise
    ArtifactError for a damaged file, UsageError for that of another search.
    """
    journal = _read(path)
    other = [key for key in search if journal and journal.search.get(key) != search[key]]
    if journal and journal.measured and other:
        key = other[0]
        raise UsageError(
            f"{path} is the state of another search: its {key} is "
            f"{journal.search.get(key, 'none')!r}, not {search[key]!r}",
            "remove it, or name another file with --state",
        )
    if journal and not other:
        return journal
    journal = Journal(search)
    try:
        journal.save(path)
    except OSError as error:
        raise UsageError(
            f"the state of the search cannot be written to {path}: {error.strerror}",
            "name another file with --state",
        ) from error
    return journal


def _read(path: Path) -> Journal | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"its schema is {schema!r}, not {SCHEMA}")
        return _CONVERTER.structure(data, Journal)
    except FileNotFoundError:
        return None
    except BaseValidationError as error:
        raise _damaged(path, transform_error(error)[0]) from error
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{path} is no state of a search: {why}", f"remove it: rm {path}")
