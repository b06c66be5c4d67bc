# SPDX-License-Identifier: MIT
"""Page frames in an assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def few(frames: Iterable[int]) -> list[str]:
    """Return the first eight frames: pytest would take minutes to compare thousands."""
    return [hex(pfn) for pfn in sorted(frames)[:8]]
