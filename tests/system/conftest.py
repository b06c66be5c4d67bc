# SPDX-License-Identifier: MIT
"""Tests of the harness with real QEMU and real kernels: no test leaves an emulator behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.emulators import emulators

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which more emulators run than before."""
    before = emulators()
    yield
    assert emulators() <= before
