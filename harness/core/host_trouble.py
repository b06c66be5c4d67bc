# SPDX-License-Identifier: MIT
"""Exceptions of Python that say what the host refuses, as errors with a cause and a cure.

Whatever raised them, they are no bug of the harness and no fault of the kernel under test.
"""

from __future__ import annotations

import errno

from harness.core.disk import disk_full, is_disk_full
from harness.core.errors import CompilerMissingError, HarnessError

KILLED_CURE = "if something on this host killed it (out of memory?), run again"
# errno(3) -> the cure. ENOENT and the like are left out: those may be a bug of the harness.
_CURES = {
    errno.EMFILE: "raise the limit of open files: ulimit -n 1024",
    errno.ENFILE: "raise fs.file-max, or end other programs",
    errno.ENOMEM: "free memory, or raise the limit of memory: ulimit -v unlimited",
    errno.EAGAIN: "raise the limit of processes and threads: ulimit -u unlimited",
    errno.EFBIG: "raise the limit of a file's size: ulimit -f unlimited",
    errno.ENOBUFS: "free memory",
    errno.EADDRNOTAVAIL: "free some ports: ss --tcp --all",
    errno.ENETUNREACH: "ip link set lo up",
    errno.EPIPE: "keep the reader of the output",
    errno.EIO: "look at the disk: dmesg",
    errno.EROFS: "mount it writable",
    errno.EACCES: "change its owner or mode",
    errno.EPERM: "change its owner or mode",
}
# What programs that run with LC_ALL=C print of what the host refuses (strerror(3) of the above, and
# gcc of memory: libiberty, xmalloc.c; gcc.cc, "terminated program") -> the cure.
_REPORTS = {
    "Too many open files": _CURES[errno.EMFILE],
    "Cannot allocate memory": _CURES[errno.ENOMEM],
    "Resource temporarily unavailable": _CURES[errno.EAGAIN],
    "File too large": _CURES[errno.EFBIG],
    "Read-only file system": _CURES[errno.EROFS],
    "Permission denied": _CURES[errno.EACCES],
    "out of memory": _CURES[errno.ENOMEM],
    "virtual memory exhausted": _CURES[errno.ENOMEM],
    "signal terminated program": KILLED_CURE,
}


def host_trouble(error: BaseException) -> HarnessError | None:
    """Return what the host refuses; None if ``error`` says nothing of the kind."""
    match error:
        case HarnessError():
            return error
        case OSError():
            return _of_the_system(error)
        case MemoryError():
            return HarnessError("this host refuses: memory", _CURES[errno.ENOMEM])
        # threading.Thread.start() has no error of its own (Modules/_threadmodule.c, ThreadError).
        case RuntimeError(args=("can't start new thread",)):
            return HarnessError("this host refuses: another thread", _CURES[errno.EAGAIN])
    return None


def _of_the_system(error: OSError) -> HarnessError | None:
    if is_disk_full(error):
        return disk_full(error.filename or "standard output")
    if isinstance(error, FileNotFoundError) and _of_a_program(error):
        return CompilerMissingError(
            f"there is no {error.filename} on this host, or not on PATH",
            "install its package, or correct PATH",
        )
    if error.errno not in _CURES:
        return None
    place = f": {error.filename}" if error.filename else ""
    return HarnessError(f"this host refuses: {error.strerror}{place}", _CURES[error.errno])


def _of_a_program(error: FileNotFoundError) -> bool:
    """Return whether ``error`` says that a program could not be started, which is not there."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    # The method of subprocess.Popen that reports what execve(2) said (Lib/subprocess.py).
    return trace is not None and trace.tb_frame.f_code.co_name == "_execute_child"


def reported_cure(output: str) -> str | None:
    """Return the cure for what the host refuses, if a program's output says so.

    The program ran with LC_ALL=C.
    """
    return next((cure for report, cure in _REPORTS.items() if report in output), None)
