# SPDX-License-Identifier: MIT
"""A machine is data: memory, CPUs, disks and CPU flags.

The QEMU command line is derived from it in one place (``command.py``).
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

from harness.errors import UsageError


@dataclass(frozen=True)
class MachineSpec:
    """One kind of emulated machine.

    ``memory_mib``: DRAM in MiB, from 0x40000000 on (QEMU, hw/arm/virt.c).
    ``swap_mib``: size in MiB of the blank disk that the guest sees as its second.
    ``cpu``: QEMU's ``-cpu``. SVE and SME are off: their gross MTE suppression
    was wrong before QEMU 9.0, and no probe needs them (facts/bugs.md 5).
    """

    name: str
    description: str
    memory_mib: int = 1024
    cpus: int = 2
    swap_mib: int = 512
    cpu: str = "max,pauth-impdef=on,sve=off,sme=off"
    machine: str = "virt,mte=on,gic-version=3"
    # Debug kernels are several times slower under TCG than on hardware; what the
    # kernel calls a stall must not be our slowness.
    append: str = "rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"

    def key(self) -> str:
        """Sixteen hex digits over every field that the guest can see."""
        fields = dataclasses.asdict(self)
        del fields["description"]
        return hashlib.sha256(repr(sorted(fields.items())).encode()).hexdigest()[:16]


MACHINES = {
    "emulator": MachineSpec(
        name="emulator",
        description="stock QEMU: tags are kept outside guest memory",
    ),
}


def machine(name: str) -> MachineSpec:
    """The machine called ``name``; UsageError names those there are."""
    try:
        return MACHINES[name]
    except KeyError:
        raise UsageError(
            f"no machine called {name!r}", f"one of: {', '.join(sorted(MACHINES))}"
        ) from None
