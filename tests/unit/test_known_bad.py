# SPDX-License-Identifier: MIT
"""``mte-harness known-bad``: what it says, and how it ends, for what its kernels did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from harness.core import errors
from harness.core.errors import BaseGoneError
from harness.jobs import known_bad
from harness.jobs.known_bad import Row, known_bad_command, recipes, row_of
from harness.verdict.result import ProbeResult, Status
from tests.unit.report_sample import good_report, record

if TYPE_CHECKING:
    from click.testing import Result

    from harness.kernel.recipe import Recipe
    from harness.suite.session import Session

BASE = "linux-source-7.3"
NAMES = ["stale-tags", "split-drops-tags"]


def command(monkeypatch: pytest.MonkeyPatch, *outcomes: set[str] | None) -> Result:
    """Run the command on the first of NAMES; None is a kernel whose base is gone.

    Another outcome is the set of the probes that failed, where only ``right`` had to.
    """
    left = iter(outcomes)

    def prove(_session: Session, recipe: Recipe, _machine: str | None, _workers: int) -> Row:
        failed = next(left)
        if failed is None:
            raise BaseGoneError(BASE, "the cure").for_kernel(recipe.name)
        return Row(recipe, frozenset({"right"}), frozenset(), frozenset(failed), 90, 1.0)

    monkeypatch.setattr(known_bad, "prove", prove)
    return CliRunner().invoke(known_bad_command, NAMES[: len(outcomes)], standalone_mode=False)


@pytest.mark.parametrize(
    ("outcomes", "status", "last"),
    [
        ([{"right"}, {"right"}], errors.OK, "2 of 2 known-bad kernels proved"),
        ([{"right"}, set()], errors.PROGRAM_FAILED, "1 of 2 known-bad kernels proved"),
        ([{"right", "wrong"}], errors.PROGRAM_FAILED, "0 of 1 known-bad kernels proved"),
        (
            [None, {"right"}],
            errors.OK,
            f"1 of 1 known-bad kernels proved; 1 not tried: base gone: {BASE}",
        ),
        (
            [set(), None],
            errors.PROGRAM_FAILED,
            f"0 of 1 known-bad kernels proved; 1 not tried: base gone: {BASE}",
        ),
    ],
)
def test_the_last_line_and_the_status(
    outcomes: list[set[str] | None], status: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command(monkeypatch, *outcomes)
    assert done.output.splitlines()[-1] == last
    assert done.return_value == status


def test_a_kernel_whose_base_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = command(monkeypatch, None, {"right"}).output.splitlines()
    assert lines[0] == f"base gone   known-bad/stale-tags  ({BASE})"


def test_where_every_base_is_gone_nothing_was_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(monkeypatch, None, None)
    assert isinstance(done.exception, BaseGoneError)
    assert done.exception.status == 174


def test_a_run_that_was_cut_short_proves_nothing() -> None:
    """A probe that could not be collected may be the one that fails wrongly."""
    (recipe,) = recipes(["stale-tags"], None, None)
    assert recipe.known_bad
    failed = ProbeResult(Status.FAIL)
    probes = tuple(
        replace(record(name, "swap", recipe.name, 1), result=failed)
        for name in sorted(recipe.known_bad.probes)
    )
    whole = replace(good_report(), tests=probes)
    assert row_of(recipe, whole, errors.PROGRAM_FAILED).proved
    cut = replace(whole, errors=("tests/validation/test_probe.py could not be collected: E",))
    row = row_of(recipe, cut, errors.PROGRAM_FAILED)
    assert not row.proved
    assert row.host_status == errors.HarnessError.status
    assert row_of(recipe, cut, errors.QemuDiedError.status).host_status == 172
