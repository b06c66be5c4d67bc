# SPDX-License-Identifier: MIT
"""What an audit needs of a guest, and which guests cannot be audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.vm.spec import Description

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from harness.guest.ssh import Completed
    from harness.guest.template import Template
    from harness.guest.testbed import Testbed
    from harness.vm.dram import Dram


class Auditable(Protocol):
    """A guest that can be paused and whose DRAM is in view (`harness.guest.guest.Guest`)."""

    template: Template

    @property
    def dram(self) -> Dram:
        """Physical memory. UsageError where the tags are not in it."""

    def exec(self, command: str, *, phase: str) -> Completed:
        """Run a shell line in the guest."""

    def paused(self) -> AbstractContextManager[None]:
        """Stop the guest's CPUs for the block."""


def unauditable(template: Testbed) -> str:
    """Return why guests of ``template`` cannot be audited; ``""`` if nothing is known against it.

    A kernel without a .config may turn out unauditable later (AuditError).
    """
    spec = template.spec
    if not spec.tags:
        return "tags are not in DRAM"
    if spec.describe is Description.TAG_STORAGE_V1:
        return f"how a kernel holds tag storage on {spec.name} is not known"
    if template.kernel.built_with("CONFIG_CRASH_DUMP") is False:
        return "the kernel has no CONFIG_CRASH_DUMP"
    return ""
