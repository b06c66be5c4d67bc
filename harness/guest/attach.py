# SPDX-License-Identifier: MIT
"""A running guest as other processes find it: by QEMU's process id, in a directory.

The directory holds what gives access to the guest: an OpenSSH key and known_hosts for a
person, and the same for this program. It is removed with the guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.deadline import Deadline
from harness.core.errors import GuestLostError, UsageError
from harness.core.limits import Limits
from harness.guest.ssh import Completed, SshConnection, SshError, loopback
from harness.vm.dram import Dram
from harness.vm.run_disk import RunKeys
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.template import Template
    from harness.vm.process import QemuProcess
    from harness.vm.spec import MachineSpec

FACTS = "guest.json"


@dataclass(frozen=True)
class Handle:
    """``pid`` is QEMU's; ``port`` is SSH's on 127.0.0.1."""

    pid: int
    directory: Path
    port: int

    def ssh_command(self) -> list[str]:
        """Return an OpenSSH command for a person."""
        return [
            "ssh", "-p", str(self.port), "-i", str(self.directory / "key"),
            "-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}",
            "-o", "LogLevel=ERROR", "root@127.0.0.1",
        ]  # fmt: skip


@contextlib.contextmanager
def open_handle(
    guests: Path, process: QemuProcess, template: Template, keys: RunKeys
) -> Iterator[Handle]:
    """Make the guest's directory below ``guests``, and remove it after the block."""
    guests.mkdir(parents=True, exist_ok=True)
    for stale in guests.iterdir():  # left by runs that were killed
        if not Path(f"/proc/{stale.name}").exists():
            shutil.rmtree(stale, ignore_errors=True)
    handle = Handle(process.pid, guests / str(process.pid), process.ssh_port())
    facts = {
        "port": handle.port,
        "secrets": keys.secrets(),
        "machine": template.spec.name,
        "kernel": template.kernel.name,
        "dram": [process.dram.fd, *process.dram.inode] if process.dram else None,
    }
    shutil.rmtree(handle.directory, ignore_errors=True)  # left by an earlier process with this id
    handle.directory.mkdir(mode=0o700)
    try:
        host = f"[127.0.0.1]:{handle.port} {keys.host_public_text()}\n"
        (handle.directory / "known_hosts").write_text(host)
        (handle.directory / "key").touch(mode=0o600)
        (handle.directory / "key").write_text(keys.user_private_text())
        (handle.directory / FACTS).write_text(json.dumps(facts))
        yield handle
    finally:
        shutil.rmtree(handle.directory, ignore_errors=True)


def _open_dram(pid: int, spec: MachineSpec, fd: int, device: int, inode: int) -> Dram:
    """Return the DRAM of QEMU ``pid``, where it is open as ``fd``.

    Raise UsageError if ``fd`` is another file there: process ids are used again.
    """
    gone = UsageError(f"guest {pid} is gone", "`mte-harness shell` starts one")
    try:
        ours = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR)
    except OSError:
        raise gone from None
    info = os.fstat(ours)
    if (info.st_dev, info.st_ino, info.st_size) != (device, inode, spec.memory):
        os.close(ours)
        raise gone
    return Dram(ours, spec.memory, spec.tags)


class Attached:
    """A guest that another process started: commands over SSH, and its ``dram``.

    Raise UsageError without such a guest, or where the host cannot see its tags, and
    GuestLostError when it does not answer.
    """

    def __init__(self, guests: Path, pid: int, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        try:
            facts = json.loads((guests / str(pid) / FACTS).read_text())
        except FileNotFoundError:
            known = sorted(path.name for path in guests.glob("*")) if guests.is_dir() else []
            raise UsageError(
                f"no guest {pid}",
                f"running: {', '.join(known) or 'none'}; `mte-harness shell` starts one",
            ) from None
        self.spec = find_machine(facts["machine"])
        self.kernel: str = facts["kernel"]
        if facts["dram"] is None:
            raise UsageError(
                f"on machine {self.spec.name} the host cannot see tags", "use --machine dram"
            )
        self.dram = _open_dram(pid, self.spec, *facts["dram"])
        try:
            self._connection = SshConnection(
                loopback(facts["port"], RunKeys.from_secrets(*facts["secrets"])),
                Deadline.after(self._limits.attach),
            )
        except SshError as error:
            self.dram.close()
            raise GuestLostError(f"guest {pid} does not answer: {error}") from error

    def exec(self, line: str) -> Completed:
        """Run a shell line in the guest. Raise GuestLostError when it does not answer."""
        try:
            return self._connection.exec(line, Deadline.after(self._limits.attach))
        except SshError as error:
            raise GuestLostError(f"the guest does not answer: {error}") from error

    def close(self) -> None:
        """Close the connection and the view of DRAM; the guest runs on."""
        self._connection.close()
        self.dram.close()
