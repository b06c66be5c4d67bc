# SPDX-License-Identifier: MIT
"""What holds the memory that a program did not give back: slab caches, and processes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# A line of /proc/slabinfo, version 2.1 (mm/slab_common.c, cache_show()).
_CACHE = re.compile(
    r"^(?P<name>\S+) +(?P<objects>\d+) +\d+ +\d+ +\d+ +(?P<pages>\d+)"
    r" : tunables.* : slabdata +\d+ +(?P<slabs>\d+) ",
    re.MULTILINE,
)
# Lines of /proc/PID/status, as `grep -H` prints them. Kernel threads have no RssAnon.
_STATUS = re.compile(r"^/proc/(?P<pid>\d+)/status:(?P<key>\w+):\s+(?P<value>\S+)", re.MULTILINE)
MOST = 5


class Slab(NamedTuple):
    """A slab cache: objects in use, and the memory of its slabs in kB."""

    objects: int
    kb: int


def parse_slabs(text: str, page_kb: int) -> dict[str, Slab]:
    """Return the caches of a /proc/slabinfo by name; none where the kernel has no such file."""
    return {
        found["name"]: Slab(
            int(found["objects"]), int(found["slabs"]) * int(found["pages"]) * page_kb
        )
        for found in _CACHE.finditer(text)
    }


def grown_slabs(before: Mapping[str, Slab], after: Mapping[str, Slab]) -> tuple[str, ...]:
    """Return a line for each of the caches that grew most, at most MOST, the largest first."""
    none = Slab(0, 0)
    grown = {
        name: Slab(slab.objects - old.objects, slab.kb - old.kb)
        for name, slab in after.items()
        if slab.kb > (old := before.get(name, none)).kb
    }
    largest = sorted(grown.items(), key=lambda item: -item[1].kb)[:MOST]
    return tuple(f"slab {name}: {by.kb:+d} kB, {by.objects:+d} objects" for name, by in largest)


def processes(text: str) -> tuple[str, ...]:
    """Return a line for each process that has memory of its own, the largest first.

    ``text`` has the lines Name, Threads and RssAnon of all /proc/PID/status.
    """
    found: dict[int, dict[str, str]] = {}
    for line in _STATUS.finditer(text):
        found.setdefault(int(line["pid"]), {})[line["key"]] = line["value"]
    own = sorted(
        ((int(keys["RssAnon"]), pid, keys) for pid, keys in found.items() if "RssAnon" in keys),
        key=lambda process: -process[0],
    )
    return tuple(
        f"process {pid} {keys.get('Name', '?')}: {kb} kB of anonymous memory, "
        f"{keys.get('Threads', '?')} threads"
        for kb, pid, keys in own[: 2 * MOST]
    )
