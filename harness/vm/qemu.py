# SPDX-License-Identifier: MIT
"""The QEMU binary: where it is and which version."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import QemuMissingError, QemuTooOldError
from harness.core.limits import Limits

BINARY = "qemu-system-aarch64"
# The command line needs -action (6.0) and, for a private mapping of a read-only file,
# readonly=on,rom=off (8.2). Whether the tags are right is decided by the emulator check
# (emulator_check.py), not by a version.
MINIMUM = (8, 2)
CURE = "run scripts/validate, which installs it (on Debian 12, from bookworm-backports)"


@dataclass(frozen=True)
class Qemu:
    """A QEMU on this host. ``version`` is (major, minor, micro)."""

    path: Path
    version: tuple[int, int, int]
    banner: str
    identity: str  # changes when the file does

    def __str__(self) -> str:
        """Return the version line, ``QEMU 10.0.2 (Debian …)``."""
        return self.banner


@functools.cache
def find_qemu(path: str | None = None, seconds: float = Limits().host_tool) -> Qemu:
    """Return the QEMU at ``path``, or the one on PATH.

    Raise QemuMissingError, or QemuTooOldError when the version line cannot be read.
    """
    found = shutil.which(path or BINARY)
    if found is None:
        raise QemuMissingError(f"no {path or BINARY} on this host", CURE)
    try:
        result = subprocess.run(
            [found, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise QemuMissingError(f"{found} does not run: {error}", CURE) from error
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)(.*)", result.stdout)
    if match is None:
        raise QemuTooOldError(f"{found} does not print a version QEMU has", CURE)
    major, minor, micro, rest = match.groups()
    info = Path(found).resolve().stat()
    return Qemu(
        path=Path(os.path.abspath(found)),  # noqa: PTH100 - a wrapper script must keep its name
        version=(int(major), int(minor), int(micro)),
        banner=f"QEMU {major}.{minor}.{micro}{rest.rstrip()}",
        identity=f"{found}:{info.st_size}:{info.st_mtime_ns}",
    )


def require_version(qemu: Qemu) -> None:
    """Raise QemuTooOldError when this QEMU lacks options that the command line needs."""
    if qemu.version[:2] < MINIMUM:
        wanted = ".".join(map(str, MINIMUM))
        raise QemuTooOldError(
            f"{qemu.path} is {qemu.banner}; {wanted} or newer is needed "
            "(7.2, Debian 12's own, also keeps one tag for each page instead of each granule)",
            CURE,
        )
