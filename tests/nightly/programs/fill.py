# SPDX-License-Identifier: MIT
"""Fills nine tenths of the free memory with pages that differ, and looks at each again."""

import mmap
import re
import sys
from pathlib import Path

PAGE = 4096

(available,) = re.findall(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
pages = int(available) // 4 * 9 // 10
memory = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(pages):
    memory[page * PAGE : page * PAGE + 8] = page.to_bytes(8, "little")
wrong = [
    page
    for page in range(pages)
    if memory[page * PAGE : page * PAGE + 8] != page.to_bytes(8, "little")
]
print(f"{pages} pages, {len(wrong)} of them wrong")
sys.exit(bool(wrong))
