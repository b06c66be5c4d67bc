# SPDX-License-Identifier: MIT
"""The pressure program, held at its end, and all that can be said against what is seen then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.jobs.pressure import TAGGED, WRONG_DATA, WRONG_TAGS, hold_pressure
from harness.verdict.audit import audit, learn
from harness.verdict.splat import find_splats
from tests.conftest import few

if TYPE_CHECKING:
    from harness.core.store import Store
    from harness.guest.guest import Guest


def hold_and_complain(guest: Guest, programs: Store, *, seed: int, seconds: int) -> list[str]:
    """What program, auditor and kernel complain of: nothing, if all is well."""
    learn(guest)  # takes memory in the guest, which must not count as the program's
    held = hold_pressure(guest, programs, seed=seed, seconds=seconds)
    found = audit(guest, held.expected())
    storage = guest.dram.storage_frames()
    # At the end there may be none: its last phases empty storage, and files fill it.
    assert held.in_storage > 1000, f"{held.in_storage} pages in tag storage: nothing is tested"
    assert found.expected > 10_000, found.text()
    complaints = [
        f"{name}: {few(frames)}"
        for name, frames in (
            ("wrong tags", held.frames(WRONG_TAGS)),
            ("wrong data", held.frames(WRONG_DATA)),
            ("tagged pages in tag storage", held.frames(TAGGED) & storage),
        )
        if frames
    ]
    if held.damaged:
        complaints.append(f"{held.damaged} records of the program's table are damaged")
    if not found.clean or found.tagged < found.expected:
        complaints.append(found.text())
    taint = guest.exec("cat /proc/sys/kernel/tainted").stdout.strip()
    if taint != "0":
        complaints.append(f"taint {taint}")
    splats = find_splats(guest.console.text())
    return complaints + ["\n".join((splat.title, *splat.lines)) for splat in splats]
