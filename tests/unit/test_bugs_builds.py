# SPDX-License-Identifier: MIT
"""A search through a git tree whose commits are really built, from a kernel of a few lines."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.bugs.git_history import GitHistory
from harness.bugs.journal import Journal
from harness.bugs.kernel_trial import content_of
from harness.bugs.search import CannotTryError, Search, Settings
from harness.core.errors import BuildError
from harness.core.progress import Silent
from harness.jobs.bisect import WITHOUT, _where
from harness.kernel import Kernel, locate_kernel, obtain_kernel
from harness.suite.target import Target, guest_kernel
from harness.vm.spec import find_machine
from tests.unit.kernel_world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.bugs.tally import Tally

BANNER = '#1\\n\' "$release"'


class Builds:
    """Trials that build a kernel, and find the bug in its Image."""

    def __init__(self, world: World, target: Callable[[str], Target]) -> None:
        self.world, self.target = world, target
        self.kernels: dict[str, Kernel] = {}
        self.ran: list[str] = []

    def prepare(self, point: str, tally: Tally) -> None:
        try:
            kernel = obtain_kernel(guest_kernel(self.target(point)), self.world.cache, Silent())
        except BuildError as error:
            raise CannotTryError(f"does not build: {error.cause}") from error
        self.kernels[point] = kernel
        tally.content = content_of(kernel)

    def run(self, point: str) -> dict[str, str]:
        self.ran.append(point)
        bug = b"#1 with a bug" in self.kernels[point].image.read_bytes()
        return {"case banner": "saw a bug"} if bug else {}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a tree: a change, the bug, two changes of comments, one that breaks, its repair."""
    world = make_world(tmp_path, monkeypatch)
    world.commit("v1")
    world.edit("scripts/image", "6.12.117", "6.12.118")
    world.commit("other")
    world.edit("scripts/image", BANNER, f"#1 with a bug{BANNER[2:]}")
    world.commit("bug")
    for number in range(2):
        (world.linux / "README").write_text(f"{number}\n")
        world.commit(f"text{number}")
    world.edit("mm/swap.c", "-entry", "syntax error")
    world.commit("broken")
    world.edit("mm/swap.c", "syntax error", "-entry")
    world.commit("v2")
    return world


def test_the_commit_is_found_among_builds_and_taken_out_again(world: World) -> None:
    spec = find_machine("emulator")

    def target(argument: str) -> Target:
        return Target(locate_kernel(argument, world.root), spec)

    where = _where(str(world.linux), "v1", "v2", target, Silent())
    trials = Builds(world, where.target)
    said: list[str] = []
    settings = Settings(where.came, runs=3)
    search = Search(where.history, trials, Journal({}), settings, lambda: None, said.append)
    found = search.result()
    assert isinstance(where.history, GitHistory)
    (culprit,) = found.suspects
    assert '("bug")' in where.history.title(culprit)
    # The comments change no Image: one of these commits is run, or none.
    assert any("has the same Image as" in line for line in said)
    tally = search.tried_without(WITHOUT + culprit)
    assert (tally.hits, tally.clean, tally.skip) == (0, search.needed, "")
    status = ["git", "-C", str(world.linux), "status", "--porcelain"]
    assert subprocess.run(status, check=True, capture_output=True).stdout == b""
