# SPDX-License-Identifier: MIT
"""The leak check: the kernel's memory counters before and after a program.

A snapshot is made from ``/proc/meminfo`` (kB), ``/proc/vmstat`` (pages and events) and
``/proc/zoneinfo``. Both snapshots are taken after a read of ``/proc/sys/vm/stat_refresh``, which
adds the per-CPU deltas to the counters (mm/vmstat.c, vmstat_refresh(); a delta is up to 125 pages
for each CPU and counter); the second one after ``echo 3 > /proc/sys/vm/drop_caches`` as well.

The check runs after every program and is coarse: a leak of a few hundred kB passes. The probes
about leaks find smaller ones by thousands of rounds.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Shell line before the first snapshot: adds the per-CPU deltas to the counters. The caches of a
# fresh clone stay: without them each program would be read from the disk again.
REFRESH = "cat /proc/sys/vm/stat_refresh > /dev/null"
# Shell lines before each look at the counters after the program. What is not back at one of them
# may be at the next; after most programs all is back at the first.
_DROP = "sync; echo 3 > /proc/sys/vm/drop_caches; "
# The second pass drops the pages of inodes that the first one freed; RCU frees task stacks and
# page tables in between.
_DROP_TWICE = f"{_DROP}sleep 0.2; echo 3 > /proc/sys/vm/drop_caches; "
# Gives back slabs without objects, which a cache keeps for each CPU. On 7.3 they are 3 to 4 MB
# after a program that had many threads (mm/slub.c, sheaves); objects that are in use stay.
_SHRINK = "for c in /sys/kernel/slab/*/shrink; do echo 1 > $c; done 2>/dev/null; "
LOOKS = (
    _DROP + REFRESH,
    _DROP_TWICE + REFRESH,
    _SHRINK + _DROP_TWICE + REFRESH,
    _SHRINK + _DROP_TWICE + REFRESH,
)

# Free memory and reclaimable caches, in kB. The free pages on the per-CPU lists are added, since
# MemFree leaves them out: tens of MB after the end of a large process (mm/page_alloc.c,
# nr_pcp_high()).
FREE = "FreeOrCache"
_ON_CPU_LIST = re.compile(r"^ +count: +(?P<pages>\d+)$", re.MULTILINE)
PAGE_KB = 4
_FREE_PARTS = ("MemFree", "Buffers", "Cached", "SReclaimable")

# Tag storage reserved for the tags of pages (CONFIG_MEMORY_METADATA, kernel-configs/tag-storage).
RESERVED = "MetadataReserved"

_MEMINFO = re.compile(r"^(?P<name>[\w()]+):\s+(?P<value>\d+)(?: kB)?\s*$", re.MULTILINE)
_VMSTAT = re.compile(r"^(?P<name>\w+) (?P<value>\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Counters:
    """One snapshot: meminfo in kB (numbers of huge pages in pages), vmstat in pages or events.

    ``page_kb``: the kernel's page size.
    """

    meminfo: Mapping[str, int]
    vmstat: Mapping[str, int]
    page_kb: int = PAGE_KB


class Direction(enum.Enum):
    """The change of a counter that is a leak."""

    SAME = "must not change"
    GROWTH = "must not grow"
    LOSS = "must not fall"


@dataclass(frozen=True)
class Rule:
    """A counter whose value must return to what it was, within ``slack`` in the counter's unit.

    ``why`` is the likely cause if it does not; ``vmstat``: the counter is in /proc/vmstat.
    """

    name: str
    direction: Direction
    slack: int
    why: str
    vmstat: bool = False

    def allowed(self, page_kb: int) -> int:
        """Return the slack on a kernel with pages of ``page_kb`` kB."""
        return self.slack if self.vmstat else self.slack * max(1, page_kb // SLACK_PAGE_KB)


# The slack is for slab's partial lists and the SSH session: on an unmodified 6.12 the largest
# differences of all probes were SUnreclaim 348 kB, VmallocUsed 512, AnonPages 168, PageTables 104,
# Percpu 72 and KernelStack 32 kB; other configurations may need more. HardwareCorrupted has no
# rule: an emulator has no memory errors, and pages that a program soft-offlines
# (MADV_SOFT_OFFLINE) stay so. With pages of 16 KiB the same slack is enough (7.3: SUnreclaim 1312,
# AnonPages 320, PageTables 144 kB); slabs, tables and stacks of 64 KiB may be four times as large.
SLACK_PAGE_KB = 16  # the largest pages that the slack was measured with
RULES = (
    Rule("MemTotal", Direction.SAME, 0, "pages were taken from or added to the kernel's memory"),
    Rule("SwapTotal", Direction.SAME, 0, "a swap area was left on or turned off"),
    Rule("HugePages_Total", Direction.SAME, 0, "huge pages were left reserved or released"),
    Rule("HugePages_Free", Direction.SAME, 0, "huge pages are still in use"),
    Rule("CmaTotal", Direction.SAME, 0, "contiguous memory areas changed their size"),
    Rule("MetadataTotal", Direction.SAME, 0, "tag storage changed its size"),
    Rule(RESERVED, Direction.SAME, 0, "tag storage is still reserved, or was released twice"),
    # While memory is full, pages of other processes may be allocated in tag storage, and stay.
    Rule("MetadataFree", Direction.LOSS, 512, "tag storage still holds data"),
    Rule("Zswapped", Direction.GROWTH, 0, "zswap still holds pages"),
    Rule(FREE, Direction.LOSS, 8192, "memory is in use, whatever holds it"),
    Rule("AnonPages", Direction.GROWTH, 1024, "anonymous pages outlived their processes"),
    Rule("Shmem", Direction.GROWTH, 256, "shared memory or files in a tmpfs are left"),
    Rule("Mlocked", Direction.GROWTH, 64, "pages are still locked"),
    Rule("PageTables", Direction.GROWTH, 512, "page tables outlived their processes"),
    Rule("KernelStack", Direction.GROWTH, 256, "tasks are left"),
    Rule("SUnreclaim", Direction.GROWTH, 2048, "kernel objects are left (kmalloc, saved tags)"),
    Rule("VmallocUsed", Direction.GROWTH, 1024, "vmalloc memory is left"),
    Rule("Percpu", Direction.GROWTH, 512, "per-CPU memory is left (control groups)"),
    Rule("nr_isolated_anon", Direction.SAME, 32, "pages are still isolated", vmstat=True),
    Rule("nr_isolated_file", Direction.SAME, 32, "pages are still isolated", vmstat=True),
    Rule("nr_zspages", Direction.GROWTH, 16, "zram or zswap still hold memory", vmstat=True),
)


@dataclass(frozen=True)
class CounterProblem:
    """A counter that differs by more than its rule allows on this kernel."""

    rule: Rule
    before: int
    after: int
    allowed: int

    def __str__(self) -> str:
        unit = " pages" if self.rule.vmstat or self.rule.name.startswith("HugePages") else " kB"
        return (
            f"{self.rule.name}: {self.before} before, {self.after}{unit} after: "
            f"{self.after - self.before:+d}, allowed {self.allowed}: {self.rule.why}"
        )


def parse(meminfo: str, vmstat: str, zoneinfo: str = "", page_kb: int = PAGE_KB) -> Counters:
    """Return the snapshot of the texts of three files in /proc.

    ``page_kb``: the kernel's page size. zoneinfo counts only for ``FreeOrCache``: the free pages on
    the per-CPU lists. Raises ValueError if meminfo or vmstat has no counter.
    """
    snapshot = Counters(
        {match["name"]: int(match["value"]) for match in _MEMINFO.finditer(meminfo)},
        {match["name"]: int(match["value"]) for match in _VMSTAT.finditer(vmstat)},
    )
    for name, table in (("meminfo", snapshot.meminfo), ("vmstat", snapshot.vmstat)):
        if not table:
            raise ValueError(f"/proc/{name}: no counter in it")
    free = sum(snapshot.meminfo.get(part, 0) for part in _FREE_PARTS)
    free += page_kb * sum(int(match["pages"]) for match in _ON_CPU_LIST.finditer(zoneinfo))
    derived = {FREE: free}
    events = snapshot.vmstat
    if "metadata_reserve_success" in events:
        reserved = events["metadata_reserve_success"] - events.get("metadata_reserve_free", 0)
        derived[RESERVED] = page_kb * reserved
    return Counters({**snapshot.meminfo, **derived}, snapshot.vmstat, page_kb)


def returned(before: Counters, after: Counters) -> tuple[CounterProblem, ...]:
    """Return the counters that break their rule; a counter that the kernel lacks breaks none."""
    problems = []
    for rule in RULES:
        old, new = (s.vmstat if rule.vmstat else s.meminfo for s in (before, after))
        if rule.name not in old and rule.name not in new:
            continue
        was, now = old.get(rule.name, 0), new.get(rule.name, 0)
        change = {
            Direction.SAME: abs(now - was),
            Direction.GROWTH: now - was,
            Direction.LOSS: was - now,
        }[rule.direction]
        allowed = rule.allowed(before.page_kb)
        if change > allowed:
            problems.append(CounterProblem(rule, was, now, allowed))
    return tuple(problems)
