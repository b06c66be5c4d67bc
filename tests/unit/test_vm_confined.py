# SPDX-License-Identifier: MIT
"""What QEMU runs without, and how its sandbox's verdict is told."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.vm.confined import confined, killed_by_sandbox

if TYPE_CHECKING:
    from pathlib import Path

# The number of execve on this host: arch/x86/entry/syscalls/syscall_64.tbl, and
# include/uapi/asm-generic/unistd.h of Linux.
EXECVE = {"x86_64": 59, "aarch64": 221}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the text that dmesg prints."""
    text = tmp_path / "log"
    text.touch()
    dmesg = tmp_path / "dmesg"
    dmesg.write_text(f"#!/bin/sh\ncat {text}\n")
    dmesg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return text


def audit(pid: int, number: int) -> str:
    return f'[9.1] audit: type=1326 audit(1.1:2): auid=1 uid=0 pid={pid} comm="q" sig=31 arch=c000003e syscall={number} compat=0\n'  # noqa: E501


def test_what_the_sandbox_killed_qemu_for(log: Path) -> None:
    number = EXECVE[platform.machine()]
    log.write_text(audit(90, 1) + "[9.2] other\n" + audit(102, number))
    assert killed_by_sandbox(100, -signal.SIGSYS).endswith("for the system call execve")


def test_a_number_without_a_name(log: Path) -> None:
    log.write_text(audit(100, 99999))
    assert killed_by_sandbox(100, -signal.SIGSYS).endswith("number 99999")


def test_a_log_that_does_not_say(log: Path) -> None:
    log.write_text(audit(90, 59))
    assert "does not name" in killed_by_sandbox(100, -signal.SIGSYS)


@pytest.mark.parametrize("status", [0, 1, 31, -signal.SIGKILL])
def test_another_end(log: Path, status: int) -> None:
    log.write_text(audit(100, 59))
    assert killed_by_sandbox(100, status) == ""


def test_rights() -> None:
    lines = subprocess.run(
        confined(["cat", "/proc/self/status"]), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    fields = dict(line.split(":\t", 1) for line in lines)
    assert int(fields["CapEff"], 16) == 0
    assert int(fields["CapPrm"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert int(fields["CapBnd"], 16) == 0
