# SPDX-License-Identifier: MIT
"""Audits a guest: are its memory tags consistent at this moment?

The guest is paused while its struct pages are copied out of DRAM; everything is computed
from that copy. For each page with PG_mte_tagged: is its tag storage not in use for data?
Is no page of the tag storage tagged itself? And where the tags are known from the program
that set them: are those the bytes in DRAM?

Of a kernel that reuses tag storage (arch/arm64/mm/mte_tag_storage.c of
kernel-configs/tag-storage) more is required: the storage of a tagged page is not merely
unused but reserved, the page has the flag that says it holds a reference to its storage,
and no storage is reserved to which no page holds a reference.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import AuditError
from harness.guest.kpageflags import HOLDS_STORAGE, MTE_TAGGED, RESERVED
from harness.verdict.audit_rules import Expected, PausedGuest, block_of, check
from harness.verdict.auditable import unauditable
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.flag_bits import Samples
from harness.verdict.vmcore import Pages, Vmcoreinfo
from harness.vm.dram import unpack
from harness.vm.geometry import GRANULE, PAGE

if TYPE_CHECKING:
    from harness.verdict.auditable import Auditable
    from harness.vm.dram import Dram
    from harness.vm.spec import Description

# The kpageflags bits behind the names of `KernelFacts.bits`.
KPF = {"tagged": MTE_TAGGED, "reserved": RESERVED}
KPF_REUSE = {**KPF, "holds": HOLDS_STORAGE}
# How many frames of a finding are described.
DETAILS = 8


@dataclass(frozen=True)
class KernelFacts:
    """What an audit has to know of a kernel.

    ``place`` is the text of /sys/kernel/vmcoreinfo; ``bits`` as in `PausedGuest`.
    """

    place: str
    bits: dict[str, int]


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    ``tagged``: how many pages have PG_mte_tagged; ``expected``: for how many the tags were
    known; ``seconds``: how long the guest was paused.
    """

    tagged: int
    expected: int
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is known to be wrong."""
        return all(finding.kind is FindingKind.UNKNOWN for finding in self.findings)

    def frames(self, kind: FindingKind) -> frozenset[int]:
        """Return the page frames of one kind of finding."""
        return frozenset(
            pfn for finding in self.findings if finding.kind is kind for pfn in finding.frames
        )

    def text(self) -> str:
        """Return the result for people: counts, then each finding with its first frames."""
        lines = [f"{self.tagged} tagged pages, {self.expected} with known tags"]
        lines += [line for finding in self.findings for line in finding.lines()]
        return "\n".join([*lines, "consistent"] if self.clean else lines)


def learn(guest: Auditable) -> KernelFacts:
    """Return what an audit has to know of the guest's kernel, learned once per template.

    The first call runs a helper in the guest, which takes memory there: call it before the
    counters of a leak check are read. Raise UsageError where the tags are not in DRAM, and
    AuditError where the kernel does not tell what has to be known.
    """
    return guest.template.facts.once(KernelFacts, lambda: _learn(guest))


def _learn(guest: Auditable) -> KernelFacts:
    dram = guest.dram
    if why := unauditable(guest.template):
        raise AuditError(why, "docs/dram.md lists the kernels that can be audited")
    place = guest.exec("cat /sys/kernel/vmcoreinfo", phase="reading vmcoreinfo").stdout
    meminfo = guest.exec("cat /proc/meminfo", phase="reading meminfo").stdout
    reuse = re.search(r"^MetadataTotal: +[1-9]", meminfo, re.MULTILINE) is not None
    info = Vmcoreinfo.read(dram, place)
    samples = Samples(guest)
    try:
        with guest.paused():
            pages = Pages.read(dram, info)
        bits = samples.bits(pages, KPF_REUSE if reuse else KPF)
    finally:
        samples.close()
    return KernelFacts(place, bits)


def audit(guest: Auditable, expected: Expected | None = None) -> Audit:
    """Audit ``guest``, which must be running. It is paused for tens of milliseconds.

    Raise as `learn` does, and AuditError where the kernel's own structures are damaged.
    """
    facts, dram = learn(guest), guest.dram
    info = Vmcoreinfo.read(dram, facts.place)
    with guest.paused():
        started = time.monotonic()
        pages = Pages.read(dram, info)
        tags = dram.tags_of(expected.pfns) if expected else None
        seconds = time.monotonic() - started
    paused = PausedGuest(pages, facts.bits, expected, tags, seconds)
    return examine(dram, guest.template.spec.describe, paused)


def examine(dram: Dram, describe: Description, paused: PausedGuest) -> Audit:
    """Return what a paused guest shows."""
    findings = [
        Finding(
            kind,
            tuple(pfns.tolist()),
            tuple(_detail(dram, paused, kind, int(pfn)) for pfn in pfns[:DETAILS]),
        )
        for kind, pfns in check(dram, describe, paused).items()
    ]
    return Audit(
        tagged=int(paused.pages.flag(paused.bits["tagged"]).sum()),
        expected=len(paused.expected.pfns) if paused.expected else 0,
        seconds=paused.seconds,
        findings=tuple(findings),
    )


def _detail(dram: Dram, paused: PausedGuest, kind: FindingKind, pfn: int) -> str:
    at = dram.storage_address(pfn)
    where = f"frame {pfn:#x}, tags at {at:#x}"
    if kind in (FindingKind.STORAGE_IN_USE, FindingKind.UNKNOWN):
        block = block_of(dram, at // PAGE)
        used = "; ".join(f"{x:#x} is {paused.pages.describe(x)}" for x in block)
        return f"{where}: {used}"
    if kind is FindingKind.TAGS_WRONG:
        return f"{where}: {_difference(paused, pfn)}"
    return where


def _difference(paused: PausedGuest, pfn: int) -> str:
    assert paused.expected is not None
    assert paused.tags is not None
    row = int(np.flatnonzero(paused.expected.pfns == pfn)[0])
    want, got = unpack(paused.expected.storage[row]), unpack(paused.tags[row])
    wrong = np.flatnonzero(want != got)
    first = int(wrong[0])
    return (
        f"{len(wrong)} of {len(want)} granules, the first at offset {first * GRANULE:#x}: "
        f"expected {int(want[first]):#x}, saw {int(got[first]):#x}"
    )
