# SPDX-License-Identifier: MIT
"""Machines by name, and the keys that depend on what a guest sees of them."""

from __future__ import annotations

import dataclasses

import pytest

from harness.core.errors import UsageError
from harness.vm.spec import MACHINES, find_machine


def test_key_changes_with_what_the_guest_sees() -> None:
    spec = MACHINES["emulator"]
    assert dataclasses.replace(spec, description="another text").key() == spec.key()
    assert dataclasses.replace(spec, memory_mib=2048).key() != spec.key()
    assert dataclasses.replace(spec, cpus=1).key() != spec.key()


def test_unknown_machine_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"'toaster' \(one of: .*emulator"):
        find_machine("toaster")


def test_alias() -> None:
    assert find_machine("dram") is MACHINES["dram/carveout"]
