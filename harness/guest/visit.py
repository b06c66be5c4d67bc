# SPDX-License-Identifier: MIT
"""A visit to a board, in place of a clone: what runs in it is ended with it, and put back."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.deadline import Deadline
from harness.core.errors import (
    BoardLeftError,
    BoardLostError,
    BoardUnfitError,
    GuestLostError,
    HarnessError,
)
from harness.guest.keeper import DIRECTORY, KEEPER, Keeper
from harness.guest.ssh import SshError
from harness.guest.system import WORKDIR, System

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.guest.board import Board
    from harness.guest.ssh import Completed
    from harness.vm.cpu_share import CpuTime

# Seconds for a board to answer again after its connection broke; longer than the keeper waits for
# a sign of life, so that a visit that comes after this one finds the board put back.
BACK = 90.0
START = 300.0  # seconds for the keeper to come over a slow line, and to turn swap off
RESTORE = 120.0  # seconds for the keeper to put a board back
# What a kernel prints as it goes down.
_FALLS = ("Kernel panic", "Internal error:", "Rebooting in", "Unable to handle kernel")


class _Log:
    """The kernel's log of a visit; after the connection broke, what had come of it."""

    def __init__(self, keeper: Keeper, visit: Visit) -> None:
        self._keeper = keeper
        self._visit = visit
        self.broken = False

    def text(self) -> str:
        """Return the log up to now."""
        if not self.broken and not self._visit.closed:
            try:
                return self._keeper.synced_log(Deadline.after(self._visit.limits.counters))
            except SshError:
                self.broken = True
        return self._keeper.log()


class Visit(System):
    """Programs on a board, from the keeper's start to its end.

    The machine is not reset in between: what a program did to the kernel is there for the next.
    """

    def __init__(self, board: Board) -> None:
        started = time.monotonic()
        if board.suspect and board.options.reboot:
            board.reset()
        board.drop()  # a connection of its own: what broke the last one is not of this visit
        self.template = board
        self.limits = board.limits
        self.used = False
        self.closed = False
        self._board = board
        self._boot = board.facts.boot_id
        self._keeper = Keeper(
            board.connection(), board.keeper, board.options.swap_device, board.address
        )
        self._log = _Log(self._keeper, self)
        try:
            self._keeper.start(Deadline.after(START))
        except SshError as error:
            raise self.lost(error, "starting the keeper") from error
        zram = self._keeper.said("zram")
        self._zram = f"zram{zram[0]}" if zram else ""
        pages = "/proc/sys/vm/nr_hugepages"
        self.tidy = (
            "swapoff -a 2>/dev/null; rm -rf /tmp/* /dev/shm/* /tmp/.[!.]*; "
            f"[ ! -w {pages} ] || echo 0 > {pages}; "
        )
        if self._zram:
            self.tidy += f"echo 1 > /sys/block/{self._zram}/reset 2>/dev/null; "
        board.programs += 1
        self.note = (
            f"not reset in between: {board.address} is no clone, and this was program "
            f"{board.programs} on it since it was {'reset' if board.options.reboot else 'reached'}"
        )
        self.clone_seconds = time.monotonic() - started

    @property
    def console(self) -> _Log:
        """The kernel's log since the visit began, of all levels."""
        return self._log

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        phase: str = "",
        stream: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        """Run a shell line, or a list of words, as root in the visit's ``/tmp``: see System.

        What the line leaves running is ended with it.
        """
        self.used = True
        line = command if isinstance(command, str) else shlex.join(command)
        deadline = Deadline.after(self.limits.exec if timeout is None else timeout)
        inner = f"{self._environment()}cd {WORKDIR}; {line}\nexit $?"
        words, phase = [KEEPER, "run", DIRECTORY, inner], phase or f"running: {line[:100]}"
        try:
            done = self._board.connection().exec(
                shlex.join(words), deadline, stream, self._keeper.is_alive, stdin=None
            )
            if done.status is None:
                self._require_answer()
        except SshError as error:
            raise self.lost(error, phase) from error
        return done

    def _require_answer(self) -> None:
        """Raise SshError unless the board answers: a silent network looks like a hang."""
        done = self._board.connection().exec("true", Deadline.after(self.limits.ssh_connect))
        if done.status != 0:
            raise SshError(f"`true` ended with {done.status} after {done.seconds:.0f} s")

    def _environment(self) -> str:
        """Return what tells probes their devices (guest/lib/swap.c); "" is none, not a guest's."""
        devices = {
            "PROBE_SWAP_DISK": self._board.options.swap_device,
            "PROBE_ZRAM": f"/dev/{self._zram}" if self._zram else "",
        }
        return "".join(f"export {name}={shlex.quote(path)}; " for name, path in devices.items())

    def push_line(self, data: bytes | Path, remote: str, *, mode: int = 0o755) -> str:
        """Return the shell line that puts a file in place, which is on the board already.

        It stays in the visit's own directory, so that the leak check does not see it come or go.
        """
        content = data.read_bytes() if isinstance(data, Path) else data
        name = shlex.quote(Path(remote).name)
        kept = f"{DIRECTORY}/run/files/{name}"
        line = f"cat > {kept} && chmod {mode:o} {kept}"
        try:
            done = self._board.connection().exec(
                line, Deadline.after(self.limits.counters), stdin=content
            )
        except SshError as error:
            raise self.lost(error, f"pushing {remote}") from error
        if done.status != 0:
            raise BoardUnfitError(
                f"{self._board.address} does not take {remote}: {done.stderr.strip()}",
                f"make room in {DIRECTORY.rpartition('/')[0]}",
            )
        return f"ln -sf /run/files/{name} {shlex.quote(remote)}"

    def cpu_times(self) -> Mapping[int, CpuTime]:
        """Return nothing: no thread of this host runs the board."""
        return {}

    def suspect(self) -> None:
        """Let the board be reset before the next visit, if the user said how."""
        self._board.suspect = True

    def lost(self, why: SshError, phase: str) -> HarnessError:
        """Return the error for a connection that broke. The board is waited for, to tell why.

        Only a kernel that says so, or a board that booted again by itself, is the kernel's fault.
        """
        self._log.broken = True
        self._board.suspect = True
        log = self._keeper.log()
        details = f"the kernel's log, last 60 lines:\n{_tail(log)}"
        where = f"{self._board.address} lost in phase: {phase}"
        self._board.drop()
        back = self._board.wait(BACK)
        if back and self._board.boot_id() != self._boot:
            self._board.facts = self._board.read_facts()
            self.closed = True
            return GuestLostError(f"{where}: it booted again by itself; {why}", details=details)
        if any(word in log for word in _FALLS):
            self._reset_if_possible(back=back)
            return GuestLostError(f"{where}: its kernel went down; {why}", details=details)
        if back:
            return BoardLostError(
                f"{where}: the connection broke, the board runs on: {why}",
                "run again; look at the network between here and the board",
                details,
            )
        if not self._board.options.reboot:
            self._board.give_up(f"{where}: {why}")
        self._reset_if_possible(back=False)
        return BoardLostError(
            f"{where}: it does not answer for {BACK:.0f} s, and whether its kernel or the network "
            f"is at fault cannot be told from here: {why}",
            "look at its console; --reboot CMD resets it",
            details,
        )

    def _reset_if_possible(self, *, back: bool) -> None:
        self.closed = not back
        if not back and self._board.options.reboot:
            self._board.reset()

    def close(self) -> None:
        """Put the board back as it was. Raise BoardLeftError for what is not."""
        if self.closed:
            return
        self._log.text()  # whatever comes later is not of this visit
        self.closed = True
        if self._log.broken:
            return  # the keeper has noticed, or will, and puts the board back by itself
        try:
            left = self._keeper.close(Deadline.after(RESTORE))
        except SshError as error:
            raise self.lost(error, "putting the board back") from error
        if left:
            self._board.suspect = True
            raise BoardLeftError(
                f"{self._board.address} is not as it was: {left[0]}",
                "put it right, or reboot it",
                "\n".join(left),
            )


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-60:]) or "(nothing since the visit began)"
