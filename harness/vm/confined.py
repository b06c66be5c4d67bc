# SPDX-License-Identifier: MIT
"""What QEMU may not do on this host, whatever a guest makes of it.

QEMU runs in its own seccomp sandbox (qemu(1), ``-sandbox``), without capabilities, and not as root
where the harness does. A system call that the sandbox denies ends QEMU, or fails.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.cross import HOST_COMPILER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SANDBOX = (
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
)  # fmt: skip
NO_SECCOMP = "seccomp is not"  # system/vl.c of QEMU 10.0: what a build without it says


NOBODY = 65534  # the user and the group to whom no file belongs (Debian's base-passwd)
# What root needs for that, which a container may withhold (include/uapi/linux/capability.h):
# CAP_CHOWN, CAP_SETGID, CAP_SETUID, CAP_SETPCAP; CAP_SYS_PTRACE to read /proc/PID/maps of QEMU.
_NEEDED = sum(1 << number for number in (0, 6, 7, 8, 19))


class Confined(contextlib.AbstractContextManager["Confined"]):
    """How QEMU runs on this host: as which user, and by which names it opens its files.

    Where the harness runs as root, QEMU runs as NOBODY. The directories above the cache may be
    closed to that user (/root), so QEMU inherits a descriptor of the cache, ``fd``, and opens what
    is below as /proc/self/fd/N/…. ``files`` are those that QEMU opens, its program and the
    directory of what it writes among them: if one is not for everybody (umask 077), or this root
    may not change users (a container without the capabilities or without that user), QEMU runs as
    root, and ``fd`` is None.
    """

    def __init__(self, cache: Path, files: Iterable[Path]) -> None:
        self._cache = cache
        self.fd: int | None = None
        if os.geteuid() == 0 and _may_change_user() and all(map(self._is_for_everybody, files)):
            self.fd = os.open(cache, os.O_PATH | os.O_DIRECTORY)

    def command(self, words: Iterable[str]) -> list[str]:
        """Return the command that runs ``words`` confined; it is killed with this process."""
        rights = ["--no-new-privs", "--inh-caps=-all"]
        if os.geteuid() == 0:  # what root may regain by exec(2); another user has nothing to drop
            rights.append("--bounding-set=-all")
        if self.fd is not None:
            rights += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return ["setpriv", "--pdeathsig", "KILL", *rights, "--", *map(self.name, words)]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return ``variables`` with the names that QEMU opens files by."""
        return {name: self.name(value) for name, value in variables.items()}

    def name(self, word: str) -> str:
        """Return ``word`` with the name that QEMU opens a file of the cache by."""
        if self.fd is None:
            return word
        return word.replace(f"{self._cache}/", f"/proc/self/fd/{self.fd}/")

    def descriptors(self) -> tuple[int, ...]:
        """Return what QEMU has to inherit, as ``Popen(pass_fds=)`` takes it."""
        return () if self.fd is None else (self.fd,)

    def give(self, path: Path) -> None:
        """Make an empty file that QEMU may write."""
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        if self.fd is not None:
            os.fchown(file, NOBODY, NOBODY)
        os.close(file)

    def take(self, path: Path) -> None:
        """Take a file back that QEMU has written: no QEMU may write it any more."""
        if self.fd is not None:
            os.chown(path, 0, 0)

    def close(self) -> None:
        """Close the descriptor here; QEMU has its own. A second call does nothing."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_for_everybody(self, path: Path) -> bool:
        """Return whether another user can read ``path``, and run it if it is a program.

        A link in the cache leads through directories above it.
        """
        whole = path.resolve()
        above = [*whole.parents]
        if whole == path and path.is_relative_to(self._cache):
            above = [directory for directory in above if directory.is_relative_to(self._cache)]
        wanted = stat.S_IROTH | (stat.S_IXOTH if os.access(path, os.X_OK) else 0)
        try:
            modes = [directory.stat().st_mode for directory in above]
            return path.stat().st_mode & wanted == wanted and all(m & stat.S_IXOTH for m in modes)
        except OSError:
            return False


@functools.cache
def _may_change_user(own: Path = Path("/proc/self")) -> bool:
    """Return whether the process with the files ``own`` of proc(5) may become NOBODY.

    See user_namespaces(7) and capabilities(7).
    """
    try:
        effective = re.search(r"^CapEff:\s*(\w+)", (own / "status").read_text(), re.MULTILINE)
        maps = [(own / name).read_text().splitlines() for name in ("uid_map", "gid_map")]
        groups = (own / "setgroups").read_text().strip()
    except OSError:
        return False
    known = all(any(_has_nobody(line) for line in lines) for lines in maps)
    held = int(effective[1], 16) if effective else 0
    return known and groups == "allow" and held & _NEEDED == _NEEDED


def _has_nobody(line: str) -> bool:
    first, _, count = map(int, line.split())
    return first <= NOBODY < first + count


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
