# SPDX-License-Identifier: MIT
"""A kind of inconsistency that an audit found, with the page frames that have it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FindingKind(enum.StrEnum):
    """What is wrong with a page frame, or cannot be known of it."""

    STORAGE_IN_USE = "its storage is in use for data"
    STORAGE_TAGGED = "it is tag storage, and tagged"
    TAGS_WRONG = "its tags are not those that the program set"
    NOT_TAGGED = "it has tags, but not the flag PG_mte_tagged"
    HOLDS_NOTHING = "it is tagged, but holds no reference to its storage"
    LEAKED = "it is tag storage, reserved for no page"
    UNKNOWN = "whether its storage is free cannot be told"


@dataclass(frozen=True)
class Finding:
    """The ``frames`` (PFNs, ascending) of one kind; ``details`` has a line for the first few."""

    kind: FindingKind
    frames: tuple[int, ...]
    details: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Return the finding as text for people: how many frames, then the details."""
        count = len(self.frames)
        return (f"{count} pages: {self.kind.value}", *(f"  {line}" for line in self.details))
