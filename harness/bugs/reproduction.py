# SPDX-License-Identifier: MIT
"""Some runs of a reproducer on one kernel: how often it showed which signs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.bugs.signs import in_words, shows, usual_sign
from harness.bugs.tally import Tally
from harness.core.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.bugs.search import Trials
    from harness.verdict.result import ProbeResult

SUMMARY = "reproduce.json"


@dataclass(frozen=True)
class Reproduction:
    """``tally`` counts the runs that showed ``sign``; that is "" if none showed anything."""

    sign: str
    tally: Tally

    def lines(self) -> list[str]:
        """Return the verdict: one line, and one for each sign that was seen."""
        tally = self.tally
        head = f"reproduced {tally.hits} of {tally.runs}"
        if self.sign and tally.hits:
            head += f", sign: {self.sign}"
        signs = [f"  {sign}: {line}" for sign, line in tally.signs.items()]
        others = [f"  {count} of {tally.runs} only: {sign}" for sign, count in tally.others.items()]
        return [head, *signs, *others]


def reproduce(
    trials: Trials, point: str, runs: int, sign: str, say: Callable[[str], None]
) -> Reproduction:
    """Run some times on a kernel; ``sign`` "" is the one that most runs show.

    Raise CannotTryError or HarnessError.
    """
    tally = Tally()
    trials.prepare(point, tally)
    seen: list[dict[str, str]] = []
    for number in range(1, runs + 1):
        signs = trials.run(point)
        seen.append(signs)
        say(f"run {number} of {runs}: {in_words(signs)}")
    sign = sign or usual_sign(seen) or ""
    for signs in seen:
        tally.add(signs, shows=shows(sign, signs))
    return Reproduction(sign, tally)


class Keeper:
    """Keeps the console and the output of each run in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._number = 0
        directory.mkdir(parents=True, exist_ok=True)

    def __call__(self, _: str, result: ProbeResult) -> None:
        """Keep one run."""
        self._number += 1
        name = f"run-{self._number:03}"
        replace_file(self.directory / f"{name}.console.txt", result.console.encode())
        text = f"{result.text()}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}\n"
        replace_file(self.directory / f"{name}.output.txt", text.encode())

    def summary(self, facts: dict[str, object]) -> None:
        """Write what was run, and what it gave."""
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        replace_file(self.directory / SUMMARY, f"{text}\n".encode())
