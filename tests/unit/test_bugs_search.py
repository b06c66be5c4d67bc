# SPDX-License-Identifier: MIT
"""The search for the point at which a bug came or went, over simulated points and a git tree."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from harness.bugs.chance import HITS, Rate
from harness.bugs.git_history import git_history
from harness.bugs.journal import Journal, open_journal
from harness.bugs.points import ListHistory
from harness.bugs.search import Result, Search, Settings
from harness.bugs.tally import MORE, Finding, Tally
from harness.core.errors import ArtifactError, DiskFullError, HarnessError, SourceError, UsageError
from tests.support.simulated import SIGN, SimulatedTrials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.bugs.points import History

POINTS = [f"p{number}" for number in range(40)]


class Run:
    """A search with what it said and saved."""

    def __init__(self, history: History, trials: SimulatedTrials, **settings: Any) -> None:
        self.said: list[str] = []
        self.saved = 0
        self.journal = Journal({})
        chosen = Settings(**{"came": True, **settings})
        self.search = Search(history, trials, self.journal, chosen, self._save, self.said.append)

    def _save(self) -> None:
        self.saved += 1

    def result(self) -> Result:
        return self.search.result()


class Line(ListHistory):
    """Points in a line whose titles are their names."""

    def title(self, point: str) -> str:
        return point

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        return [f"{'came' if came else 'went'} with {', '.join(suspects)}"]


def test_a_rate_of_three_in_ten_needs_thirteen_runs_for_99_percent() -> None:
    assert Rate(given=0.3).runs_for(0.99) == 13
    assert Rate(given=1.0).runs_for(0.99) == 1
    # A rate that was only measured says less: the chance that all miss has a closed form.
    assert Rate(10, 0).all_miss(1) == pytest.approx(1 / 11)
    assert Rate(1, 9).all_miss(90) == pytest.approx(10 / 100)
    assert Rate(10, 0).runs_for(0.99) == 3
    assert 13 < Rate(3, 7).runs_for(0.99) < 40
    assert Rate(300, 700).runs_for(0.99) in {13, 14}


def test_a_rate_that_was_seen_once_is_measured_on() -> None:
    trials = SimulatedTrials(POINTS[10:], 0.1, 1)
    run = Run(Line(POINTS), trials, runs=5)
    assert run.result().suspects == ("p10",)
    measured = trials.ran[: trials.ran.index(POINTS[0])]
    assert len(measured) > 5
    assert sum(map(bool, run.journal.measured)) == HITS


def test_a_rare_bug_is_found_as_often_as_the_confidence_says() -> None:
    """The rate of a rare bug is seen too high by whoever sees it at all."""
    wrong = found = 0
    for seed in range(400):
        culprit = 1 + seed % (len(POINTS) - 1)
        run = Run(Line(POINTS), SimulatedTrials(POINTS[culprit:], 0.05, seed), runs=3)
        try:
            wrong += run.result().suspects != (POINTS[culprit],)
        except UsageError:  # it did not show in three runs
            continue
        found += 1
    assert found > 40
    assert wrong <= 1


@pytest.mark.parametrize("culprit", range(1, len(POINTS)))
def test_it_finds_each_point_with_which_a_bug_came(culprit: int) -> None:
    run = Run(Line(POINTS), SimulatedTrials(POINTS[culprit:]))
    found = run.result()
    assert found.suspects == (POINTS[culprit],)
    assert found.earlier == (POINTS[culprit - 1],)
    assert found.confidence >= 0.99
    assert run.journal.sign == SIGN


@pytest.mark.parametrize("culprit", range(1, len(POINTS)))
def test_it_finds_each_point_with_which_a_bug_went(culprit: int) -> None:
    found = Run(Line(POINTS), SimulatedTrials(POINTS[:culprit]), came=False).result()
    assert found.suspects == (POINTS[culprit],)
    assert found.confidence >= 0.99


def test_a_bug_that_shows_in_three_of_ten_runs_is_found_as_often_as_the_confidence_says() -> None:
    wrong = 0
    for seed in range(200):
        culprit = 1 + seed % (len(POINTS) - 1)
        came = seed % 2 == 0
        has = POINTS[culprit:] if came else POINTS[:culprit]
        run = Run(Line(POINTS), SimulatedTrials(has, 0.3, seed), came=came, runs=20)
        try:
            wrong += run.result().suspects != (POINTS[culprit],)
        except UsageError as error:  # an end that shows the bug in none of 20 runs
            assert "does not show" in str(error)
    assert wrong <= 6  # 1 % are 2


def test_a_wrong_absence_is_noticed_and_taken_back() -> None:
    trials = SimulatedTrials(POINTS[10:], 0.3)
    run = Run(Line(POINTS), trials, runs=10, rate=0.99)  # as if one miss were proof
    trials.rate = 0.6
    again = [
        seed
        for seed in range(30)
        if _taken_back(SimulatedTrials(POINTS[10:], 0.6, seed), rate=0.99)
    ]
    assert again
    assert run.journal.findings == {}


def _taken_back(trials: SimulatedTrials, rate: float) -> bool:
    run = Run(Line(POINTS), trials, rate=rate)
    try:
        run.result()
    except UsageError:
        return False
    return any(tally.hits for tally in run.journal.fresh.values())


def test_points_that_cannot_be_tried_are_skipped_and_named() -> None:
    broken = {"p19", "p20", "p21", "p5"}
    run = Run(Line(POINTS), SimulatedTrials(POINTS[30:], broken=broken))
    assert run.result().suspects == ("p30",)
    assert run.journal.tallies["p19"].skip == "does not build: mm/x.c:1: error: x"


def test_a_culprit_beside_points_that_cannot_be_tried_is_a_range() -> None:
    run = Run(Line(POINTS), SimulatedTrials(POINTS[20:], broken={"p19", "p20", "p21"}))
    found = run.result()
    assert set(found.suspects) == {"p19", "p20", "p21", "p22"}
    assert found.suspects[-1] == "p22"
    assert found.earlier == ("p18",)


def test_another_failure_says_nothing_of_this_bug() -> None:
    for seed in range(10):
        trials = SimulatedTrials(POINTS[13:], seed=seed, noise=0.3)
        assert "p13" in Run(Line(POINTS), trials, sign=SIGN).result().suspects


def test_a_point_with_only_other_failures_is_weak() -> None:
    tally = Tally(others={"splat x": 3 + MORE})
    assert tally.finding(3) is Finding.WEAK
    assert tally.finding(4) is Finding.UNKNOWN
    tally.clean = 4
    assert tally.finding(4) is Finding.ABSENT


def test_the_same_image_is_not_run_twice() -> None:
    images = dict.fromkeys(POINTS[1:30], "one")
    trials = SimulatedTrials(POINTS[30:], images=images)
    run = Run(Line(POINTS), trials)
    assert run.result().suspects == ("p30",)
    assert any("the same Image as" in line for line in run.said)


def test_the_runs_of_one_image_count_once() -> None:
    images = dict.fromkeys(POINTS[10:], "one")
    run = Run(Line(POINTS), SimulatedTrials(POINTS[10:], images=images))
    assert run.result().suspects == ("p10",)
    assert run.search.rate == Rate(10, 0)


def test_two_ends_of_one_image_are_refused() -> None:
    trials = SimulatedTrials(POINTS[30:], images={"p0": "one", "p39": "one"})
    with pytest.raises(UsageError, match="p0 and p39 are the same Image"):
        Run(Line(POINTS), trials).result()


@pytest.mark.parametrize(
    ("has", "said"),
    [
        (POINTS[:5], "good and bad are swapped"),
        (POINTS, "shows on both ends"),
        ([], "does not show on the bad end p39: 0 of 10"),
    ],
)
def test_ends_that_do_not_differ_as_said_are_refused(has: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Run(Line(POINTS), SimulatedTrials(has)).result()


def test_an_end_that_cannot_be_tried_is_refused() -> None:
    for broken in ("p0", "p39"):
        with pytest.raises(UsageError, match=r"(bad|good) end .*does not build"):
            Run(Line(POINTS), SimulatedTrials(POINTS[3:], broken={broken})).result()


class Interrupted(SimulatedTrials):
    """Trials that the host ends after some runs."""

    left = 10**6

    def run(self, point: str) -> dict[str, str]:
        if not self.left:
            raise HarnessError("the host is at fault")
        self.left -= 1
        return super().run(point)


def test_a_search_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    whole = SimulatedTrials(POINTS[17:])
    Run(Line(POINTS), whole).result()
    ran: list[str] = []
    for _ in range(100):
        journal = open_journal(path, {"program": "x"})
        trials = Interrupted(POINTS[17:])
        trials.left = 7
        search = Search(
            Line(POINTS), trials, journal, Settings(came=True), lambda: journal.save(path),  # noqa: B023
            lambda _: None,
        )  # fmt: skip
        try:
            found = search.result()
        except HarnessError:
            ran += trials.ran
            continue
        ran += trials.ran
        break
    assert found.suspects == ("p17",)
    assert ran == whole.ran


def test_the_state_of_another_search_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    Journal({"program": "x", "later end": "7.3"}, measured=[{}]).save(path)
    with pytest.raises(UsageError, match=r"another search: its later end is '7\.3', not '7\.2'"):
        open_journal(path, {"program": "x", "later end": "7.2"})
    for text in ("", "[]", "{}", path.read_text()[:-20], path.read_text().replace('"x"', "1")):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=r"no state of a search: .*\(remove it: rm "):
            open_journal(path, {"program": "x"})


def test_a_state_in_which_nothing_was_seen_is_no_other_search(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert open_journal(path, {"program": "x"}).search == {"program": "x"}
    assert open_journal(path, {"program": "y"}).search == {"program": "y"}
    journal = open_journal(path, {"program": "y"})
    journal.measured.append({})
    journal.save(path)
    with pytest.raises(UsageError, match="another search"):
        open_journal(path, {"program": "x"})


def test_a_state_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"cannot be written to .*No such file"):
        open_journal(tmp_path / "no" / "state.json", {})
    path = tmp_path / "state.json"
    kept = Journal({}, measured=[{}])
    kept.save(path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        Journal({}, measured=[{}, {}]).save(path)
    assert open_journal(path, {}) == kept
    assert [left.name for left in tmp_path.iterdir()] == ["state.json"]


def git(tree: Path, *words: str) -> str:
    words = ("-c", "user.name=n", "-c", "user.email=e@x", *words)
    return subprocess.run(
        ["git", "-C", str(tree), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a repository: a trunk of commits 0 to 9, into which a side of three is merged."""
    place = tmp_path / "tree"
    place.mkdir()
    git(place, "init", "-q", "-b", "trunk")

    def commit(name: str) -> None:
        (place / name).write_text(name)
        git(place, "add", name)
        git(place, "commit", "-q", "-m", f"mm: {name}")
        git(place, "tag", name)

    for number in range(5):
        commit(f"t{number}")
    git(place, "checkout", "-q", "-b", "side", "t2")
    for number in range(3):
        commit(f"s{number}")
    git(place, "checkout", "-q", "trunk")
    git(place, "merge", "-q", "--no-ff", "-m", "merge", "side")
    git(place, "tag", "merge")
    for number in range(5, 10):
        commit(f"t{number}")
    return place


@pytest.mark.parametrize("culprit", ["t1", "t3", "t4", "s0", "s1", "s2", "merge", "t5", "t9"])
def test_it_finds_each_commit_of_a_history_with_a_merge(tree: Path, culprit: str) -> None:
    history, came = git_history(tree, "t0", "t9")
    commit = git(tree, "rev-parse", culprit)
    has = git(tree, "rev-list", "--ancestry-path", f"{culprit}..t9").split()
    found = Run(history, SimulatedTrials({commit, *has})).result()
    assert came
    assert found.suspects == (commit,)
    assert set(found.earlier) == set(git(tree, "rev-parse", f"{culprit}^@").split())


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_side_branch_with_an_older_bug_is_no_culprit(tree: Path, rate: float) -> None:
    """The bug was there until t3, which cured it; the side from t2 has it; t5 brings it again."""
    history, _ = git_history(tree, "t4", "t5")
    has = {git(tree, "rev-parse", name) for name in ("t0", "t1", "t2", "s0", "s1", "s2", "t5")}
    with pytest.raises(UsageError, match=r"mm: t2.* and not on .*mm: t4.* it went in between"):
        Run(history, SimulatedTrials(has, rate), rate=rate).result()


def test_a_point_that_was_free_by_chance_is_taken_back_in_git(tree: Path) -> None:
    """t6 has the bug of s1 from the merge on; one run without it made it free of it."""
    history, _ = git_history(tree, "t2", "t9")
    has = set(git(tree, "rev-list", "--ancestry-path", "s1..t9").split())
    has.add(git(tree, "rev-parse", "s1"))
    run = Run(history, SimulatedTrials(has), rate=1.0)
    run.journal.findings[git(tree, "rev-parse", "t6")] = Finding.ABSENT
    assert run.result().suspects == (git(tree, "rev-parse", "s1"),)


def test_a_side_branch_without_the_bug_is_no_fix(tree: Path) -> None:
    """The bug came with t3 and went with t5; the side from t2 never had it."""
    history, came = git_history(tree, "t5", "t4")
    has = {git(tree, "rev-parse", name) for name in ("t3", "t4", "merge")}
    assert not came
    with pytest.raises(UsageError, match=r"mm: s0.* so is what comes before it \(.*mm: t2"):
        Run(history, SimulatedTrials(has), came=False).result()


def test_a_bug_that_went_is_found_in_git(tree: Path) -> None:
    history, came = git_history(tree, "t9", "t0")
    assert not came
    # Without the fix are all commits that do not descend from s1.
    fixed = git(tree, "rev-list", "--ancestry-path", "s1..t9").split()
    every = set(git(tree, "rev-list", "t9", "--").split())
    has = every - set(fixed) - {git(tree, "rev-parse", "s1")}
    found = Run(history, SimulatedTrials(has), came=False).result()
    assert found.suspects == (git(tree, "rev-parse", "s1"),)
    lines = history.answer(found.suspects, came=False)
    assert any(line.startswith("Fixed by: ") and '("mm: s1")' in line for line in lines)


@pytest.mark.parametrize(
    ("good", "bad", "kind", "said"),
    [
        ("nosuch", "t9", SourceError, "no revision 'nosuch'"),
        ("t9", "t9", UsageError, "are the same commit"),
        ("s2", "t4", UsageError, "neither of s2 and t4 is in the other"),
    ],
)
def test_git_ends_that_are_none_are_refused(
    tree: Path, good: str, bad: str, kind: type[HarnessError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        git_history(tree, good, bad)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"t5", b"more"),
        (b"a\n\n", b"b\na\n\n"),  # the last line of the diff is an empty one of the file
        ("Mün\n".encode("latin-1"), "Köln\n".encode("latin-1")),
        (b"a\r\nb\r\n", b"a\r\nc\r\n"),
        (b"\0\1", b"\0\2"),
    ],
)
def test_a_diff_takes_a_commit_out_again(tree: Path, before: bytes, after: bytes) -> None:
    for text in (before, after):
        (tree / "t5").write_bytes(text)
        git(tree, "commit", "-q", "--allow-empty", "-a", "-m", "mm: x")
    git(tree, "config", "diff.noprefix", "true")
    git(tree, "tag", "end")
    history, _ = git_history(tree, "t0", "end")
    patch = tree.parent / "undo.patch"
    patch.write_bytes(history.undo(git(tree, "rev-parse", "end")))
    git(tree, "apply", str(patch))
    assert (tree / "t5").read_bytes() == before
    assert history.undo(git(tree, "rev-parse", "merge")) == b""
