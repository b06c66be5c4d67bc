# SPDX-License-Identifier: MIT
"""A guest that a person debugs with gdb(1), over the stub of QEMU."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.guest import Guest
    from harness.guest.template import Template

PATH_LIMIT = 107  # bytes of a socket's path (unix(7))
ASK_SECONDS = 0.2


@contextlib.contextmanager
def gdb_socket() -> Iterator[Path]:
    """Yield a path for the socket of the stub, in a directory that only this user enters.

    The directory is removed after the block. Raise UsageError if its path is too long for a socket.
    """
    with tempfile.TemporaryDirectory(prefix="mte-harness-gdb-") as directory:
        path = Path(directory) / "gdb"
        if len(os.fsencode(path)) > PATH_LIMIT:
            raise UsageError(f"{path} is too long for a socket", "set TMPDIR to a shorter path")
        yield path


def describe(template: Template, socket: Path) -> str:
    """Return the line that attaches gdb to a clone of ``template``, and what it does not show."""
    kernel = template.kernel
    words = ["gdb-multiarch", *([str(kernel.vmlinux)] if kernel.vmlinux else [])]
    lines = [shlex.join([*words, "-ex", f"target remote {socket}"])]
    if kernel.vmlinux is None:
        lines.append(f"kernel {kernel.name} came without a vmlinux: gdb knows no symbols of it")
    elif kernel.built_with("CONFIG_RANDOMIZE_BASE") is not False and "nokaslr" not in (
        template.append.split()
    ):
        lines.append(
            f"kernel {kernel.name} may be at other addresses than its vmlinux: --append nokaslr"
        )
    return "\n".join(lines)


def wait_attached(guest: Guest) -> None:
    """Wait until a debugger is attached, however long. Raise QemuDiedError if QEMU ends."""
    while not _attached(guest):
        time.sleep(ASK_SECONDS)


def _attached(guest: Guest) -> bool:
    """Return whether the stub's socket has a peer: then QEMU's name of it has no such prefix."""
    devices = cast("list[dict[str, str]]", guest.process.qmp("query-chardev"))
    (name,) = (device["filename"] for device in devices if device["label"] == "gdb")
    return not name.startswith("disconnected:")
