# SPDX-License-Identifier: MIT
"""The emulated machines, as data: memory, CPUs, disks, CPU flags, where the tags lie.

qemu_args.py derives QEMU's command line from it, device_tree.py the device tree.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.core.keys import key_of
from harness.vm.geometry import MIB, TagRegion


class Description(enum.StrEnum):
    """How the device tree describes tag storage in DRAM."""

    CARVEOUT = "carveout"
    TAG_STORAGE = "tag-storage"
    TAG_STORAGE_V1 = "tag-storage-v1"
    UNAWARE = "unaware"


@dataclass(frozen=True)
class MachineSpec:
    """One kind of emulated machine.

    ``memory_mib``: DRAM in MiB, from 0x40000000 on (QEMU, hw/arm/virt.c).
    ``swap_mib``: size in MiB of the blank disk that the guest sees as its second.
    ``cpu``: QEMU's ``-cpu``. SVE and SME are off: QEMU before 9.0 suppresses MTE faults
    of SVE loads wrongly, and no probe needs either (docs/facts/bugs.md 5).
    ``qemu_machine``: QEMU's ``-machine``.
    ``append``: parameters for the kernel's command line.
    ``icount``: the guest's clock counts its instructions, a nanosecond each; such a
    machine has one CPU (QEMU, docs/devel/tcg-icount.rst).
    ``tags``: where in DRAM the tags lie; empty where QEMU keeps them outside DRAM.
    ``describe``: how the device tree describes tag storage.
    """

    name: str
    description: str
    memory_mib: int = 1024
    cpus: int = 2
    swap_mib: int = 512
    cpu: str = "max,pauth-impdef=on,sve=off,sme=off"
    qemu_machine: str = "virt,mte=on,gic-version=3"
    # A debug kernel under TCG is several times slower than on hardware: without longer
    # limits RCU and the watchdog would report stalls that are none.
    append: str = "rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"
    icount: bool = False
    tags: tuple[TagRegion, ...] = ()
    describe: Description = Description.UNAWARE

    @property
    def memory(self) -> int:
        """DRAM in bytes."""
        return self.memory_mib * MIB

    def key(self) -> str:
        """Return the key of the machine, made from every field that the guest can see."""
        fields = dataclasses.asdict(self)
        del fields["description"]
        return key_of(fields)


_DRAM = {
    Description.CARVEOUT: "tag storage is reserved memory (no-map), as firmware does today",
    Description.TAG_STORAGE: "tag storage is described for reuse (our binding, RFC version 3's)",
    Description.TAG_STORAGE_V1: "tag storage is described in the binding of the RFC's version 1",
    Description.UNAWARE: "tag storage is not described: the kernel must corrupt memory",
}
# Storage is not at the top of DRAM, where memblock allocates first, nor in the first
# 192 MiB, where QEMU puts Image and device tree (geometry.py).
ONE_REGION = (TagRegion(0x40000000, 1024 * MIB, 0x78000000),)
TWO_REGIONS = (
    TagRegion(0x40000000, 512 * MIB, 0x5C000000),
    TagRegion(0x60000000, 512 * MIB, 0x78000000),
)


def _dram(name: str, about: str, tags: tuple[TagRegion, ...]) -> dict[str, MachineSpec]:
    return {
        f"{name}/{describe}": MachineSpec(
            name=f"{name}/{describe}",
            description=f"tags lie in DRAM{about}; {storage}",
            tags=tags,
            describe=describe,
        )
        for describe, storage in _DRAM.items()
    }


MACHINES = {
    "emulator": MachineSpec(
        name="emulator",
        description="stock QEMU: tags are kept outside guest memory",
    ),
    **_dram("dram", "", ONE_REGION),
    **_dram("dram-two-regions", ", in two regions", TWO_REGIONS),
    **_dram(
        "dram-8k-blocks",
        ", in blocks of 8 KiB",
        tuple(dataclasses.replace(region, block_size=8192) for region in ONE_REGION),
    ),
}
# `dram` without a suffix is the machine on which every kernel must work.
ALIASES = {"dram": "dram/carveout"}


# A machine that nobody emulates; CPUs and memory are asked of it.
BOARD = MachineSpec("board", "a machine over SSH", qemu_machine="", cpu="", append="", swap_mib=0)


def machine_names() -> list[str]:
    """Return every name that `find_machine` knows."""
    return sorted({*MACHINES, *ALIASES})


def is_family_of(name: str, machine: str) -> bool:
    """Return whether ``name`` is short for a family of machines that ``machine`` belongs to."""
    return name in ALIASES and machine.startswith(f"{name}/")


def find_machine(machine_name: str) -> MachineSpec:
    """Return the machine of that name. Raise UsageError, with all names, if there is none."""
    try:
        return MACHINES[ALIASES.get(machine_name, machine_name)]
    except KeyError:
        raise UsageError(
            f"no machine called {machine_name!r}", f"one of: {', '.join(machine_names())}"
        ) from None
