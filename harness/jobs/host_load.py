# SPDX-License-Identifier: MIT
"""What a host may have to do beside a run: the loads under which wrong failures are counted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from harness.core.cross import COMPILER, LIBRARY, PAGE_SIZES, probe_flags
from harness.core.errors import HarnessError, UsageError
from harness.vm.dram import available_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_LEFT_MIB = 3072  # for the guests and the harness: a guest of 1 GiB a worker, and some room
# Compiles the guest's library for ever, as a kernel build does with other files.
_COMPILE = 'while :; do for file in "$0"/*.c; do "$@" -c "$file" -o /dev/null || exit; done; done'
# Takes memory and keeps it, so that a host with swap cannot move it there.
_HOLD = """\
import ctypes, mmap, sys, time
size = int(sys.argv[1]) << 20
memory = mmap.mmap(-1, size)
if ctypes.CDLL(None, use_errno=True).mlock(
    ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory))), ctypes.c_size_t(size)
):
    sys.exit("mlock: " + __import__("os").strerror(ctypes.get_errno()))
print("held", flush=True)
time.sleep(1 << 30)
"""
LOADS = {
    "idle": "nothing",
    "builds": "two compilers that never end",
    "half": "half of the host's CPUs (sched_setaffinity)",
    "memory": f"no more than {MEMORY_LEFT_MIB} MiB of memory",
}


@contextlib.contextmanager
def host_load(kind: str) -> Iterator[None]:
    """Hold one of LOADS. HarnessError at the end if the load did not last as long as the run."""
    if kind == "builds":
        words = ["sh", "-c", _COMPILE, str(LIBRARY), COMPILER, *probe_flags(PAGE_SIZES[0])]
        # A compiler that is killed leaves its temporary files behind.
        with tempfile.TemporaryDirectory(prefix="mte-harness-load-") as temporary:
            words = ["env", f"TMPDIR={temporary}", *words]
            with _beside(words), _beside(words):
                yield
    elif kind == "half":
        with _half_of_the_cpus():
            yield
    elif kind == "memory":
        spare = available_memory() // 2**20 - MEMORY_LEFT_MIB
        if spare < 0:
            raise UsageError(
                f"this host has less than {MEMORY_LEFT_MIB} MiB of memory left as it is",
                "choose another load",
            )
        with _beside([sys.executable, "-I", "-c", _HOLD, str(spare)], says="held"):
            yield
    else:
        yield


@contextlib.contextmanager
def _half_of_the_cpus() -> Iterator[None]:
    all_of_them = os.sched_getaffinity(0)
    if len(all_of_them) < 2:
        raise UsageError("this process has one CPU, which has no half", "choose another load")
    os.sched_setaffinity(0, sorted(all_of_them)[: len(all_of_them) // 2])
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


@contextlib.contextmanager
def _beside(words: list[str], says: str = "") -> Iterator[None]:
    """Run a command that never ends, and does so only after it has said a line."""
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *words],
        stdout=subprocess.PIPE if says else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    ) as child:
        try:
            ready = not says or (child.stdout and child.stdout.readline().strip() == says)
            if ready:
                yield
            if not ready or child.poll() is not None:
                raise HarnessError(
                    f"the load ended before the run did: {_end_of(child)}", "choose another load"
                )
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _end_of(child: subprocess.Popen[str]) -> str:
    printed = child.stderr.read().strip() if child.stderr else ""
    return printed.splitlines()[-1] if printed else f"exit status {child.wait()}"
