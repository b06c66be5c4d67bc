# SPDX-License-Identifier: MIT
"""Which cases of a probe a board cannot have, or its user does not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.guest.board import Board
    from harness.suite.head_comment import Probe

NO_DISK = "it writes swap to a disk, and no --swap-device names one that may be written"
DESTRUCTIVE = "it takes pages or CPUs from the running kernel: only with --destructive"


def not_on(probe: Probe, board: Board) -> dict[str, str]:
    """Return the cases of ``probe`` that are not for ``board``, each with the reason."""
    found: dict[str, str] = {}
    if not board.options.swap_device:
        found |= dict.fromkeys(probe.disk, NO_DISK)
    if not board.options.destructive:
        found |= dict.fromkeys(probe.destructive, DESTRUCTIVE)
    return found
