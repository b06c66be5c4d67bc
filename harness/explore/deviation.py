# SPDX-License-Identifier: MIT
"""How a guest differed from the model, and by what two such differences are one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.ktap import Outcome
from harness.explore.steps import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.ktap import KtapResult
    from harness.explore.operations import Sequence_
    from harness.explore.steps import Step

# What the interpreter prints: guest/explore/interpreter.c, interpreter/step.c.
_LINE = re.compile(r"step (?P<step>\d+): (?P<text>.*)")
_TAG = re.compile(r"tag at \S+: expected (?P<want>\d+), saw (?P<got>\d+)")
_RESULT = re.compile(r"expected (?P<want>-?\d+|a fault), saw (?P<got>-?\d+)")


@dataclass(frozen=True)
class Deviation:
    """The first thing that was not as the model has it.

    ``kind`` is its fingerprint: "tag lost", "data", "result of fork"; ``operation`` the number of
    the operation that showed it, None where a guest as a whole did ("splat warning-1f0c").
    """

    kind: str
    text: str
    operation: int | None = None
    step: int | None = None


def deviation_of(case: KtapResult, steps: Sequence[Step], sequence: Sequence_) -> Deviation | None:
    """Return how the run of a sequence deviated; None if it did not."""
    if case.outcome is Outcome.PASS:
        return None
    lines = [found for line in case.diagnostics if (found := _LINE.match(line))]
    if not lines:
        return Deviation("unclear", " ".join(case.diagnostics) or case.reason)
    number, text = int(lines[-1]["step"]), lines[-1]["text"]
    # The supervisor may name the step after the last one.
    step = steps[min(number, len(steps) - 1)]
    return Deviation(_kind(step, text, sequence), text, step.operation, number)


def _kind(step: Step, text: str, sequence: Sequence_) -> str:
    if found := _TAG.match(text):
        want, got = int(found["want"]), int(found["got"])
        return "tag lost" if not got else "tag appeared" if not want else "tag wrong"
    if text.startswith("data at"):
        return "data"
    if text.startswith("did not end"):
        return "hang"
    if text.startswith("died of signal"):
        return text
    what = (
        sequence[step.operation].kind if step.operation < len(sequence) else step.code.name.lower()
    )
    if found := _RESULT.match(text):
        name = step.name if step.code is Code.CALL else step.code.name.lower()
        return f"{what}: {name} gives {found['got']} for {found['want']}"
    return f"{what}: {text.split(',', maxsplit=1)[0]}"
