# SPDX-License-Identifier: MIT
"""Every time limit of a session, as one value that is handed down like a `Deadline`.

A limit ends a wait for something that hangs; it is far above what the step takes on a
healthy host. A test that wants a hang to be noticed early passes a smaller one, and a
kernel whose own checks make it slow gets all of them scaled.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

# Seconds in place of no limit: poll(2) takes 2^31 ms, 24 days, at most.
UNLIMITED = 20 * 86400.0


@dataclass(frozen=True)
class Limits:
    """Time limits in seconds of wall time.

    ``boot``: power-on to the ready line of the guest's agent.
    ``ssh_connect``: a new SSH connection, authenticated.
    ``exec``: a command in the guest for which the caller gives no limit.
    ``attach``: a connection or a command of a process that did not start the guest.
    ``counters``: reading /proc after the guest has settled.
    ``qmp``: one QMP command; ``exit``: QEMU's end once its QMP socket is closed.
    ``migrate``: saving or restoring the state of a machine.
    ``panic``: the rest of a panic on the console, once the guest is known to be gone.
    ``emulator_check``: the bare-metal check of QEMU's tags.
    ``host_tool``: a program on the host that answers at once (QEMU's dumpdtb, dtc).
    ``cost``: one mode of guest/bench/cost.c.
    ``reboot``: the reset of a board (--reboot) until it answers.
    """

    boot: float = 120.0
    ssh_connect: float = 30.0
    exec: float = 60.0
    attach: float = 60.0
    counters: float = 120.0
    qmp: float = 60.0
    exit: float = 5.0
    migrate: float = 60.0
    panic: float = 1.0
    emulator_check: float = 60.0
    host_tool: float = 60.0
    cost: float = 300.0
    reboot: float = 600.0

    def for_debugger(self) -> Limits:
        """Return the limits of a guest that a person may stop at a breakpoint for days.

        What only the running guest can end has no limit; QEMU answers all the same.
        """
        return dataclasses.replace(self, exec=UNLIMITED, ssh_connect=UNLIMITED, counters=UNLIMITED)

    def scaled(self, factor: float) -> Limits:
        """Return the same limits, each ``factor`` times as long."""
        seconds = {name: value * factor for name, value in dataclasses.asdict(self).items()}
        return Limits(**seconds)
