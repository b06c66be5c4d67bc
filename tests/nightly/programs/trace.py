# SPDX-License-Identifier: MIT
"""Tagged memory comes and goes: what the tracepoints tell, and what the counters say."""

import ctypes
import os
import re
from pathlib import Path

PAGE, PROT_MTE = 4096, 0x20
PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS = 1, 2, 2, 0x20
PAGES = 2000
TRACING = Path("/sys/kernel/tracing")
EVENTS = TRACING / "events/mte_tag_storage"
COUNTERS = ("metadata_reserve_success", "metadata_reserve_free")


def counters() -> dict[str, int]:
    """Return the counters of /proc/vmstat."""
    text = Path("/proc/vmstat").read_text()
    return {name: sum(map(int, re.findall(rf"^{name} (\d+)$", text, re.M))) for name in COUNTERS}


def pages(event: str, lines: list[str]) -> int:
    """How many pages the events of this name are about."""
    told = [line for line in lines if f" {event}: " in line and "error=-" not in line]
    return sum(int(count) for line in told for count in re.findall(r"pages=(\d+)", line))


def tagged_child() -> None:
    """Map memory, write to it and exit."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    protection, flags = PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS
    at = libc.mmap(None, ctypes.c_size_t(PAGES * PAGE), protection, flags, -1, ctypes.c_long(0))
    assert at != ctypes.c_void_p(-1).value
    for page in range(PAGES):
        ctypes.c_char.from_address(at + page * PAGE).value = b"x"
    os._exit(0)


(EVENTS / "enable").write_text("1")
(TRACING / "trace").write_text("")
before = counters()
if os.fork() == 0:
    tagged_child()
assert os.wait()[1] == 0
after = counters()
(EVENTS / "enable").write_text("0")
lines = (TRACING / "trace").read_text().splitlines()
print("reserved", pages("mte_tag_storage_reserve", lines))
print("freed", pages("mte_tag_storage_free", lines))
for name in COUNTERS:
    print(name, after[name] - before[name])
