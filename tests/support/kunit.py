# SPDX-License-Identifier: MIT
"""KUnit tests that are built into a kernel, run in a guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.guest.guest import Guest

# Without autorun they are run when they are asked for. 6.12 does not know it, and runs them twice.
APPEND = "kunit.enable=1 kunit.autorun=0"


def run_kunit(guest: Guest, suite: str) -> str:
    """Run a suite in a guest that was booted with APPEND, and return its KTAP.

    Not at boot: of such a run 7.3 keeps no results of single tests.
    """
    place = f"/sys/kernel/debug/kunit/{suite}"
    done = guest.exec(
        "mount -t debugfs none /sys/kernel/debug 2>/dev/null; "
        f"echo 1 > {place}/run && cat {place}/results",
        timeout=120,
    )
    assert done.status == 0, done
    return done.stdout
