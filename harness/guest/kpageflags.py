# SPDX-License-Identifier: MIT
"""Bits of a /proc/kpageflags entry.

They are stable, unlike those of page->flags (include/uapi/linux/kernel-page-flags.h,
include/linux/kernel-page-flags.h).
"""

from __future__ import annotations

COMPOUND_TAIL = 16
RESERVED = 32
MTE_TAGGED = 41  # PG_arch_2, which arm64 calls PG_mte_tagged (arch/arm64/include/asm/mte.h)
MTE_LOCK = 42  # PG_arch_3
HOLDS_STORAGE = 43  # PG_arch_4 of kernel-configs/tag-storage: the page holds its tag storage

NAMES = {
    0: "locked", 2: "referenced", 3: "uptodate", 4: "dirty", 5: "lru", 6: "active", 7: "slab",
    8: "writeback", 10: "buddy", 11: "mmap", 12: "anon", 13: "swapcache", 14: "swapbacked",
    15: "compound head", COMPOUND_TAIL: "compound tail", 21: "ksm", 22: "thp", 24: "zero page",
    RESERVED: "reserved", MTE_TAGGED: "mte_tagged", MTE_LOCK: "mte_lock",
}  # fmt: skip
