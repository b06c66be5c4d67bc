# SPDX-License-Identifier: MIT
"""The pressure program, held at its end, and the faults found in its memory and the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.measure.pressure import TAGGED, WRONG_DATA, WRONG_TAGS, hold_pressure
from harness.verdict.audit import audit, learn
from harness.verdict.splat import find_splats
from tests.support.few import few

if TYPE_CHECKING:
    from harness.core.store import Store
    from harness.guest.guest import Guest


def hold_and_complain(guest: Guest, programs: Store, *, seed: int, seconds: int) -> list[str]:
    """Run the program, then return the faults that it, the audit and the kernel log report."""
    learn(guest)  # with a helper that takes memory in the guest, which the program must not see
    held = hold_pressure(guest, programs, seed=seed, seconds=seconds)
    found = audit(guest, held.expected())
    storage = guest.dram.storage_frames()
    # Counted over the whole run: at its end tag storage may hold no page of the program.
    assert held.in_storage > 1000, f"{held.in_storage} pages in tag storage: too few to be evicted"
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
