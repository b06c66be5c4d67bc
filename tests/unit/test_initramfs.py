# SPDX-License-Identifier: MIT
"""The archive that loads modules."""

from __future__ import annotations

import subprocess

from harness.kernel.initramfs import build_initramfs


def test_the_archive_is_read_as_the_kernel_reads_it() -> None:
    archive = build_initramfs(b"#!init", [b"first", b"second!"])
    names = subprocess.run(
        ["python3", "-c", READER], input=archive, capture_output=True, check=True
    ).stdout.decode()
    assert names.splitlines() == [
        "dev 40755 0", "root 40755 0", "dev/console 20600 0", "init 100755 6",
        "0.ko 100755 5", "1.ko 100755 7", "TRAILER!!! 0 0",
    ]  # fmt: skip


# Reads the format as init/initramfs.c does: fixed fields, names and data padded to four bytes.
READER = """
import sys
data, at = sys.stdin.buffer.read(), 0
while at < len(data):
    head = data[at:at + 110]
    assert head[:6] == b"070701", head
    field = [int(head[i:i + 8], 16) for i in range(6, 110, 8)]
    mode, size, length = field[1], field[6], field[11]
    name = data[at + 110:at + 110 + length - 1].decode()
    assert data[at + 110 + length - 1] == 0
    print(name, f"{mode:o}", size)
    at = (at + 110 + length + 3) // 4 * 4
    at = (at + size + 3) // 4 * 4
"""
