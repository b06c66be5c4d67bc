# SPDX-License-Identifier: MIT
"""Properties for pytest's ``--junitxml``: which kernel, QEMU and machine a result is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.model import Item, Run


def suite_properties(run: Run) -> tuple[tuple[str, str], ...]:
    """Name and value pairs for pytest's ``record_testsuite_property``."""
    return (
        ("qemu", run.qemu),
        *((f"machine.{label}", text) for label, text in run.machine.items()),
        *((f"host.{label}", text) for label, text in run.host.items()),
        *((f"kernel.{kernel.name}.key", kernel.key) for kernel in run.kernels),
        *((f"kernel.{kernel.name}.release", kernel.release) for kernel in run.kernels),
    )


def item_properties(item: Item, run: Run) -> tuple[tuple[str, str], ...]:
    """Name and value pairs for a test's ``user_properties``."""
    keys = {kernel.name: kernel.key for kernel in run.kernels}
    return (
        ("kernel", item.kernel),
        ("kernel_key", keys.get(item.kernel, "")),
        ("qemu", run.qemu),
        ("machine", item.machine),
        ("status", item.status),
        *(("splat", splat.fingerprint) for splat in item.splats),
        *((("repeat", item.repeat),) if item.repeat else ()),
    )
