# SPDX-License-Identifier: MIT
"""The run disk has the layout that guest/agent.c reads, and is new for each clone."""

from __future__ import annotations

import re
import struct
import time

from harness.core.paths import resources
from harness.vm.run_disk import SIZE, RunKeys

# magic, run, realtime_ns, seed, authorized_length, host_key_length
LAYOUT = struct.Struct("<8s16sQ64sII")


def test_layout() -> None:
    keys = RunKeys.generate()
    disk = keys.disk()
    assert len(disk) == SIZE
    magic, _, nanoseconds, _, authorized_length, host_key_length = LAYOUT.unpack_from(disk)
    assert magic == b"MTERUN1\0"
    assert abs(nanoseconds / 1e9 - time.time()) < 60
    authorized = disk[LAYOUT.size :][:authorized_length]
    assert authorized.startswith(b"ssh-ed25519 AAAA")
    assert authorized.endswith(b" mte-harness\n")
    host_key = disk[LAYOUT.size + authorized_length :][:host_key_length]
    (length,) = struct.unpack_from(">I", host_key)
    assert host_key[4 : 4 + length] == b"ssh-ed25519"
    assert host_key[4 + length :][:4] == struct.pack(">I", 64)
    secret = bytes.fromhex(keys.secrets()[1])
    assert host_key[8 + length :][:32] == secret
    assert not any(disk[LAYOUT.size + authorized_length + host_key_length :])


def test_size_is_the_agents() -> None:
    source = (resources() / "guest" / "agent.c").read_text(encoding="utf-8")
    match = re.search(r"RUN_DISK_SIZE = (\d+) \* 1024", source)
    assert match is not None
    assert int(match[1]) * 1024 == SIZE


def test_each_disk_is_another_run_with_another_seed() -> None:
    keys = RunKeys.generate()
    one, two = (LAYOUT.unpack_from(keys.disk()) for _ in range(2))
    assert one[1] != two[1], "run"
    assert one[3] != two[3], "seed"


def test_keys_of_another_process() -> None:
    keys = RunKeys.generate()
    same = RunKeys.from_secrets(*keys.secrets())
    assert same.host_public_text() == keys.host_public_text()
    assert same.user_key() == keys.user_key()
    assert RunKeys.generate().host_public_text() != keys.host_public_text()
