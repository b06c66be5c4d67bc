# SPDX-License-Identifier: MIT
"""Every way in which a run can end without a verdict, and the exit status of each.

The statuses are stable and documented in README.md. They are laid out for
``git bisect run`` (git-bisect(1)): 1 to 124 mean that the kernel was tried and
is bad, 125 that this kernel cannot be tried, 128 and up that the host is at
fault and the bisection must stop.
"""

from __future__ import annotations

from typing import ClassVar

OK = 0
PROGRAM_FAILED = 1  # a probe or program failed in a guest that lived on
KERNEL_SPLAT = 3  # the kernel printed a new splat, or became tainted
GUEST_LOST = 4  # panic, hang, reboot or silence after the guest had come up
BOOT_FAILED = 5  # the kernel never reached the ready line
CANNOT_BUILD = 125


class HarnessError(Exception):
    """An error with one line for the cause and one for the cure.

    ``details`` is what a reader wants after that line (a log's tail, a command
    line); it is printed below it, never instead of it.
    """

    status: ClassVar[int] = 159

    def __init__(self, cause: str, cure: str = "", details: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.cure = cure
        self.details = details

    def __str__(self) -> str:
        """One line: cause and cure."""
        return f"{self.cause} ({self.cure})" if self.cure else self.cause


class BuildError(HarnessError):
    """The compiler or linker refused the source."""

    status = CANNOT_BUILD


class UsageError(HarnessError):
    """The words of the command make no sense."""

    status = 160


class SetupError(HarnessError):
    """Something must be installed, and that needs root or sudo."""

    status = 161


class NetworkError(HarnessError):
    """A package registry did not answer."""

    status = 162


class QemuMissingError(HarnessError):
    """No qemu-system-aarch64."""

    status = 163


class QemuTooOldError(HarnessError):
    """QEMU's version is known to be wrong for MTE."""

    status = 164


class QemuCheckError(HarnessError):
    """The emulator check found wrong tag behaviour."""

    status = 165


class CompilerMissingError(HarnessError):
    """No aarch64 cross compiler, or another build tool is missing."""

    status = 166


class PatchError(HarnessError):
    """A patch does not apply."""

    status = 167


class ConfigError(HarnessError):
    """A config symbol is unknown, or the kernel's Kconfig refused it."""

    status = 168


class DiskFullError(HarnessError):
    """No room left; what was half-written has been removed."""

    status = 169


class ArtifactError(HarnessError):
    """A cached file is truncated or altered."""

    status = 170


class ImageError(HarnessError):
    """An Image for another architecture, or a kernel without MTE."""

    status = 171


class QemuDiedError(HarnessError):
    """QEMU ended from outside (killed, out of memory) during a test."""

    status = 172


class RecipeError(HarnessError):
    """kernel.toml, or a file that it names, is wrong."""

    status = 173


class SourceError(HarnessError):
    """The kernel source cannot be had: no such package, revision or directory."""

    status = 174


class MachineError(HarnessError):
    """A machine that cannot be: its memory and tag storage do not fit, or QEMU built another."""

    status = 176


class AuditError(HarnessError):
    """The auditor cannot know: the kernel does not tell where its data are."""

    status = 177


class KernelError(HarnessError):
    """The kernel under test is at fault, in a phase that has no program."""


class BootError(KernelError):
    """The guest did not reach the ready line: panic, hang or reboot loop."""

    status = BOOT_FAILED


class GuestLostError(KernelError):
    """The guest panicked, hung or stopped answering after it had come up."""

    status = GUEST_LOST


INTERRUPTED = 130  # Ctrl-C, as a shell reports it
INTERNAL = 175  # a bug in the harness; the log has the traceback
