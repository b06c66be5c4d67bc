# SPDX-License-Identifier: MIT
"""What grew: slab caches and processes, from texts that debian:7.3 printed."""

from __future__ import annotations

from harness.verdict.grown import MOST, Slab, grown_slabs, parse_slabs, processes

SLABINFO = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables \
<limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
ext4_groupinfo_1k     60     60    136   30    1 : tunables    0    0    0 : \
slabdata      2      2      0
ext4_inode_cache      60     60   1048   15    4 : tunables    0    0    0 : \
slabdata      4      4      0
ext4_fc_dentry_update      0      0    104   39    1 : tunables    0    0    0 : \
slabdata      0      0      0
"""
STATUS = """\
/proc/1/status:Name:	mte-agent
/proc/1/status:RssAnon:	     120 kB
/proc/1/status:Threads:	1
/proc/120/status:Name:	sh
/proc/120/status:RssAnon:	     124 kB
/proc/120/status:Threads:	3
/proc/8/status:Name:	kworker/R-netns
/proc/8/status:Threads:	1
"""


def test_slabs_of_a_kernel() -> None:
    assert parse_slabs(SLABINFO, 4) == {
        "ext4_groupinfo_1k": Slab(60, 8),
        "ext4_inode_cache": Slab(60, 64),
        "ext4_fc_dentry_update": Slab(0, 0),
    }
    assert parse_slabs(SLABINFO, 16)["ext4_inode_cache"].kb == 256
    assert parse_slabs("", 4) == {}


def test_the_caches_that_grew_most_come_first() -> None:
    before = {"same": Slab(5, 64), "less": Slab(9, 64), "more": Slab(10, 64)}
    new = {f"new-{n}": Slab(1, 4) for n in range(MOST)}
    after = {"same": Slab(7, 64), "less": Slab(1, 4), "more": Slab(1010, 1216), **new}
    lines = grown_slabs(before, after)
    assert len(lines) == MOST
    assert lines[:2] == ("slab more: +1152 kB, +1000 objects", "slab new-0: +4 kB, +1 objects")
    assert grown_slabs(after, after) == ()


def test_processes_without_kernel_threads() -> None:
    assert processes(STATUS) == (
        "process 120 sh: 124 kB of anonymous memory, 3 threads",
        "process 1 mte-agent: 120 kB of anonymous memory, 1 threads",
    )
