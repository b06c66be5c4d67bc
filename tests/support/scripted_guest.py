# SPDX-License-Identifier: MIT
"""A `Guest` without QEMU whose answers to shell lines come from a table.

Its SSH connection and its QEMU are fakes; `Guest` itself is real, with its errors for a
lost guest. A test of what runs programs takes the guest of fake_session.py, which knows
programs instead of lines.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.core.errors import QemuDiedError
from harness.core.limits import Limits
from harness.core.progress import Silent
from harness.guest.guest import Guest
from harness.guest.ssh import Completed, SshConnection, SshError
from harness.vm.console import Console
from harness.vm.process import QemuProcess
from harness.vm.qemu import Qemu
from harness.vm.run_disk import RunKeys
from harness.vm.spec import find_machine
from harness.vm.virtual_machine import VirtualMachine
from tests.support.fake_session import fake_kernel, fake_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.core.deadline import Deadline
    from harness.guest.template import Template
    from harness.vm.dram import Dram

NOWHERE = Path("/nowhere")
QEMU = Qemu(NOWHERE / "qemu", (10, 0, 2), "QEMU 10.0.2", "fake")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a shell line does: its output and status, and meanwhile ``prints`` on the console.

    ``status`` None: it does not end in time. ``cut``: the SSH connection breaks, with this
    text. ``machine``: the machine's status from then on; "gone" ends QEMU.
    """

    stdout: str = ""
    stderr: str = ""
    status: int | None = 0
    prints: str = ""
    cut: str = ""
    machine: str = ""


class FakeProcess(QemuProcess):
    """A QEMU that has a status and a console, and runs nothing."""

    def __init__(self, dram: Dram | None = None) -> None:
        ours, self._theirs = socket.socketpair()
        self.command = ("qemu-system-aarch64", "-fake")
        self.console = Console(ours)
        self.dram = dram
        self.machine_status = "running"
        self.commands: list[str] = []
        self.lent: list[bytes] = []

    def lend(self, data: bytes) -> int:
        self.lent.append(data)
        return 65536 * len(self.lent)

    @property
    def pid(self) -> int:
        """This process: the one whose descriptors the fake QEMU has."""
        return os.getpid()

    def prints(self, text: str) -> None:
        """Print on the console, and return once the harness has read it."""
        if text:
            self._theirs.sendall(text.encode())
            while text.replace("\r\n", "\n") not in self.console.text():
                time.sleep(0.001)

    def running(self) -> bool:
        return self.machine_status != "gone"

    def output(self) -> str:
        return "output of the fake QEMU"

    def qmp(self, command: str, **arguments: object) -> object:
        self.commands.append(command)
        if not self.running():
            raise QemuDiedError("QEMU ended with signal 9", details=self.describe())
        if command == "query-status":
            return {"status": self.machine_status}
        if command != "human-monitor-command":
            return {}
        if arguments["command-line"] == "info usernet":
            return "TCP[HOST_FORWARD]  12 127.0.0.1 40022 10.0.2.15 22"
        return "CPU#0 PC=0"

    def close(self) -> None:
        self._theirs.close()
        self.console.close()


class FakeConnection(SshConnection):
    """Looks each line up in the guest's table: the first key that the line contains."""

    def __init__(self, guest: ScriptedGuest) -> None:
        self._guest = guest

    def exec(
        self,
        command: str,
        deadline: Deadline,
        stream: Callable[[str, bytes], None] | None = None,  # noqa: ARG002
        alive: Callable[[], bool] = lambda: True,  # noqa: ARG002
        stdin: bytes | None = b"",  # noqa: ARG002
    ) -> Completed:
        guest = self._guest
        guest.lines.append(command)
        answer = guest.answer(command)
        guest.process.prints(answer.prints)
        guest.process.machine_status = answer.machine or guest.process.machine_status
        if answer.cut:
            raise SshError(answer.cut)
        seconds = deadline.seconds if answer.status is None else 0.1
        return Completed(command, answer.status, answer.stdout, answer.stderr, seconds)

    def close(self) -> None:
        pass


class ScriptedGuest(Guest):
    """A guest that answers from ``answers``; ``lines`` is what it was sent.

    A key of the table is part of a shell line; its answers are given in order, the last one
    again and again. A line that no key is part of ends with status 0 and prints nothing.
    """

    process: FakeProcess

    def __init__(
        self,
        template: Template,
        answers: Mapping[str, Sequence[Answer]] | None = None,
        dram: Dram | None = None,
    ) -> None:
        self.template = template
        self.limits = self.template.limits
        self.process = FakeProcess(dram)
        self.clone_seconds = 0.1
        self.lines: list[str] = []
        self._answers = {key: list(value) for key, value in (answers or {}).items()}
        self._keys = RunKeys.generate()
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def answer(self, line: str) -> Answer:
        """Return the next answer to ``line``."""
        for key, answers in self._answers.items():
            if key in line:
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return Answer()

    def _connect_once(self) -> SshConnection:
        return FakeConnection(self)


def fake_machine(
    machine_name: str = "emulator",
    *,
    qemu: Qemu = QEMU,
    scratch: Path = NOWHERE,
    limits: Limits = Limits(panic=0.02),
) -> VirtualMachine:
    """Return a machine of that name whose ``qemu`` need not exist."""
    spec = find_machine(machine_name)
    return VirtualMachine(spec, qemu, None, None, scratch, Silent(), limits)


def template_on(machine: VirtualMachine, directory: Path, config: str = "") -> Template:
    """Return a template without files; its kernel has a .config of the lines ``config``."""
    template = fake_template(fake_kernel(directory, config=config), machine.spec)
    return dataclasses.replace(template, machine=machine)
