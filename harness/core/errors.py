# SPDX-License-Identifier: MIT
"""Every way in which a run can end without a verdict, and the exit status of each.

The statuses are stable and documented in docs/reference. They suit ``git bisect run``
(git-bisect(1)): 1 to 124 mark the kernel as bad, 125 skips a kernel that cannot be tested, and 128
or more stops the bisection, since the host is at fault.
"""

from __future__ import annotations

from typing import ClassVar

OK = 0
PROGRAM_FAILED = 1  # a probe or program failed; the guest kept running
KERNEL_SPLAT = 3  # the kernel printed a new splat, or became tainted
GUEST_LOST = 4  # panic, hang or reboot after the guest had printed the ready line
BOOT_FAILED = 5  # panic, hang or reboot before the ready line
CANNOT_BUILD = 125


def is_host_trouble(status: int) -> bool:
    """Return whether an exit status says that the host, or the command line, is at fault."""
    return status >= 128


class HarnessError(Exception):
    """An error with one line that names its cause and its cure.

    ``details`` are further lines, such as the tail of a log or a command line; they are printed
    below that line.
    """

    status: ClassVar[int] = 159

    def __init__(self, cause: str, cure: str = "", details: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.cure = cure
        self.details = details

    def __str__(self) -> str:
        """Return one line: the cause, and the cure in parentheses."""
        return f"{self.cause} ({self.cure})" if self.cure else self.cause


class BuildError(HarnessError):
    """The compiler or linker reported an error."""

    status = CANNOT_BUILD


class UsageError(HarnessError):
    """The command line is wrong: an unknown name, or options that exclude each other."""

    status = 160


class ProgramError(UsageError):
    """A program for the guest does not compile, or is none that the guest can run."""


class SetupError(HarnessError):
    """A package must be installed, and this user is neither root nor in sudoers."""

    status = 161


class NetworkError(HarnessError):
    """A package registry did not answer."""

    status = 162


class QemuMissingError(HarnessError):
    """There is no qemu-system-aarch64."""

    status = 163


class QemuTooOldError(HarnessError):
    """QEMU is older than 8.2, and wrong about MTE."""

    status = 164


class QemuCheckError(HarnessError):
    """The emulator check found that QEMU handles tags wrongly."""

    status = 165


class CompilerMissingError(HarnessError):
    """The compiler or another build tool is missing, or older than the kernel's source allows."""

    status = 166


class PatchError(HarnessError):
    """A patch does not apply, or is damaged."""

    status = 167


class ConfigError(HarnessError):
    """A config symbol is unknown to the kernel's Kconfig, or has another value than asked for."""

    status = 168


class DiskFullError(HarnessError):
    """The disk is full; half-written files have been removed."""

    status = 169


class ArtifactError(HarnessError):
    """A file of the cache is missing, truncated or altered."""

    status = 170


class ImageError(HarnessError):
    """A file is no arm64 Image, or the kernel in it lacks MTE or what any guest needs."""

    status = 171


class QemuDiedError(HarnessError):
    """QEMU itself ended during a test: killed, out of memory, or crashed."""

    status = 172


class RecipeError(HarnessError):
    """A kernel.toml, or a file that it names, is wrong."""

    status = 173


class SourceError(HarnessError):
    """The kernel source does not exist: no such package, revision or directory."""

    status = 174


class NotThereError(SourceError):
    """A place that was asked answers that it has no such package, version, file or tag."""


class BaseGoneError(SourceError):
    """Every place of a kernel answers that it is gone, as Debian removes old point releases.

    ``base`` is what is gone: a package ("linux-source-7.3", "linux-source-7.3=7.3.4") or a kernel
    that Debian built. ``kernel`` is the name of the kernel that was to be made from it.
    """

    def __init__(self, base: str, cure: str = "", details: str = "", kernel: str = "") -> None:
        super().__init__(f"base gone: {base}", cure, details)
        self.base = base
        self.kernel = kernel or base

    def for_kernel(self, kernel: str) -> BaseGoneError:
        """Return the same error for the kernel that was to be made from the base."""
        return BaseGoneError(self.base, self.cure, self.details, kernel)


class MachineError(HarnessError):
    """A machine layout is invalid, or QEMU built another one than asked for."""

    status = 176


class AuditError(HarnessError):
    """The auditor cannot find the kernel's data: vmcoreinfo lacks an entry."""

    status = 177


class KernelError(HarnessError):
    """The kernel under test is at fault while no program runs."""


class BootError(KernelError):
    """The guest did not reach the ready line: panic, hang or reboot loop."""

    status = BOOT_FAILED


class GuestLostError(KernelError):
    """The guest panicked, hung or stopped answering after the ready line."""

    status = GUEST_LOST


class BoardUnreachableError(HarnessError):
    """A board does not answer: no such name, no route, nothing listens, or silence."""

    status = 179


class BoardKeyError(HarnessError):
    """The host key of a board is unknown, or is another than it was."""

    status = 180


class BoardLoginError(HarnessError):
    """A board refuses the login, or the user is not root there."""

    status = 181


class BoardLostError(HarnessError):
    """The connection to a board was lost, and it cannot be told that its kernel is at fault."""

    status = 182


class BoardUnfitError(HarnessError):
    """A board lacks what every probe needs: MTE, a directory for programs, its .config."""

    status = 183


class BoardBusyError(HarnessError):
    """A board does other work: another run of the harness, or its memory is too full."""

    status = 184


class BoardLeftError(HarnessError):
    """Something of a board is not as it was before a visit."""

    status = 185


UNTESTED = 178  # what a probe needs did not come about in any try: no verdict
INTERRUPTED = 130  # Ctrl-C, as a shell reports it
INTERNAL = 175  # a bug in the harness; the log has the traceback
