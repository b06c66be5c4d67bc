# SPDX-License-Identifier: MIT
"""Runs a reproducer on kernels: each run in a fresh clone of the kernel's saved guest."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from typing import TYPE_CHECKING, TypeVar

from harness.bugs.search import CannotTryError
from harness.bugs.signs import signs_of
from harness.core.errors import (
    BaseGoneError,
    BootError,
    BuildError,
    ConfigError,
    HarnessError,
    ImageError,
    PatchError,
    QemuDiedError,
)
from harness.core.keys import DIGITS
from harness.suite.gather import gather
from harness.verdict.judge import judge
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.bugs.reproducer import Reproducer
    from harness.bugs.tally import Tally
    from harness.guest.template import Template
    from harness.kernel import Kernel
    from harness.suite.program import Program
    from harness.suite.session import Session
    from harness.suite.target import Target
    from harness.verdict.evidence import Evidence
    from harness.verdict.result import ProbeResult

T = TypeVar("T")
TRIES = 3  # of what the host spoils: QEMU was killed, there is no memory, the guest gets no CPU
# An ELF note of the owner GNU and the type 3, NT_GNU_BUILD_ID: 20 bytes that hash all of vmlinux.
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
# What speaks against a point and not against the host.
_UNTRIABLE = (BuildError, BootError, ConfigError, PatchError, ImageError, BaseGoneError)


class KernelTrials:
    """The Trials of a search over points, each of which is a ``target``.

    ``keep`` gets the name of a point and the result of each run. ``needs`` are config symbols
    (``CONFIG_SWAP``) without which the program says nothing.
    """

    def __init__(
        self,
        session: Session,
        reproducer: Reproducer,
        target: Callable[[str], Target],
        keep: Callable[[str, ProbeResult], None] = lambda *_: None,
        needs: Sequence[str] = (),
    ) -> None:
        self._session = session
        self._reproducer = reproducer
        self._target = target
        self._keep = keep
        self._needs = needs
        self._templates: dict[str, Template] = {}

    def prepare(self, point: str, tally: Tally) -> None:
        """Build and boot the kernel of a point. Raise CannotTryError if that does not succeed."""
        try:
            template = self._again(lambda: self._session.prepare(self._target(point)))
        except _UNTRIABLE as error:
            raise CannotTryError(f"{_WHAT[type(error)]}: {error.cause}") from error
        lacking = [one for one in self._needs if template.kernel.built_with(one) is False]
        if lacking:
            raise CannotTryError(f"has no {' '.join(lacking)}")
        self._templates[point] = template
        tally.content = content_of(template.kernel)
        tally.release = template.kernel.release

    def run(self, point: str) -> dict[str, str]:
        """Run once in a fresh guest; return the signs. Raise HarnessError for host trouble."""
        template = self._templates[point]
        program = self._reproducer.program(self._session.programs, template.kernel.page_size)
        for patience in range(1, TRIES + 1):
            # What had no precondition, or no CPU for its time, gets another guest and more time.
            patient = dataclasses.replace(program, patience=patience)
            evidence = self._again(functools.partial(self._gathered, template, patient))
            result = judge(evidence)
            if result.status is not Status.UNTESTED:
                break
        self._keep(point, result)
        return signs_of(evidence, result, self._reproducer.console)

    def _gathered(self, template: Template, program: Program) -> Evidence:
        with self._session.guest(template) as guest:
            return gather(guest, program)

    def _again(self, action: Callable[[], T]) -> T:
        """Return what ``action`` gives; what the host spoils is tried TRIES times in all."""
        for _ in range(TRIES - 1):
            try:
                return action()
            except HarnessError as error:
                # Others say what to do: install, correct, free. Again does not help there.
                if type(error) not in (QemuDiedError, HarnessError):
                    raise
                self._session.progress.step(f"again, since the host is at fault: {error.cause}")
        return action()


_WHAT: dict[type[HarnessError], str] = {
    BuildError: "does not build",
    BootError: "does not come up",
    ConfigError: "cannot be configured",
    PatchError: "a patch does not apply",
    ImageError: "cannot run the guest",
    BaseGoneError: "cannot be had",
}


def content_of(kernel: Kernel) -> str:
    """Return a key that two kernels of the same code share.

    The harness writes a kernel's key into its Image as the host that it was built on, and the
    linker the hash of all that.
    """
    image = kernel.image.read_bytes().replace(kernel.key.encode(), b"")
    digest = hashlib.sha256(_BUILD_ID.sub(b"", image))
    if kernel.initramfs:
        digest.update(kernel.initramfs.read_bytes())
    return digest.hexdigest()[:DIGITS]
