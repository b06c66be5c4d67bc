# SPDX-License-Identifier: MIT
"""A session without QEMU: its guests play the programs of PROGRAMS, in microseconds.

Everything else is real: the plugin, the fixtures, Guest.push() and Guest.lost(), the
gathering, the verdict, the report. ``-p tests.support.fake_session`` makes a pytest run,
and its xdist workers, use this session.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.core.cross import PAGE_SIZES
from harness.core.errors import BaseGoneError, NetworkError
from harness.core.limits import Limits
from harness.core.progress import Silent
from harness.guest.attach import Handle
from harness.guest.guest import Guest
from harness.guest.ssh import Completed, SshError
from harness.guest.template import Template
from harness.kernel import BundledKernel, DebianKernel, Kernel, RecipeKernel
from harness.kernel.linux_image import HEADER, MAGIC
from harness.suite import plugin
from harness.suite.session import Session
from harness.vm.qemu import Qemu
from harness.vm.virtual_machine import VirtualMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.kernel import KernelSource
    from harness.vm.cpu_share import CpuTime
    from harness.vm.spec import MachineSpec

FIRST_PID = 4711
GOLDEN = Path(__file__).parents[1] / "unit" / "golden"
WARN = (
    "[    5.000000] ------------[ cut here ]------------\n"
    "[    5.000001] WARNING: CPU: 0 PID: 99 at mm/ksm.c:9 ksm_scan+0x10/0x20\n"
    "[    5.000002] ---[ end trace 0000000000000000 ]---\n"
)
PANIC = "[    6.000000] Kernel panic - not syncing: dead\n"
UNTESTED = "KTAP version 1\n1..2\nok 1 first\nnot ok 2 second # UNTESTED no frame\n"
PASSES = "KTAP version 1\n1..2\nok 1 first\nok 2 second\n"
FAILS = "KTAP version 1\n1..2\nok 1 first\n# saw 2\nnot ok 2 second\n"


@dataclass(frozen=True)
class Played:
    """What a program of a fake guest does.

    ``status`` None: it does not end (or, with ``overflow``, prints without end). ``console``
    is what the kernel prints meanwhile; ``taint`` the bits that it sets; ``kept`` the kB of
    SUnreclaim that it does not give back for the first ``looks`` snapshots afterwards.
    ``dies``: the guest is lost. ``gives_at``: the number of the guest, from 1, in which the second
    case gets what it needs; before, it is untested.
    """

    stdout: str = PASSES
    stderr: str = ""
    status: int | None = 0
    overflow: bool = False
    console: str = ""
    taint: int = 0
    kept: int = 0
    looks: int = 1000
    dies: bool = False
    gives_at: int = 1


PROGRAMS = {
    "passes": Played(),
    "fails": Played(FAILS, "a line of stderr\n", 1),
    "crashes": Played("KTAP version 1\n1..2\nok 1 first\n", "", 139),
    "warns": Played(console=WARN, taint=1 << 9),
    "taints": Played(taint=1 << 5),
    "leaks": Played(kept=9000),
    "frees_late": Played(kept=9000, looks=1),
    "panics": Played("KTAP version 1\n1..2\nok 1 first\n", console=PANIC, dies=True),
    "hangs": Played("KTAP version 1\n1..2\nok 1 first\n", status=None),
    "floods": Played("x" * 1000, status=None, overflow=True),
    "skips": Played("KTAP version 1\n1..2\nok 1 first\nok 2 second # SKIP no zram\n"),
    "silent": Played(""),
    "lucky": Played(gives_at=3),
    "luckless": Played(gives_at=1000),
}


class FakeConsole:
    """The kernel's text of one clone."""

    def __init__(self) -> None:
        self.printed = ""

    def text(self) -> str:
        return self.printed

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.printed.splitlines()[-lines:])

    def expect(self, patterns: object, timeout: float) -> None:
        """Return at once: all text is there."""


@dataclass
class FakeProcess:
    """QEMU's process, as a guest asks for it."""

    pid: int
    console: FakeConsole = field(default_factory=FakeConsole)
    state: str = "running"
    closed: int = 0
    dram: None = None
    lent: dict[int, bytes] = field(default_factory=dict)

    def running(self) -> bool:
        return not self.closed

    def lend(self, data: bytes) -> int:
        at = 65536 * (len(self.lent) + 1)
        self.lent[at] = data
        return at

    def cpu_times(self) -> dict[int, CpuTime]:
        return {}

    def status(self) -> str:
        return self.state

    def registers(self) -> str:
        return "PC=ffff800080345b30"

    def describe(self) -> str:
        return "QEMU command line:\nqemu-system-aarch64"

    def close(self) -> None:
        self.closed += 1


@dataclass(frozen=True)
class Call:
    """One round trip: its shell line, time limit in seconds (None: the default) and phase."""

    line: str
    timeout: float | None
    phase: str


class FakeGuest(Guest):
    """A clone that answers from PROGRAMS; ``calls`` are its round trips, ``files`` its /tmp."""

    def __init__(self, template: Template, pid: int = FIRST_PID) -> None:
        self.template = template
        self.limits = template.limits
        self.clone_seconds = 0.125
        self.used = False
        self.number = pid - FIRST_PID + 1
        self.fake = FakeProcess(pid)
        self.process = cast("Any", self.fake)
        self._connection = None
        self.calls: list[Call] = []
        self.files: dict[str, tuple[bytes, int]] = {}
        self.taint = 0
        self.kept: list[int] = []
        # A line that matches one of these loses the guest; each may have its own answer.
        self.lost_at = ""
        self.answers: list[tuple[str, Callable[[], Completed]]] = []
        self.played: Played | None = None

    def prints(self, text: str) -> None:
        """Let the kernel print ``text``."""
        self.fake.console.printed += text

    def exec(
        self,
        command: Any,
        *,
        timeout: float | None = None,
        phase: str = "",
        stream: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        self.used = True
        line = command if isinstance(command, str) else shlex.join(command)
        phase = phase or f"running: {line[:100]}"
        self.calls.append(Call(line, timeout, phase))
        if self.lost_at and re.search(self.lost_at, line):
            raise self._gone(phase)
        for pattern, answer in self.answers:
            if re.search(pattern, line):
                return answer()
        if "tail -n +1 /proc/meminfo" in line:
            *_, pushes = line.rpartition("; ")
            self._write(pushes)
            return Completed(line, 0, self.proc(), "", 0.01)
        if line.startswith("dd if=/run/disk "):
            self._write(line)
            return Completed(line, 0, "", "", 0.01)
        return self._play(line, phase, stream)

    def _gone(self, phase: str) -> Exception:
        self.fake.state = "shutdown"
        return self.lost(SshError("the SSH connection was cut"), phase)

    def _write(self, line: str) -> None:
        """Do what Guest.push_line() asks the shell for."""
        words = shlex.split(line)
        for at in (at for at, word in enumerate(words) if word == "if=/run/disk"):
            end = words.index("chmod", at)
            values = dict(word.split("=", 1) for word in words[at:end] if "=" in word)
            mode, where = words[end + 1 : end + 3]
            data = self.fake.lent[int(values["skip"])]
            assert where == values["of"]
            assert int(values["count"]) * int(values["bs"]) >= len(data)
            self.files[where] = (data, int(mode, 8))

    def proc(self) -> str:
        """Return the files that gather.py reads, with what programs did to the counters."""
        kept = self.kept.pop(0) if self.kept else 0
        meminfo = (GOLDEN / "counters" / "meminfo").read_text()
        value = 3000 + kept
        meminfo = re.sub(r"(SUnreclaim: +)\d+", rf"\g<1>{value}", meminfo)
        parts = {
            "meminfo": meminfo,
            "vmstat": (GOLDEN / "counters" / "vmstat").read_text(),
            "zoneinfo": "",
            "sys/kernel/tainted": f"{self.taint}\n",
        }
        return "\n".join(f"==> /proc/{name} <==\n{text}" for name, text in parts.items())

    def _play(
        self, line: str, phase: str, stream: Callable[[str, bytes], None] | None
    ) -> Completed:
        words = [Path(word).stem for word in shlex.split(line)]
        name = next((word for word in words if word in PROGRAMS), "")
        played = self.played or PROGRAMS.get(name, Played(f"{line}\n"))
        if self.number < played.gives_at:
            played = replace(played, stdout=UNTESTED, status=1)
        self.prints(played.console)
        if played.dies:
            raise self._gone(phase)
        self.taint |= played.taint
        self.kept = [played.kept] * played.looks
        if stream:
            stream("stdout", played.stdout.encode())
        return Completed(line, played.status, played.stdout, played.stderr, 1.5, played.overflow)

    @property
    def closed(self) -> bool:
        return bool(self.fake.closed)

    @contextlib.contextmanager
    def reachable(self, guests: Path) -> Iterator[Handle]:
        yield Handle(self.fake.pid, guests / str(self.fake.pid), 2222)


def fake_kernel(
    directory: Path,
    name: str = "stock",
    config: str = "CONFIG_ARM64_MTE=y",
    page_size: int = PAGE_SIZES[0],
) -> Kernel:
    """Return a kernel with a .config of the lines ``config``, and an Image that is a header."""
    image = directory / f"{name.replace('/', '-')}.Image"
    flags = PAGE_SIZES.index(page_size) + 1 << 1
    image.write_bytes(HEADER.pack(0, 0, 0, 0, flags, 0, 0, 0, MAGIC, 0))
    path = directory / f"{name.replace('/', '-')}.config"
    path.write_text(config + "\n")
    return Kernel(
        name=name,
        key=f"key-of-{name}",
        directory=directory,
        image=image,
        vmlinux=None,
        config=path,
        release="6.12.117",
        selftests=None,
        description=f"recipe {name}",
    )


def fake_template(kernel: Kernel, spec: MachineSpec, append: str = "") -> Template:
    """Return a template without files."""
    qemu = Qemu(Path("/nowhere/qemu"), (10, 0, 0), "QEMU emulator version 10.0.0", "identity")
    machine = VirtualMachine(spec, qemu, None, None, kernel.directory, Silent(), Limits())
    return Template(
        f"{kernel.name}-{spec.name}-{append}",
        kernel.directory,
        machine,
        kernel,
        cast("Any", None),
        append,
        1.25,
    )


# Recipes whose base every place says is gone; and one that no place has, where one did not answer.
GONE = ("mutants", "known-bad/stale-tags")
UNREACHABLE = "mutants-6.12"


class FakeSession(Session):
    """A session whose kernels are names, and whose guests are FakeGuests."""

    last: FakeSession

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._directory = self.cache / f"fake-{os.getpid()}"
        self._directory.mkdir(parents=True, exist_ok=True)
        self.guests: list[FakeGuest] = []
        self.__dict__["qemu"] = Qemu(
            Path("/nowhere/qemu"), (10, 0, 0), "QEMU emulator version 10.0.0", "identity"
        )
        FakeSession.last = self

    def kernel(self, source: KernelSource) -> Kernel:
        if isinstance(source, RecipeKernel):
            name = source.recipe.name + source.options.suffix
        elif isinstance(source, DebianKernel):
            name = source.name
        elif isinstance(source, BundledKernel):
            name = source.place.stem
        else:
            name = source.path.name
        if name in GONE:
            raise BaseGoneError("linux-source-7.3", "the cure", "a: gone: it has none", name)
        if name == UNREACHABLE:
            raise NetworkError("whether linux-source-6.12 is gone cannot be told: b: timed out")
        return fake_kernel(self._directory, name)

    def check(self, spec: MachineSpec) -> None:
        """Take the emulator for one that is right."""

    def template(self, kernel: Kernel, spec: MachineSpec, append: str = "") -> Template:
        return fake_template(kernel, spec, append)

    def guest(self, template: Template, gdb: Path | None = None) -> FakeGuest:  # noqa: ARG002
        guest = FakeGuest(template, FIRST_PID + len(self.guests))
        self.guests.append(guest)
        return guest


_BEFORE = pytest.StashKey[type[Session]]()
_NAME = "Session"  # in the plugin's module


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[_BEFORE] = getattr(plugin, _NAME)
    setattr(plugin, _NAME, FakeSession)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    setattr(plugin, _NAME, config.stash[_BEFORE])
