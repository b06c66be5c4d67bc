# SPDX-License-Identifier: MIT
"""A `Guest` without QEMU: answers to shell lines from a table, a console, a machine's status.

Everything of the harness above SSH and QMP is real: `Guest` with its errors for a lost
guest, and what runs programs in it (`harness.suite.gather`).
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
from harness.guest.root_image import GuestImage
from harness.guest.ssh import Completed, SshConnection, SshError
from harness.guest.template import Template
from harness.kernel import Kernel
from harness.vm.console import Console
from harness.vm.process import QemuProcess
from harness.vm.qemu import Qemu
from harness.vm.run_disk import RunKeys
from harness.vm.spec import find_machine
from harness.vm.virtual_machine import VirtualMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.core.deadline import Deadline
    from harness.vm.dram import Dram

COUNTERS = Path(__file__).parents[1] / "unit" / "golden" / "counters"
QEMU = Qemu(Path("/usr/bin/qemu-system-aarch64"), (10, 0, 2), "QEMU 10.0.2", "fake")


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
    overflow: bool = False


def proc(tainted: int = 0, **changed: int) -> Answer:
    """Return the counters of a stock guest at rest, in /proc's format; ``changed`` in kB."""
    meminfo = (COUNTERS / "meminfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[0] for line in meminfo]
    for name, value in changed.items():
        meminfo[names.index(name)] = f"{name}: {value} kB"
    parts = {
        "meminfo": "\n".join(meminfo),
        "vmstat": (COUNTERS / "vmstat").read_text(encoding="utf-8").strip(),
        "zoneinfo": "",
        "tainted": str(tainted),
    }
    return Answer("".join(f"=== mte-harness {name}\n{text}\n" for name, text in parts.items()))


# Answers that every guest gives unless a test's table has others.
USUAL = {"cat /proc/meminfo; echo": [proc()]}


class FakeProcess(QemuProcess):
    """A QEMU that has ``status`` and a console, and runs nothing."""

    def __init__(
        self, console: str = "", status: str = "running", dram: Dram | None = None
    ) -> None:
        ours, self._theirs = socket.socketpair()
        self.command = ("qemu-system-aarch64", "-fake")
        self.console = Console(ours)
        self.dram = dram
        self.machine_status = status
        self.commands: list[str] = []
        self.prints(console)

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

    def __init__(self, guest: FakeGuest) -> None:
        self._guest = guest

    def exec(
        self,
        command: str,
        deadline: Deadline,
        stdin: bytes = b"",
        stream: Callable[[str, bytes], None] | None = None,
        alive: Callable[[], bool] = lambda: True,  # noqa: ARG002
    ) -> Completed:
        guest = self._guest
        guest.lines.append(command)
        guest.inputs.append(stdin)
        answer = guest.answer(command)
        guest.process.prints(answer.prints)
        guest.process.machine_status = answer.machine or guest.process.machine_status
        if answer.cut:
            raise SshError(answer.cut)
        if stream and answer.stdout:
            stream("stdout", answer.stdout.encode())
        status = None if answer.overflow else answer.status
        seconds = deadline.seconds if answer.status is None else 0.1
        return Completed(command, status, answer.stdout, answer.stderr, seconds, answer.overflow)

    def close(self) -> None:
        pass


class FakeGuest(Guest):
    """A guest that answers from ``answers``; ``lines`` and ``inputs`` is what it was sent.

    A key of the table is part of a shell line; its answers are given in order, the last one
    again and again. A line that no key is part of ends with status 0 and prints nothing.
    """

    process: FakeProcess

    def __init__(
        self,
        answers: Mapping[str, Sequence[Answer]] | None = None,
        *,
        console: str = "",
        template: Template | None = None,
        dram: Dram | None = None,
    ) -> None:
        self.template = template or fake_template()
        self.limits = self.template.limits
        self.process = FakeProcess(console, dram=dram)
        self.clone_seconds = 0.1
        self.lines: list[str] = []
        self.inputs: list[bytes] = []
        self._answers = {key: list(value) for key, value in {**USUAL, **(answers or {})}.items()}
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

    def _connect(self) -> SshConnection:
        return FakeConnection(self)


def fake_machine(
    machine_name: str = "emulator",
    *,
    qemu: Qemu = QEMU,
    scratch: Path = Path("/nonexistent"),
    limits: Limits | None = None,
) -> VirtualMachine:
    """Return a machine of that name whose ``qemu`` need not exist."""
    limits = limits or dataclasses.replace(Limits(), panic=0.02)
    return VirtualMachine(find_machine(machine_name), qemu, None, None, scratch, Silent(), limits)


def fake_kernel(config: Path | None = None) -> Kernel:
    """Return a kernel without files, but for its .config."""
    nowhere = Path("/nonexistent")
    fields = {field.name: None for field in dataclasses.fields(Kernel)}
    texts = dict.fromkeys(("name", "key", "release", "description"), "fake")
    paths = {"directory": nowhere, "image": nowhere / "Image", "config": config}
    return Kernel(**{**fields, **texts, **paths})  # type: ignore[arg-type]


def fake_template(machine: VirtualMachine | None = None, kernel: Kernel | None = None) -> Template:
    """Return a template that cannot be cloned."""
    image = GuestImage("fake", Path("/nonexistent/root.ext4"))
    machine, kernel = machine or fake_machine(), kernel or fake_kernel()
    return Template("fake", Path("/nonexistent"), machine, kernel, image, "", 0.1)
