# SPDX-License-Identifier: MIT
"""A running guest as other processes find it: by QEMU's process id, in a directory.

The directory holds what it takes to get in: an OpenSSH key and known_hosts for a
person, and the same for this program. It goes with the guest.
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
from harness.guest.ssh import Completed, SshConnection, SshError
from harness.vm.dram import Ram
from harness.vm.dram_view import Dram
from harness.vm.run_disk import RunKeys
from harness.vm.spec import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.template import Template
    from harness.vm.process import QemuProcess

SECONDS = 60.0
FACTS = "guest.json"


@dataclass(frozen=True)
class Handle:
    """``pid`` is QEMU's; ``port`` is SSH's on 127.0.0.1."""

    pid: int
    directory: Path
    port: int

    def ssh_command(self) -> list[str]:
        """An OpenSSH command for a person."""
        return [
            "ssh", "-p", str(self.port), "-i", str(self.directory / "key"),
            "-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}",
            "-o", "LogLevel=ERROR", "root@127.0.0.1",
        ]  # fmt: skip


@contextlib.contextmanager
def open_handle(
    guests: Path, process: QemuProcess, template: Template, keys: RunKeys
) -> Iterator[Handle]:
    """Makes the guest's directory below ``guests``, and removes it."""
    guests.mkdir(parents=True, exist_ok=True)
    for stale in guests.iterdir():  # of runs that were killed
        if not Path(f"/proc/{stale.name}").exists():
            shutil.rmtree(stale, ignore_errors=True)
    handle = Handle(process.pid, guests / str(process.pid), process.ssh_port())
    facts = {
        "port": handle.port,
        "secrets": keys.secrets(),
        "machine": template.spec.name,
        "kernel": template.kernel.name,
        "ram": [process.ram.fd, *process.ram.inode] if process.ram else None,
    }
    shutil.rmtree(handle.directory, ignore_errors=True)  # of an earlier process of this number
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


def _open_ram(pid: int, size: int, fd: int, device: int, inode: int) -> Ram:
    """The DRAM of QEMU ``pid``, which inherited our descriptor under the same number."""
    gone = UsageError(f"guest {pid} is gone", "`mte-harness shell` starts one")
    try:
        ours = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR)
    except OSError:
        raise gone from None
    # Process numbers come again: this may be somebody else's file.
    info = os.fstat(ours)
    if (info.st_dev, info.st_ino, info.st_size) != (device, inode, size):
        os.close(ours)
        raise gone
    return Ram(ours, size)


class Attached:
    """A guest of another process: commands over SSH, and its DRAM."""

    def __init__(self, guests: Path, pid: int) -> None:
        try:
            facts = json.loads((guests / str(pid) / FACTS).read_text())
        except FileNotFoundError:
            known = sorted(path.name for path in guests.glob("*")) if guests.is_dir() else []
            raise UsageError(
                f"no guest {pid}",
                f"running: {', '.join(known) or 'none'}; `mte-harness shell` starts one",
            ) from None
        self.spec = machine(facts["machine"])
        self.kernel: str = facts["kernel"]
        if facts["ram"] is None:
            raise UsageError(
                f"on machine {self.spec.name} the host cannot see tags", "use --machine dram"
            )
        self._ram = _open_ram(pid, self.spec.memory, *facts["ram"])
        try:
            self._connection = SshConnection(
                facts["port"], RunKeys.from_secrets(*facts["secrets"]), Deadline.after(SECONDS)
            )
        except SshError as error:
            self._ram.close()
            raise GuestLostError(f"guest {pid} does not answer: {error}") from error
        self.dram = Dram(self._ram, self.spec.tags)

    def exec(self, line: str) -> Completed:
        """Runs a shell line in the guest. GuestLostError when it does not answer."""
        try:
            return self._connection.exec(line, Deadline.after(SECONDS))
        except SshError as error:
            raise GuestLostError(f"the guest does not answer: {error}") from error

    def close(self) -> None:
        """Leaves the guest as it is."""
        self._connection.close()
        self._ram.close()
