# SPDX-License-Identifier: MIT
"""What QEMU may not do on this host, whatever a guest makes of it.

QEMU runs in its own seccomp sandbox (qemu(1), ``-sandbox``) and without capabilities, also where
the harness runs as root. A system call that the sandbox denies ends QEMU, or fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

from harness.core.cross import HOST_COMPILER

SANDBOX = (
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
)  # fmt: skip
NO_SECCOMP = "seccomp is not"  # system/vl.c of QEMU 10.0: what a build without it says


def confined(command: list[str]) -> list[str]:
    """Return ``command`` without capabilities (setpriv(1)); it is killed with this process."""
    rights = ["--no-new-privs", "--inh-caps=-all"]
    if os.geteuid() == 0:  # what root may regain by exec(2); another user has nothing to drop
        rights.append("--bounding-set=-all")
    return ["setpriv", "--pdeathsig", "KILL", *rights, "--", *command]


def killed_by_sandbox(pid: int, status: int) -> str:
    """Return what the sandbox killed process ``pid`` for; "" if that is not how it ended.

    ``status`` is that of subprocess.Popen. The kernel's log has the number of the system call
    (kernel/auditsc.c, audit_seccomp()), where this user may read it.
    """
    if status != -signal.SIGSYS:
        return ""
    log = _output(["dmesg"])
    # The thread that called may be another than the first: ids are given out in order.
    found = re.findall(r"type=1326 .*\bpid=(\d+) .*\bsyscall=(\d+)", log)
    numbers = [int(number) for thread, number in found if int(thread) >= pid]
    if not numbers:
        return "its sandbox killed it for a system call that this host's kernel log does not name"
    return f"its sandbox killed it for the system call {_name(numbers[-1])}"


def _name(number: int) -> str:
    """Return the name of a system call of this host, as its C library's headers have it."""
    macros = _output([HOST_COMPILER, "-E", "-dM", "-include", "sys/syscall.h", "-xc", os.devnull])
    found = re.search(rf"^#define __NR_(\w+) {number}$", macros, re.MULTILINE)
    return found[1] if found else f"number {number}"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
