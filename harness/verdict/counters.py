# SPDX-License-Identifier: MIT
"""The kernel's memory counters before and after a probe: what must have come back.

A snapshot is the text of ``/proc/meminfo`` (kB) and ``/proc/vmstat`` (pages and
events). Take both of a pair at rest: the second after ``echo 3 > /proc/sys/vm/drop_caches``,
both after a read of ``/proc/sys/vm/stat_refresh``, which folds
the per-CPU differences in (mm/vmstat.c, vmstat_refresh(); up to 125 pages a CPU
and counter lie in them otherwise). ``SETTLE`` is that as a shell line.

This is a coarse net, under every probe. What it lets through in one run (a few
hundred kB) the probes about leaks find by thousands of rounds.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Folds the per-CPU differences of the counters in. Enough in a fresh clone: dropping its
# caches would only make every program after that be read from the disk again.
REFRESH = "cat /proc/sys/vm/stat_refresh > /dev/null"
# Twice: the first pass frees inodes whose pages only the second can drop, and lets
# RCU free what the exited processes left (task stacks, page tables).
SETTLE = (
    "sync; echo 3 > /proc/sys/vm/drop_caches; sleep 0.2; echo 3 > /proc/sys/vm/drop_caches; "
    + REFRESH
)

# Free memory and what the kernel gives back when asked: caches are no leak, and neither
# are the free pages of the per-CPU lists, which MemFree leaves out: tens of MB after a
# large process has ended (mm/page_alloc.c, nr_pcp_high()).
FREE = "FreeOrCache"
_ON_CPU_LIST = re.compile(r"^ +count: +(?P<pages>\d+)$", re.MULTILINE)
PAGE_KB = 4
_FREE_PARTS = ("MemFree", "Buffers", "Cached", "SReclaimable")

# Tag storage that is reserved for tags (CONFIG_MEMORY_METADATA of kernel-configs/tag-storage).
RESERVED = "MetadataReserved"

_MEMINFO = re.compile(r"^(?P<name>[\w()]+):\s+(?P<value>\d+)(?: kB)?\s*$", re.MULTILINE)
_VMSTAT = re.compile(r"^(?P<name>\w+) (?P<value>\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Counters:
    """One snapshot: meminfo in kB (huge page counts in pages), vmstat in pages or events."""

    meminfo: Mapping[str, int]
    vmstat: Mapping[str, int]


class Direction(enum.Enum):
    """Which way a counter may not go."""

    SAME = "must not change"
    GROWTH = "must not grow"
    LOSS = "must not fall"


@dataclass(frozen=True)
class Rule:
    """One counter that a probe must give back, within ``slack`` of the counter's unit."""

    name: str
    direction: Direction
    slack: int
    why: str
    vmstat: bool = False


# What stays behind on an unmodified 6.12 comes from slab's partial lists and the SSH
# session. Over the whole suite the
# worst probe left SUnreclaim 348 kB, AnonPages 168, PageTables 104, KernelStack 32,
# VmallocUsed 512 and Percpu 72 kB; the slack leaves room for other
# configurations. No rule for HardwareCorrupted: only a program that asks for it poisons
# pages under an emulator (MADV_SOFT_OFFLINE), and they stay poisoned.
RULES = (
    Rule("MemTotal", Direction.SAME, 0, "pages were taken from the kernel or given to it"),
    Rule("SwapTotal", Direction.SAME, 0, "a swap area was left on, or one is gone"),
    Rule("HugePages_Total", Direction.SAME, 0, "huge pages were left reserved, or are gone"),
    Rule("HugePages_Free", Direction.SAME, 0, "huge pages are still in use"),
    Rule("CmaTotal", Direction.SAME, 0, "contiguous memory areas changed their size"),
    Rule("MetadataTotal", Direction.SAME, 0, "tag storage changed its size"),
    Rule(RESERVED, Direction.SAME, 0, "tag storage is still reserved, or was given back twice"),
    # While memory is full, pages of other processes may come to lie there, and stay.
    Rule("MetadataFree", Direction.LOSS, 512, "tag storage still holds data"),
    Rule("Zswapped", Direction.GROWTH, 0, "zswap still holds pages"),
    Rule(FREE, Direction.LOSS, 8192, "memory is gone, whatever holds it"),
    Rule("AnonPages", Direction.GROWTH, 1024, "anonymous pages outlived their processes"),
    Rule("Shmem", Direction.GROWTH, 256, "shared memory or files in a tmpfs were left"),
    Rule("Mlocked", Direction.GROWTH, 64, "pages are still locked"),
    Rule("PageTables", Direction.GROWTH, 512, "page tables outlived their processes"),
    Rule("KernelStack", Direction.GROWTH, 256, "tasks were left"),
    Rule("SUnreclaim", Direction.GROWTH, 2048, "kernel objects were left (kmalloc, tag copies)"),
    Rule("VmallocUsed", Direction.GROWTH, 1024, "vmalloc memory was left"),
    Rule("Percpu", Direction.GROWTH, 512, "per-CPU memory was left (control groups)"),
    Rule("nr_isolated_anon", Direction.SAME, 32, "pages are still isolated", vmstat=True),
    Rule("nr_isolated_file", Direction.SAME, 32, "pages are still isolated", vmstat=True),
    Rule("nr_zspages", Direction.GROWTH, 16, "zram or zswap still hold memory", vmstat=True),
)


@dataclass(frozen=True)
class CounterProblem:
    """A counter that did not come back."""

    rule: Rule
    before: int
    after: int

    def __str__(self) -> str:
        unit = " pages" if self.rule.vmstat or self.rule.name.startswith("HugePages") else " kB"
        return (
            f"{self.rule.name}: {self.before} before, {self.after}{unit} after: "
            f"{self.after - self.before:+d}, allowed {self.rule.slack}: {self.rule.why}"
        )


def parse(meminfo: str, vmstat: str, zoneinfo: str = "") -> Counters:
    """A snapshot from the files' text. ValueError where meminfo or vmstat holds no counter.

    Of ``/proc/zoneinfo`` only the per-CPU lists are read, into ``FreeOrCache``.
    """
    snapshot = Counters(
        {match["name"]: int(match["value"]) for match in _MEMINFO.finditer(meminfo)},
        {match["name"]: int(match["value"]) for match in _VMSTAT.finditer(vmstat)},
    )
    for name, table in (("meminfo", snapshot.meminfo), ("vmstat", snapshot.vmstat)):
        if not table:
            raise ValueError(f"/proc/{name}: no counter in it")
    free = sum(snapshot.meminfo.get(part, 0) for part in _FREE_PARTS)
    free += PAGE_KB * sum(int(match["pages"]) for match in _ON_CPU_LIST.finditer(zoneinfo))
    derived = {FREE: free}
    events = snapshot.vmstat
    if "metadata_reserve_success" in events:
        reserved = events["metadata_reserve_success"] - events.get("metadata_reserve_free", 0)
        derived[RESERVED] = PAGE_KB * reserved
    return Counters({**snapshot.meminfo, **derived}, snapshot.vmstat)


def returned(before: Counters, after: Counters) -> tuple[CounterProblem, ...]:
    """The counters that did not come back. One that this kernel has not got is no problem."""
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
        if change > rule.slack:
            problems.append(CounterProblem(rule, was, now))
    return tuple(problems)
