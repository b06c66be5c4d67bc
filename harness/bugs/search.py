# SPDX-License-Identifier: MIT
"""The search for the point of a history at which a bug came or went.

A run that shows the bug is certain, absence never is. If any point was taken for free of the bug
and is not, then so is the last one that was (the first one, for a bug that went): a bug that is
there stays there until it goes. So it is enough to run that one again at the end. Where it shows
the bug after all, the search goes on from there.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.bugs.chance import HITS, MOST_RUNS, Rate
from harness.bugs.signs import in_words, shows, usual_sign
from harness.bugs.tally import Finding, Tally
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.bugs.journal import Journal
    from harness.bugs.points import History


class CannotTryError(Exception):
    """A point's kernel does not build, or does not come up."""


class Trials(Protocol):
    """Runs the reproducer on the kernels of points."""

    def prepare(self, point: str, tally: Tally) -> None:
        """Set content and release of the kernel. Raise CannotTryError."""

    def run(self, point: str) -> dict[str, str]:
        """Run once in a fresh guest; return the signs of what went wrong. Raise HarnessError."""


@dataclass(frozen=True)
class Settings:
    """``came``: whether the bug came, else it went. ``confidence`` is that asked for, of each step.

    ``runs``: how many measure the rate. ``rate``: the rate, if it is known. ``sign``: what the bug
    shows as, "" for what most runs show.
    """

    came: bool
    confidence: float = 0.99
    runs: int = 10
    rate: float | None = None
    sign: str = ""


@dataclass(frozen=True)
class Result:
    """What was found. ``suspects``: the one point, or several where skipped ones are among them.

    ``earlier``: the points right before. ``confidence`` that the change is in ``suspects``;
    ``rate`` and ``runs`` are what it was reckoned from. ``unconfirmed``: why points right before
    could not be tried.
    """

    suspects: tuple[str, ...]
    earlier: tuple[str, ...]
    confidence: float
    rate: Rate
    runs: int
    unconfirmed: tuple[str, ...] = ()


class Search:
    """One search; what it has seen is in ``journal``, which ``save`` keeps after each run."""

    def __init__(
        self,
        history: History,
        trials: Trials,
        journal: Journal,
        settings: Settings,
        save: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.history, self.trials, self.journal = history, trials, journal
        self.settings, self.save, self.say = settings, save, say
        ends = (history.last, history.first)
        self.bad, self.good = ends if settings.came else ends[::-1]
        self._ready: set[str] = set()

    def result(self) -> Result:
        """Try both ends, search, confirm. Raise UsageError for ends that do not differ."""
        self._ends()
        while True:
            suspects = self._walk()
            found = self._confirm(suspects)
            if found:
                return found

    @property
    def rate(self) -> Rate:
        """Return how often the bug shows where it is, by all that was seen."""
        if self.settings.rate is not None:
            return Rate(given=self.settings.rate)
        there = self._all(Finding.SHOWS)
        # Points of one Image share their runs.
        once = {self.journal.tallies[point].content or point: point for point in there}
        tallies = [self.journal.tallies[point] for point in once.values()]
        tallies += [self.journal.fresh[point] for point in there if point in self.journal.fresh]
        return Rate(sum(t.hits for t in tallies), sum(t.clean for t in tallies))

    @property
    def needed(self) -> int:
        """Return how many clean runs are proof of absence."""
        return self.rate.runs_for(self.settings.confidence)

    def _ends(self) -> None:
        if self.bad not in self.journal.findings:
            self._measure()
        if self.good not in self.journal.findings:
            if self._prepared(self.good).content == self.journal.tallies[self.bad].content:
                raise UsageError(
                    f"{self._name(self.good)} and {self._name(self.bad)} are the same Image: no "
                    "bug of the kernel can tell them apart",
                    "name ends that differ in what is built",
                )
            self._test(self.good)
        if self.journal.findings[self.good] is Finding.SHOWS:
            raise UsageError(
                f"the bug shows on both ends: on {self._name(self.good)}, {self._tally(self.good)}",
                "name an end that is free of it",
            )
        if (finding := self.journal.findings[self.good]) is not Finding.ABSENT:
            raise UsageError(
                f"the good end {self._name(self.good)} is {finding}: {self._tally(self.good)}",
                "name another",
            )

    def _measure(self) -> None:
        """Run on the end that has the bug, to learn its sign and its rate."""
        journal, settings = self.journal, self.settings
        tally = self._prepared(self.bad)
        if tally.skip:
            raise UsageError(f"the bad end {self._name(self.bad)} {tally}", "name another")
        while (runs := self._runs_to_measure()) > len(journal.measured):
            signs = self.trials.run(self.bad)
            journal.measured.append(signs)
            self.save()
            number = f"run {len(journal.measured)} of {runs}"
            self.say(f"{number} on {self._name(self.bad)}: {in_words(signs)}")
        if not journal.sign:
            journal.sign = settings.sign or usual_sign(journal.measured) or ""
        tally = Tally(content=tally.content, release=tally.release)
        for signs in journal.measured:
            tally.add(signs, shows=self._shows(signs))
        journal.tallies[self.bad] = tally
        self.say(f"{self._name(self.bad)}: {tally}" + (f" ({journal.sign})" * bool(tally.hits)))
        if tally.hits:
            journal.findings[self.bad] = Finding.SHOWS
            self.save()
            return
        self._refuse_swapped(tally)

    def _runs_to_measure(self) -> int:
        """Return how many runs on the end that has the bug there are to be, by those there were.

        A rate that is known needs one with the bug. Another one needs HITS with it: of one or two
        it would follow that the bug may be so rare that hundreds of runs say nothing.
        """
        measured, settings = self.journal.measured, self.settings
        sign = settings.sign or usual_sign(measured) or ""
        hits = sum(shows(sign, signs) for signs in measured)
        if settings.rate:
            return (
                len(measured) if hits else Rate(given=settings.rate).runs_for(settings.confidence)
            )
        if len(measured) < settings.runs or not 0 < hits < HITS:
            return settings.runs
        return min(math.ceil(len(measured) * HITS / hits), MOST_RUNS)

    def _refuse_swapped(self, tally: Tally) -> None:
        """Raise UsageError for a bad end that shows no bug: perhaps the other end does."""
        other = self._prepared(self.good)
        if not other.skip and not tally.spoilt:
            for _ in range(self.settings.runs):
                if sign := usual_sign([self.trials.run(self.good)]):
                    raise UsageError(
                        f"good and bad are swapped: {self._name(self.good)} shows a bug ({sign}), "
                        f"{self._name(self.bad)} none in {tally.runs} runs",
                        "exchange --good and --bad",
                    )
        raise UsageError(
            f"the bug does not show on the bad end {self._name(self.bad)}: {tally}",
            "see whether mte-harness reproduce shows it there, perhaps with more --runs",
        )

    def _walk(self) -> list[str]:
        """Try points until nothing between the two sides can be tried; return what is left."""
        while True:
            shows, absent = self._all(Finding.SHOWS), self._all(Finding.ABSENT)
            earlier, later = (absent, shows) if self.settings.came else (shows, absent)
            last = self.history.last
            suspects = self.history.suspects(last, earlier)
            while closer := [p for p in later if p != last and p in suspects]:
                last = closer[0]
                suspects = self.history.suspects(last, earlier)
            rest = [p for p in suspects if p != last and p not in self.journal.findings]
            if not rest:
                # The order of suspects says how much a trial would tell; last comes last.
                return [*(p for p in suspects if p != last), last]
            left = math.ceil(math.log2(len(rest) + 1))
            self.say(f"{len(rest)} points to choose from, about {left} steps")
            self._test(rest[0])

    def _confirm(self, suspects: list[str]) -> Result | None:
        """Run those points again on which the result rests; None if one of them shows the bug."""
        edge = [p for s in suspects for p in self.history.parents(s) if p not in suspects]
        earlier = tuple(dict.fromkeys(edge))
        needed, confidence, unconfirmed = self.needed, 1.0, []
        for point in earlier if self.settings.came else (suspects[-1],):
            finding, tally = self._again(point, needed)
            if finding is Finding.SHOWS:
                self._take_back(point, needed)
                return None
            if finding is Finding.ABSENT:
                confidence *= 1 - self.rate.all_miss(tally.clean)
            else:
                unconfirmed.append(f"{self._name(point)}: {tally}")
        if not self.settings.came:
            unconfirmed += self._without_what_came(suspects[-1], earlier)
        return Result(
            tuple(suspects),
            earlier,
            0.0 if unconfirmed else confidence,
            self.rate,
            needed,
            tuple(unconfirmed),
        )

    def _again(self, point: str, needed: int) -> tuple[Finding, Tally]:
        """Run a point once more, or for the first time; return what that gave."""
        if point not in self.journal.findings:
            return self._test(point), self._tally(point)
        tally = self._prepared(point)
        if tally.skip:
            return Finding.SKIP, tally
        fresh = self.journal.fresh.setdefault(point, Tally())
        finding = self._run_until(point, fresh, needed)
        self.say(f"{self._name(point)} again: {fresh}")
        return finding, fresh

    def _take_back(self, point: str, needed: int) -> None:
        """Take ``point``, which counted as free of the bug, for one that has it.

        A later point that is free of it, too, contains this one: then it was taken wrongly, or the
        bug went in between, and this search is for the second time that it came (git-bisect(1) asks
        of the merge base for the same reason). Raise UsageError.
        """
        findings = self.journal.findings
        findings[point] = Finding.SHOWS
        self.save()
        later = [p for p in self._all(Finding.ABSENT) if not self.history.suspects(point, [p])]
        for other in later:
            if self._again(other, needed)[0] is Finding.SHOWS:
                self._refuse_good(other)
                findings[other] = Finding.SHOWS
                self.save()
                return
        self._refuse_good(point)
        if later:
            raise UsageError(
                f"the bug shows on {self._name(point)}, and not on {self._name(later[-1])}, which "
                "comes after it: it went in between, and came again",
                f"search for where it went, or name {point} as the good end if that is another bug",
            )

    def _refuse_good(self, point: str) -> None:
        if point == self.good:
            raise UsageError(
                f"the bug shows on the good end {self._name(point)} after all: "
                f"{self.journal.fresh.get(point, self._tally(point))}",
                "name an end that is free of it",
            )

    def _without_what_came(self, last: str, earlier: Sequence[str]) -> list[str]:
        """Return why it is not known that the bug was there before ``last``, which is free of it.

        A branch that parted before the bug came is free of it without its fix. Raise UsageError.
        """
        findings = [self.journal.findings.get(p) or self._test(p) for p in earlier]
        if Finding.SHOWS in findings:
            return []
        names = ", ".join(map(self._name, earlier))
        if Finding.ABSENT in findings:
            raise UsageError(
                f"{self._name(last)} is free of the bug, and so is what comes before it ({names}): "
                "the bug came on another branch",
                f"name an end with the bug that has {last} in it, or is after the last merge "
                "of such a branch",
            )
        return [f"whether the bug was there before {self._name(last)} is not known: {names}"]

    def tried_without(self, point: str) -> Tally:
        """Return the runs on the last kernel without the culprit, which is a point of its own."""
        tally = self.journal.removed.setdefault(point, Tally())
        self._prepare(point, tally)
        self._run_until(point, tally, self.needed)
        self.say(f"{point}: {tally}")
        return tally

    def _test(self, point: str) -> Finding:
        """Run on a point until it is known whether it has the bug; return what was found."""
        journal = self.journal
        tally = self._prepared(point)
        twin = next(
            (p for p, it in journal.tallies.items() if p != point and it.content and it.runs
             and it.content == tally.content),
            None,
        )  # fmt: skip
        if twin and not tally.runs:
            self.say(f"{self._name(point)} has the same Image as {self._name(twin)}")
            tally = journal.tallies[point] = dataclasses.replace(
                journal.tallies[twin],
                others=dict(journal.tallies[twin].others),
                release=tally.release,
            )
        needed = self.needed
        finding = journal.findings[point] = self._run_until(point, tally, needed)
        self.save()
        self.say(f"{self._name(point)}: {finding}, {tally}")
        return finding

    def _run_until(self, point: str, tally: Tally, needed: int) -> Finding:
        while (finding := tally.finding(needed)) is Finding.UNKNOWN:
            signs = self.trials.run(point)
            tally.add(signs, shows=self._shows(signs))
            self.save()
        return finding

    def _all(self, finding: Finding) -> list[str]:
        return [point for point, it in self.journal.findings.items() if it is finding]

    def _prepared(self, point: str) -> Tally:
        """Return the tally of a point whose kernel is there, or says why it cannot be."""
        tally = self.journal.tallies.setdefault(point, Tally())
        self._prepare(point, tally)
        return tally

    def _prepare(self, point: str, tally: Tally) -> None:
        if point not in self._ready and not tally.skip:
            try:
                self.trials.prepare(point, tally)
            except CannotTryError as error:
                tally.skip = str(error)
            self._ready.add(point)

    def _shows(self, signs: dict[str, str]) -> bool:
        return shows(self.journal.sign, signs)

    def _tally(self, point: str) -> Tally:
        return self.journal.tallies[point]

    def _name(self, point: str) -> str:
        return self.history.title(point)
