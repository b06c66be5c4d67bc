# SPDX-License-Identifier: MIT
"""Is a guest consistent at this moment? Everything is read from its DRAM, while it is paused.

For each page that the kernel has as tagged: is its tag storage really not in use for
data? Is no page of the tag storage tagged itself? And for pages whose tags are known
from the program that set them: are those the bytes in DRAM?

Of a kernel that reuses tag storage more is asked (arch/arm64/mm/mte_tag_storage.c of
kernel-configs/tag-storage): the storage of a tagged page is not merely unused but
reserved, the page has the flag that says it holds it, and no storage is reserved that
no page holds.
"""

from __future__ import annotations

import enum
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import AuditError
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.flag_bits import KPF_ARCH_2, KPF_ARCH_4, KPF_RESERVED, Samples
from harness.verdict.vmcore import Pages, Vmcoreinfo
from harness.vm.dram_view import unpack
from harness.vm.geometry import GRANULE, PAGE
from harness.vm.spec import Description

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.vm.dram_view import Dram

    Frames = npt.NDArray[np.int64]

KPF = {"tagged": KPF_ARCH_2, "reserved": KPF_RESERVED}
KPF_REUSE = {**KPF, "holds": KPF_ARCH_4}
# By template: its clones have one kernel, in one place.
_KNOWN: dict[str, Known] = {}


@dataclass(frozen=True)
class Known:
    """``place`` is the text of /sys/kernel/vmcoreinfo, ``bits`` are those of page->flags."""

    place: str
    bits: dict[str, int]


class Kind(enum.StrEnum):
    """What can be wrong with a page, or not be known."""

    STORAGE_IN_USE = "its storage is in use for data"
    STORAGE_TAGGED = "it is tag storage, and tagged"
    TAGS_WRONG = "its tags are not those that were set"
    NOT_TAGGED = "the kernel does not have it as tagged"
    HOLDS_NOTHING = "it does not hold its storage"
    LEAKED = "it is tag storage, reserved for no page"
    UNKNOWN = "whether its storage is free cannot be told"


@dataclass(frozen=True)
class Expected:
    """Tags that a program has set: ``pfns`` of shape (n,), ``storage`` of shape (n, 128)."""

    pfns: Frames
    storage: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Snapshot:
    """What was copied from a paused guest; ``seen`` are the storage bytes of ``expected``.

    ``bits`` are those of page->flags; a kernel that reuses tag storage has "holds".
    """

    pages: Pages
    bits: dict[str, int]
    expected: Expected | None
    seen: npt.NDArray[np.uint8] | None
    seconds: float


class Audit:
    """What a snapshot shows. ``seconds`` is how long the guest was paused for it."""

    def __init__(self, dram: Dram, describe: Description, snapshot: Snapshot) -> None:
        self._dram = dram
        self._snapshot = snapshot
        self.seconds = snapshot.seconds
        self.expected = len(snapshot.expected.pfns) if snapshot.expected else 0
        tagged = snapshot.pages.flag(snapshot.bits["tagged"])
        self.tagged = int(tagged.sum())
        in_use, unknown = _storage(dram, describe, snapshot, tagged)
        own = np.array(sorted(dram.storage_frames()))
        found = {
            Kind.STORAGE_IN_USE: in_use,
            Kind.STORAGE_TAGGED: own[tagged[own - snapshot.pages.first]],
            Kind.UNKNOWN: unknown,
            **_references(dram, snapshot, tagged),
            **_compare(snapshot, tagged),
        }
        self._found: dict[Kind, Frames] = {kind: pfns for kind, pfns in found.items() if len(pfns)}

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong, as far as it can be known."""
        return not self._found.keys() - {Kind.UNKNOWN}

    def frames(self, kind: Kind) -> frozenset[int]:
        """The page frames that this is said of."""
        return frozenset(self._found.get(kind, np.array([], np.int64)).tolist())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, with the first pages of each kind in detail."""
        return tuple(
            Finding(
                FindingKind(kind.value),
                tuple(int(pfn) for pfn in pfns),
                tuple(self._detail(kind, int(pfn)) for pfn in pfns[:8]),
            )
            for kind, pfns in self._found.items()
        )

    def text(self, limit: int = 8) -> str:
        """What was found, with the first ``limit`` pages of each kind, for a person."""
        lines = [f"{self.tagged} tagged pages, {self.expected} with known tags"]
        for kind, pfns in self._found.items():
            lines.append(f"{len(pfns)} pages: {kind.value}")
            lines.extend(f"  {self._detail(kind, int(pfn))}" for pfn in pfns[:limit])
        if self.clean:
            lines.append("consistent")
        return "\n".join(lines)

    def _detail(self, kind: Kind, pfn: int) -> str:
        at = self._dram.storage_address(pfn)
        where = f"frame {pfn:#x}, tags at {at:#x}"
        if kind in (Kind.STORAGE_IN_USE, Kind.UNKNOWN):
            block = _block(self._dram, at // PAGE)
            used = "; ".join(f"{x:#x} is {self._snapshot.pages.describe(x)}" for x in block)
            return f"{where}: {used}"
        if kind is Kind.TAGS_WRONG:
            return f"{where}: {self._difference(pfn)}"
        return where

    def _difference(self, pfn: int) -> str:
        expected, seen = self._snapshot.expected, self._snapshot.seen
        assert expected is not None
        assert seen is not None
        row = int(np.flatnonzero(expected.pfns == pfn)[0])
        want, got = unpack(expected.storage[row]), unpack(seen[row])
        wrong = np.flatnonzero(want != got)
        first = int(wrong[0])
        return (
            f"{len(wrong)} of {len(want)} granules, the first at offset {first * GRANULE:#x}: "
            f"expected {int(want[first]):#x}, saw {int(got[first]):#x}"
        )


def unauditable(template: Template) -> str:
    """Why guests of ``template`` cannot be audited; ``""`` where nothing speaks against it."""
    spec = template.spec
    if not spec.tags:
        return "tags are not in DRAM"
    if spec.describe is Description.TAG_STORAGE_V1:
        return f"how a kernel holds tag storage on {spec.name} is not known"
    if template.kernel.built_with("CONFIG_CRASH_DUMP") is False:
        return "the kernel has no CONFIG_CRASH_DUMP"
    return ""


def learn(guest: Guest) -> Known:
    """What an audit has to know of the kernel. The first time that takes memory of the guest's.

    Raises UsageError and AuditError as `audit` does.
    """
    dram, template = guest.dram, guest.template
    if template.key not in _KNOWN:
        if why := unauditable(template):
            raise AuditError(why, "README.md, Tags in DRAM, says what can be audited")
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
        _KNOWN[template.key] = Known(place, bits)
    return _KNOWN[template.key]


def audit(guest: Guest, expected: Expected | None = None) -> Audit:
    """Audits ``guest``, which must be running. It is paused for tens of milliseconds.

    Raises UsageError where tags are not in DRAM, and AuditError where the kernel does
    not tell what has to be known, or its own structures are damaged.
    """
    known, dram = learn(guest), guest.dram
    info = Vmcoreinfo.read(dram, known.place)
    with guest.paused():
        started = time.monotonic()
        pages = Pages.read(dram, info)
        seen = dram.tags_of(expected.pfns) if expected else None
        seconds = time.monotonic() - started
    snapshot = Snapshot(pages, known.bits, expected, seen, seconds)
    return Audit(dram, guest.template.spec.describe, snapshot)


def _block(dram: Dram, frame: int) -> range:
    """The frames of the storage block that ``frame`` is in."""
    region = next(r for r in dram.regions if r.storage <= frame * PAGE < r.storage_end)
    pages = region.block_size // PAGE
    start = frame - (frame - region.storage // PAGE) % pages
    return range(start, start + pages)


def _storage(
    dram: Dram, describe: Description, snapshot: Snapshot, tagged: npt.NDArray[np.bool_]
) -> tuple[Frames, Frames]:
    """The tagged pages whose storage block is in use, and those of which it is not known."""
    pages = snapshot.pages
    free, unowned = pages.buddy(), pages.unowned()
    reserved = pages.flag(snapshot.bits["reserved"])
    if "holds" in snapshot.bits:
        free, unowned = reserved & ~free, np.zeros_like(free)
    elif describe is not Description.UNAWARE:
        # Reserved because the device tree says so, and only there.
        free |= reserved
    state = np.zeros(len(free), np.int8)  # 0: not in use, 1: not known, 2: in use
    for pfn in dram.storage_frames():
        at = pfn - pages.first
        if not free[at]:
            state[at] = 2 if not unowned[at] else 0 if pages.listed(pfn) else 1
    worst = state.copy()
    for region in dram.regions:
        rows = slice(region.storage // PAGE - pages.first, region.storage_end // PAGE - pages.first)
        blocks = state[rows].reshape(-1, region.block_size // PAGE)
        worst[rows] = np.repeat(blocks.max(axis=1), region.block_size // PAGE)
    pfns = np.flatnonzero(tagged) + pages.first
    found = worst[dram.storage_addresses(pfns) // PAGE - pages.first]
    return pfns[found == 2], pfns[found == 1]


def _references(
    dram: Dram, snapshot: Snapshot, tagged: npt.NDArray[np.bool_]
) -> dict[Kind, Frames]:
    """What is wrong with who holds which storage, in a kernel that reuses it."""
    pages = snapshot.pages
    if "holds" not in snapshot.bits:
        return {}
    holds = pages.flag(snapshot.bits["holds"])
    storage = dram.storage_addresses(np.flatnonzero(holds) + pages.first) // PAGE - pages.first
    held = np.zeros(len(holds), bool)
    for region in dram.regions:
        size = region.block_size // PAGE
        rows = slice(region.storage // PAGE - pages.first, region.storage_end // PAGE - pages.first)
        inside = storage[(storage >= rows.start) & (storage < rows.stop)] - rows.start
        blocks = np.zeros((rows.stop - rows.start) // size, bool)
        blocks[inside // size] = True
        held[rows] = np.repeat(blocks, size)
    own = np.array(sorted(dram.storage_frames())) - pages.first
    leaked = pages.flag(snapshot.bits["reserved"])[own] & ~held[own]
    return {
        Kind.HOLDS_NOTHING: np.flatnonzero(tagged & ~holds) + pages.first,
        Kind.LEAKED: own[leaked] + pages.first,
    }


def _compare(snapshot: Snapshot, tagged: npt.NDArray[np.bool_]) -> dict[Kind, Frames]:
    """What is wrong with the pages whose tags are known."""
    expected, seen = snapshot.expected, snapshot.seen
    if expected is None or seen is None:
        return {}
    wrong = (seen != expected.storage).any(axis=1)
    return {
        Kind.NOT_TAGGED: expected.pfns[~tagged[expected.pfns - snapshot.pages.first]],
        Kind.TAGS_WRONG: expected.pfns[wrong],
    }
