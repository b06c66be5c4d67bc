# SPDX-License-Identifier: MIT
"""What the auditor can find wrong with page frames and their tag storage."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FindingKind(enum.StrEnum):
    """What is wrong with a page frame, or cannot be known."""

    STORAGE_IN_USE = "its storage is in use for data"
    STORAGE_TAGGED = "it is tag storage, and tagged"
    TAGS_WRONG = "its tags are not those that were set"
    NOT_TAGGED = "the kernel does not have it as tagged"
    HOLDS_NOTHING = "it does not hold its storage"
    LEAKED = "it is tag storage, reserved for no page"
    UNKNOWN = "whether its storage is free cannot be told"


@dataclass(frozen=True)
class Finding:
    """``frames`` are the page frame numbers; ``details`` are lines about the first of them."""

    kind: FindingKind
    frames: tuple[int, ...]
    details: tuple[str, ...] = ()
