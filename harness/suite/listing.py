# SPDX-License-Identifier: MIT
"""A pytest plugin beside the main one: ``--listing FILE`` writes which tests would run.

It is loaded with ``-p harness.suite.listing``, together with ``--collect-only``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.files import replace_file
from harness.core.paths import resources
from harness.suite.collect import kernel_argument, node_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


@dataclass(frozen=True)
class Listed:
    """A test: its id, as in a report, and the ``--kernel`` that it runs on, "" without one."""

    id: str
    kernel: str


@dataclass(frozen=True)
class Listing:
    """The tests in the order of pytest, and how many an option such as ``-k`` left out."""

    tests: tuple[Listed, ...]
    left_out: int


class _Lister:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._left_out = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that an option leaves out."""
        self._left_out += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the file."""
        tests = [
            Listed(node_id(item, resources()), kernel_argument(item)) for item in session.items
        ]
        listing = asdict(Listing(tuple(tests), self._left_out))
        replace_file(self._path, json.dumps(listing).encode())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--listing``."""
    parser.addoption("--listing", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start to count."""
    config.pluginmanager.register(_Lister(config.getoption("--listing")), "mte-harness-lister")


def read_listing(path: Path) -> Listing:
    """Return what the plugin wrote."""
    data = json.loads(path.read_text("utf-8"))
    return Listing(tuple(Listed(**test) for test in data["tests"]), data["left_out"])
