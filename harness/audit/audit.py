# SPDX-License-Identifier: MIT
"""Is a guest consistent at this moment? Everything is read from its DRAM, while it is paused.

For each page that the kernel has as tagged: is its tag storage really not in use for
data? Is no page of the tag storage tagged itself? And for pages whose tags are known
from the program that set them: are those the bytes in DRAM?
"""

from __future__ import annotations

import enum
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.audit.dram import unpack
from harness.audit.flagbits import KPF_ARCH_2, KPF_RESERVED, Samples
from harness.audit.vmcore import Pages, Vmcoreinfo
from harness.machine.geometry import GRANULE, PAGE
from harness.machine.spec import Description

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from harness.audit.dram import Dram
    from harness.guest.guest import Guest
    from harness.machine.spec import MachineSpec

KPF = {"tagged": KPF_ARCH_2, "reserved": KPF_RESERVED}
# By kernel key: a build has its page flags for good.
_BITS: dict[str, dict[str, int]] = {}


class Kind(enum.StrEnum):
    """What can be wrong with a page."""

    STORAGE_IN_USE = "storage in use for data"
    STORAGE_TAGGED = "a page of the tag storage is tagged"
    TAGS_WRONG = "tags are not those that were set"
    NOT_TAGGED = "the kernel does not have the page as tagged"


@dataclass(frozen=True)
class Expected:
    """Tags that a program has set: ``pfns`` of shape (n,), ``storage`` of shape (n, 128)."""

    pfns: npt.NDArray[np.int64]
    storage: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Finding:
    """One page that is wrong; ``storage`` is the physical address of its tags."""

    kind: Kind
    pfn: int
    storage: int
    detail: str

    def __str__(self) -> str:
        """One line."""
        return f"frame {self.pfn:#x} (tags at {self.storage:#x}): {self.kind.value}: {self.detail}"


@dataclass(frozen=True)
class Audit:
    """``tagged`` pages were looked at; ``seconds`` is how long the guest was paused."""

    tagged: int
    expected: int
    findings: tuple[Finding, ...]
    seconds: float
    by_kind: Counter[Kind] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def frames(self, kind: Kind) -> frozenset[int]:
        """The page frames with a finding of that kind."""
        return frozenset(f.pfn for f in self.findings if f.kind is kind)

    def text(self, limit: int = 20) -> str:
        """What was found, for a person."""
        head = f"{self.tagged} tagged pages, {self.expected} with known tags: "
        if self.clean:
            return head + "consistent"
        kinds = ", ".join(f"{count} x {kind.value}" for kind, count in self.by_kind.items())
        lines = [head + kinds, *map(str, self.findings[:limit])]
        if len(self.findings) > limit:
            lines.append(f"and {len(self.findings) - limit} more")
        return "\n".join(lines)


def audit(guest: Guest, expected: Expected | None = None) -> Audit:
    """Audits ``guest`` as it is now. It is paused meanwhile, for tens of milliseconds.

    Raises UsageError where tags are not in DRAM, and AuditError where the kernel does
    not tell what has to be known.
    """
    dram = guest.dram
    place = guest.exec("cat /sys/kernel/vmcoreinfo", phase="reading vmcoreinfo").stdout
    info = Vmcoreinfo.read(dram, place)
    bits = _flag_bits(guest, dram, info)
    started = time.monotonic()
    with guest.paused():
        pages = Pages(dram, info)
        findings = tuple(_judge(dram, guest.template.spec, pages, bits, expected))
    flagged = _has(pages, bits["tagged"])
    return Audit(
        int(flagged.sum()),
        len(expected.pfns) if expected else 0,
        findings,
        time.monotonic() - started,
        Counter(f.kind for f in findings),
    )


def _flag_bits(guest: Guest, dram: Dram, info: Vmcoreinfo) -> dict[str, int]:
    key = guest.template.kernel.key
    if key not in _BITS:
        samples = Samples(guest)
        try:
            _BITS[key] = samples.bits(Pages(dram, info), KPF)
        finally:
            samples.close()
    return _BITS[key]


def _has(pages: Pages, bit: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (pages.flags >> np.uint64(bit)) & np.uint64(1) == 1
    return found


def _judge(
    dram: Dram, spec: MachineSpec, pages: Pages, bits: dict[str, int], expected: Expected | None
) -> Iterator[Finding]:
    tagged = _has(pages, bits["tagged"])
    unused = pages.free()
    if spec.describe is not Description.UNAWARE:
        # Reserved because the device tree says so; else by the kernel, early, for itself.
        unused |= _has(pages, bits["reserved"])
    pfns = np.flatnonzero(tagged) + pages.first
    storage = dram.storage_addresses(pfns)
    holders = storage // PAGE
    bad = ~unused[holders - pages.first]
    for pfn, at in zip(pfns[bad], storage[bad], strict=True):
        yield Finding(Kind.STORAGE_IN_USE, int(pfn), int(at), pages.describe(int(at) // PAGE))
    own = np.array(sorted(dram.storage_frames()))
    for pfn in own[tagged[own - pages.first]]:
        at = dram.storage_address(int(pfn))
        yield Finding(Kind.STORAGE_TAGGED, int(pfn), at, "PG_mte_tagged is set")
    if expected is not None:
        yield from _compare(dram, tagged[expected.pfns - pages.first], expected)


def _compare(dram: Dram, tagged: npt.NDArray[np.bool_], expected: Expected) -> Iterator[Finding]:
    storage = dram.storage_addresses(expected.pfns)
    for pfn, at in zip(expected.pfns[~tagged], storage[~tagged], strict=True):
        yield Finding(Kind.NOT_TAGGED, int(pfn), int(at), "PG_mte_tagged is clear")
    seen = dram.tags_of(expected.pfns)
    for row in np.flatnonzero((seen != expected.storage).any(axis=1)):
        want, got = unpack(expected.storage[row]), unpack(seen[row])
        wrong = np.flatnonzero(want != got)
        first = int(wrong[0])
        yield Finding(
            Kind.TAGS_WRONG,
            int(expected.pfns[row]),
            int(storage[row]),
            f"{len(wrong)} of {len(want)} granules; the first at offset {first * GRANULE:#x}: "
            f"expected {int(want[first]):#x}, saw {int(got[first]):#x}",
        )
