# SPDX-License-Identifier: MIT
"""A board, played by a guest: verdicts as in clones, and the board as it was afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.core import errors
from harness.suite.target import parse_target
from tests.support.command import COMMAND
from tests.support.played_board import ADDRESS, PlayedBoard, played_board

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.suite.session import Session

KERNEL = "debian:7.3"  # its modules are loaded in the guest, as a distribution's are on a board

# Everything that a visit must leave as it found it, but for what changes by itself.
STATE = (
    "cat /proc/swaps; ls -A /dev/shm /tmp /run /sys/block; mount; ls /sys/fs/cgroup; "
    "cat /sys/fs/cgroup/cgroup.subtree_control; head -c 65536 /dev/vdb | md5sum; "
    "grep -r . /proc/sys/vm /proc/sys/kernel /proc/sys/fs /proc/sys/abi /sys/kernel/mm/ksm "
    "/sys/kernel/mm/transparent_hugepage /sys/block/vdb/queue/rotational 2>/dev/null | grep -v "
    "'random/\\|_nr:\\|ns_last_pid\\|-state:\\|-nr:\\|tainted\\|pages_\\|full_scans\\|/stats/\\|"
    "general_profit\\|zero_pages\\|skipped\\|split_huge\\|nr_open\\|cad_pid\\|collapsed\\|vm_rss'; "
    # One shell collects the names, before it starts what sorts them.
    "names=$(for p in /proc/[0-9]*/comm; do read -r n < $p && echo $n; done 2>/dev/null); "
    'echo "$names" | grep -v kworker | sort'
)
UPSETS = """#!/bin/sh
set -e
echo 7 > /proc/sys/vm/swappiness
echo core.%p > /proc/sys/kernel/core_pattern
echo 12 > /proc/sys/vm/nr_hugepages
echo always > /sys/kernel/mm/transparent_hugepage/enabled
echo 100 > /sys/kernel/mm/ksm/sleep_millisecs
echo 1 > /sys/kernel/mm/ksm/run
echo 0 > /sys/block/vdb/queue/rotational
mkdir /sys/fs/cgroup/probe-77
dd if=/dev/zero of=$PROBE_SWAP_DISK bs=4k count=1 conv=fsync 2>/dev/null
mkswap $PROBE_SWAP_DISK > /dev/null
swapon $PROBE_SWAP_DISK
mkdir /tmp/mnt
mount -t tmpfs none /tmp/mnt
: > /dev/shm/left
setsid sleep 1000 > /dev/null 2>&1 &
echo upset
"""
SWAPS = """
#include "swap.h"

static void swaps(void)
{
	swap_add(SWAP_DISK, 64, 1);
}

PROBE(CASE(swaps));
"""


@pytest.fixture
def board(harness_session: Session, tmp_path: Path) -> Iterator[PlayedBoard]:
    with played_board(harness_session, parse_target(KERNEL, None), tmp_path / "home") as played:
        yield played


def state(board: PlayedBoard) -> list[str]:
    return board.guest.exec(STATE, timeout=120).stdout.splitlines()


def make_busy(board: PlayedBoard) -> None:
    """Give the board swap of its own, with priorities, and settings that no guest has."""
    lines = (
        "mkswap /dev/vdb && swapon -p 5 /dev/vdb; echo 64M > /sys/block/zram0/disksize; "
        "mkswap /dev/zram0 && swapon -p 10 /dev/zram0; echo 31 > /proc/sys/vm/swappiness; "
        "echo never > /sys/kernel/mm/transparent_hugepage/enabled; "
        "echo '|/bin/false %p' > /proc/sys/kernel/core_pattern; echo 2 > /proc/sys/vm/nr_hugepages"
    )
    assert board.guest.exec(lines).status == 0


def command(board: PlayedBoard, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words, f"--config={board.config}"],
        env=board.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )


def report_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return found


def test_smoke_probes_on_a_board(board: PlayedBoard, tmp_path: Path) -> None:
    make_busy(board)
    before = state(board)
    directory = tmp_path / "report"
    done = command(board, "validate", ADDRESS, "-k", "smoke", "--report", str(directory))
    assert done.returncode == errors.OK, done.stdout + done.stderr
    report = report_of(directory)
    ran = [test for test in report["tests"] if test["result"]["phases"]]
    assert len(ran) > 5
    assert all("not reset in between" in test["result"]["note"] for test in ran)
    assert report["kernels"][0]["board"]["pages of the board"] == "4 KiB"
    assert report["qemu"] == ""
    assert state(board) == before


def test_what_a_program_upsets_is_put_back(board: PlayedBoard, tmp_path: Path) -> None:
    make_busy(board)
    before = state(board)
    program = tmp_path / "upsets.sh"
    program.write_text(UPSETS)
    done = command(board, "run", ADDRESS, str(program), "--swap-device=/dev/vdb")
    assert "upset" in done.stdout, done.stderr
    assert done.returncode == errors.OK, done.stderr
    assert state(board) == before


# SIGSTOP is what a cut cable looks like: the connection is there, and silent.
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGSTOP"])
def test_a_harness_that_ends_or_is_silent(board: PlayedBoard, tmp_path: Path, name: str) -> None:
    make_busy(board)
    before = state(board)
    program = tmp_path / "upsets.sh"
    program.write_text(UPSETS + "exec sleep 1000\n")
    words = [COMMAND, "run", ADDRESS, str(program), f"--config={board.config}"]
    with subprocess.Popen(
        [*words, "--swap-device=/dev/vdb"],
        env=board.environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "upset\n"
        assert state(board) != before
        os.killpg(child.pid, signal.Signals[name])
        deadline = time.monotonic() + 180
        while state(board) != before and time.monotonic() < deadline:
            time.sleep(1)
        os.killpg(child.pid, signal.SIGKILL)  # it is there until it is waited for
    assert state(board) == before


def test_a_disk_with_data_is_refused(board: PlayedBoard, tmp_path: Path) -> None:
    program = tmp_path / "swaps.c"
    program.write_text(SWAPS)
    assert board.guest.exec("mke2fs -q /dev/vdb 8M 2>/dev/null || echo x > /dev/vdb").status == 0
    before = board.guest.exec("md5sum /dev/vdb").stdout
    # Without the option, the probe library has no disk, though /dev/vdb is a guest's.
    for words in ((), ("--swap-device=/dev/vdb",), ("--swap-device=/dev/nosuch",)):
        done = command(board, "run", ADDRESS, str(program), *words)
        refused = errors.BoardUnfitError.status if words else errors.PROGRAM_FAILED
        assert done.returncode == refused, done.stdout + done.stderr
    assert board.guest.exec("md5sum /dev/vdb").stdout == before


def test_two_runs_at_once(board: PlayedBoard, tmp_path: Path) -> None:
    program = tmp_path / "waits.sh"
    program.write_text("#!/bin/sh\necho here\nexec sleep 1000\n")
    words = [COMMAND, "run", ADDRESS, str(program), f"--config={board.config}"]
    with subprocess.Popen(
        words, env=board.environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        done = command(board, "run", ADDRESS, str(program))
        os.killpg(child.pid, signal.SIGKILL)
    assert done.returncode == errors.BoardBusyError.status
    assert "another run of mte-harness is there" in done.stderr
