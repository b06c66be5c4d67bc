# SPDX-License-Identifier: MIT
"""A board under test: a machine over SSH that is up already, and is never cloned."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import AGENT_FLAGS, compile_program
from harness.core.deadline import Deadline
from harness.core.errors import (
    BoardKeyError,
    BoardLoginError,
    BoardLostError,
    BoardUnfitError,
    BoardUnreachableError,
    HarnessError,
)
from harness.core.keys import content_key
from harness.core.paths import resources
from harness.guest.board_facts import READ, READ_CONFIG, BoardFacts, parse_config, parse_facts
from harness.guest.board_login import BoardLogin
from harness.guest.ssh import SshConnection, SshError
from harness.kernel import Kernel
from harness.vm.spec import BOARD

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.limits import Limits
    from harness.core.progress import Progress
    from harness.core.store import Store
    from harness.kernel import BoardKernel

SOURCES = resources() / "guest" / "board"
BETWEEN_TRIES = 2.0  # seconds between two tries to reach a board that is on its way up


@dataclass(frozen=True)
class BoardOptions:
    """What the user allows on a board, and how it is reset.

    ``swap_device`` is the one block device that may be written, ``""`` for none. ``destructive``:
    probes that take pages or CPUs away from the running kernel. ``reboot`` is a shell line of
    this host that resets the board, ``""`` if there is none.
    """

    swap_device: str = ""
    destructive: bool = False
    reboot: str = ""

    def words(self) -> list[str]:
        """Return the options as words of a command line."""
        swap = [f"--swap-device={self.swap_device}"] if self.swap_device else []
        reboot = [f"--reboot={self.reboot}"] if self.reboot else []
        return [*swap, *(["--destructive"] if self.destructive else []), *reboot]


NOTHING_ALLOWED = BoardOptions()


@dataclass(frozen=True)
class RunningKernel(Kernel):
    """The kernel of a board. There is no Image of it here; ``page_bytes`` is what it says."""

    page_bytes: int = 0

    @functools.cached_property
    def page_size(self) -> int:
        """The size of a page in bytes."""
        return self.page_bytes


class Board:
    """A board that was reached: its facts, its kernel, and one connection that visits share.

    It stands where a `Template` does for guests. ``spec`` has what is known of the machine;
    ``programs`` counts the programs that ran since the board was reached or reset.
    """

    slowness = 1  # a board is faster than QEMU, for which the time limits are made
    boot_seconds = None  # somebody else booted it
    console = ""

    def __init__(
        self,
        address: BoardKernel,
        options: BoardOptions,
        limits: Limits,
        stores: tuple[Store, Store],
        progress: Progress,
    ) -> None:
        """Reach the board. ``stores`` are for compiled programs, and for .config files."""
        self.address = address
        self.options = options
        self.limits = limits
        self.programs = 0
        self.suspect = False
        self._progress = progress
        self._programs, self._configs = stores
        self._login = BoardLogin(address)
        self._connection: SshConnection | None = None
        self._gone = ""
        progress.step(f"looking at the board {address}")
        self.facts = self.read_facts()
        self.spec = dataclasses.replace(
            BOARD, cpus=len(self.facts.cpus), memory_mib=self.facts.memory_mib
        )
        self.kernel = self._kernel()

    @property
    def keeper(self) -> Path:
        """The program that guards the board, compiled."""
        return compile_program(self._programs, sorted(SOURCES.glob("*.c")), AGENT_FLAGS)

    def connection(self) -> SshConnection:
        """Return the connection, made anew if it is gone. Raise BoardUnreachableError and kin."""
        if self._gone:
            raise BoardLostError(f"not tried: {self._gone}", "reboot it, and run again")
        if self._connection is None or not self._connection.is_alive():
            deadline = Deadline.after(self.limits.ssh_connect)
            self._connection = SshConnection(self._login, deadline)
        return self._connection

    def give_up(self, why: str) -> None:
        """Let every later use of the board fail at once: each would wait for it in vain."""
        self._gone = why

    def _ask(self, line: str) -> str:
        """Return what a shell line prints on the board."""
        try:
            done = self.connection().exec(line, Deadline.after(self.limits.exec))
        except SshError as error:
            raise BoardUnreachableError(f"{self.address}: {error}", "try again") from error
        if done.status is None:
            raise BoardUnfitError(
                f"{self.address} does not answer within {self.limits.exec:.0f} s: {line[:60]}",
                "is it very busy?",
            )
        return done.stdout

    def read_facts(self) -> BoardFacts:
        """Return what the board says of itself now."""
        return parse_facts(self._ask(READ), self.address)

    def _kernel(self) -> Kernel:
        facts, address = self.facts, self.address
        shown = "" if address.config else self._ask(READ_CONFIG)
        config = parse_config(shown, facts, address)
        key = content_key("\n".join((facts.release, facts.version, config)))

        def make(directory: Path) -> None:
            (directory / "config").write_text(config, encoding="utf-8")

        directory = self._configs.obtain(key, make)
        return RunningKernel(
            name=address.name,
            key=key,
            directory=directory,
            image=directory / "no-image",
            vmlinux=None,
            config=directory / "config",
            release=facts.release,
            selftests=None,
            description=f"the kernel that runs on {address}: {facts.version}",
            page_bytes=facts.page_size,
        )

    def boot_id(self) -> str:
        """Return the id of the board's present boot. Raise BoardUnreachableError and its kin."""
        return self._ask("cat /proc/sys/kernel/random/boot_id").strip()

    def wait(self, seconds: float) -> bool:
        """Return whether the board answers within ``seconds``. Raise BoardKeyError and the like."""
        deadline = Deadline.after(seconds)
        while True:
            try:
                self.boot_id()
            except (BoardKeyError, BoardLoginError):
                raise
            except HarnessError:
                if deadline.passed():
                    return False
                time.sleep(BETWEEN_TRIES)
            else:
                return True

    def reset(self) -> None:
        """Reset the board with the user's command, and wait until another boot of it answers.

        Raise BoardLostError if it does not come back, or is another board then.
        """
        command = self.options.reboot
        self._progress.step(f"resetting the board {self.address}: {command}")
        before = self.facts
        self.drop()
        done = subprocess.run(
            command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        deadline = Deadline.after(self.limits.reboot)
        while not deadline.passed():
            if self.wait(deadline.left()) and self.boot_id() != before.boot_id:
                self._settle_after_reset(before)
                return
            self.drop()
            time.sleep(BETWEEN_TRIES)
        raise BoardLostError(
            f"{self.address} was not reset by --reboot {shlex.quote(command)}, which ended with "
            f"{done.returncode}",
            "run that command by hand, and look at the board's console",
            done.stdout + done.stderr,
        )

    def _settle_after_reset(self, before: BoardFacts) -> None:
        self.facts = self.read_facts()
        if (self.facts.release, self.facts.version) != (before.release, before.version):
            raise BoardLostError(
                f"{self.address} came back with another kernel: {self.facts.release} "
                f"{self.facts.version}, after {before.release} {before.version}",
                "let it boot the kernel under test",
            )
        self.programs = 0
        self.suspect = False

    def drop(self) -> None:
        """Close the connection; the next use makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._login.close()
