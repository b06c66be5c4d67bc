# SPDX-License-Identifier: MIT
"""A search in several guests, without a guest."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from harness.core.errors import HarnessError
from harness.core.ktap import KtapResult, Outcome
from harness.explore import trial
from harness.explore.deviation import Deviation
from harness.explore.guest_search import MOST_OF_A_KIND, Hit, Search
from harness.explore.operations import Operation
from harness.explore.trial import EVERYWHERE, TOGETHER, Trials
from tests.unit.test_explore_model import GROUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.explore.operations import Sequence_

SPLAT = Deviation("splat warning-1", "WARNING: mm/rmap.c:1")
SEQUENCE: Sequence_ = (Operation("map"), Operation("stg"))


class Guests:
    """Trials that answer by ``answer``, or wait for abort() where that is None."""

    def __init__(self, answer: Callable[[Sequence_], Deviation | None] | None) -> None:
        self._answer = answer
        self._aborted = threading.Event()
        self.sequences = self.executed = 0

    def run(self, batch: Sequence[Sequence_]) -> list[Deviation | None]:
        """Run a batch."""
        if self._answer is None:
            assert self._aborted.wait(60)
            raise HarnessError("the search was ended")
        self.sequences += len(batch)
        return [self._answer(sequence) for sequence in batch]

    def abort(self) -> None:
        """Let run() end."""
        self._aborted.set()


def search(
    guests: list[Guests], batches: Iterator[list[Sequence_]], keep: Callable[[Hit], bool]
) -> Search:
    """Return a search that has a minute."""
    return Search(cast("list[Trials]", guests), batches, 1, (), lambda _: None, keep)


def test_one_fingerprint_is_shrunk_a_few_times_only() -> None:
    batches = iter([[SEQUENCE] * 10])
    one = search(
        [Guests(lambda one: Deviation("data", "x", 1) if one else None)],
        batches,
        lambda _: False,
    )
    one.run()
    assert len(one.hits) == MOST_OF_A_KIND
    assert all(len(hit.sequence) == 1 for hit in one.hits)


def test_a_search_ends_when_a_hit_is_enough() -> None:
    batches = ([SEQUENCE] for _ in itertools.count())
    one = search([Guests(lambda _: Deviation("data", "x"))] * 2, batches, lambda _: True)
    one.run()
    assert one.hits


def test_trouble_in_one_guest_ends_the_others() -> None:
    def refuse(_: Sequence_) -> Deviation | None:
        raise HarnessError("no memory")

    batches = ([SEQUENCE] for _ in itertools.count())
    with pytest.raises(HarnessError, match="no memory"):
        search([Guests(None), Guests(refuse)], batches, lambda _: True).run()


class OneGuest(Trials):
    """Trials whose guests as a whole show a splat if they run what ``guilty`` says."""

    def __init__(self, guilty: Callable[[Sequence[Sequence_]], bool]) -> None:
        self._guilty = guilty
        self._always = None

    def _run_once(
        self, batch: Sequence[Sequence_]
    ) -> tuple[list[Deviation | None], Deviation | None]:
        return [None] * len(batch), SPLAT if self._guilty(batch) else None


BATCH = [SEQUENCE, (Operation("fork"),), (Operation("split"),), (Operation("free"),), SEQUENCE]


def kinds(guilty: Callable[[Sequence[Sequence_]], bool]) -> list[str]:
    """Return the fingerprints of BATCH, "" for none."""
    return [one.kind if one else "" for one in OneGuest(guilty).run(BATCH)]


def test_a_splat_is_traced_to_its_sequence() -> None:
    assert kinds(lambda batch: BATCH[2] in batch) == ["", "", SPLAT.kind, "", ""]


def test_a_splat_of_every_guest_is_no_sequence_s() -> None:
    assert kinds(lambda _: True) == [f"{SPLAT.kind}{EVERYWHERE}", "", "", "", ""]


def test_a_splat_that_takes_several_sequences() -> None:
    found = kinds(lambda batch: BATCH[1] in batch and BATCH[3] in batch)
    assert found == ["", "", "", "", f"{SPLAT.kind}{TOGETHER}"]


def test_sequences_without_a_result_are_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ended the interpreter, what came after it did not pass."""
    failed = KtapResult(1, "s1", Outcome.FAIL, diagnostics=("step 0: did not end in 20 s",))
    result = SimpleNamespace(cases=(failed,), title="1..2 planned, 1 result")
    monkeypatch.setattr(trial, "judge", lambda _: result)
    monkeypatch.setattr(trial, "signs_of", lambda *_: {"case s1": ""})
    guest = OneGuest(lambda _: False)
    monkeypatch.setattr(guest, "_gathered", lambda _: None)
    guest.place = cast("trial.Place", SimpleNamespace(ground=GROUND))
    guest.sequences = guest.executed = 0
    found, trouble = Trials._run_once(guest, [SEQUENCE, SEQUENCE])
    assert [one and one.kind for one in found] == ["hang", None]
    assert trouble
    assert "1 of 2 sequences have no result" in trouble.text
    assert not Trials._run_once(guest, [SEQUENCE])[1]
