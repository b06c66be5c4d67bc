# SPDX-License-Identifier: MIT
"""Rules on the sources below guest/ that no compiler checks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources

if TYPE_CHECKING:
    from pathlib import Path

GUEST = resources() / "guest"
PROBES = sorted(GUEST.glob("probes/**/*.c"))


@pytest.mark.parametrize("path", PROBES, ids=lambda path: path.stem)
def test_children_are_waited_for_by_the_library(path: Path) -> None:
    """A probe that reaps a child itself may overlook that a signal killed it (child.h)."""
    assert not re.findall(r"\b(?:wait|waitpid)\(.*", path.read_text())


def test_headers_come_in_any_order() -> None:
    """-D_GNU_SOURCE is in the flags, so that no header must be included first."""
    for path in GUEST.rglob("*.[ch]"):
        assert "_GNU_SOURCE" not in path.read_text(), path
