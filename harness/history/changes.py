# SPDX-License-Identifier: MIT
"""What changed since the last night, for one test or case on one kernel and machine. Pure.

Nights without a verdict (an error, a precondition that did not come about, a night on which
the test did not run) are looked through: a pass, an error and then a failure is a regression.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.night import State
from harness.history.stability import Stability, stability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOSE_AFTER = 7  # nights on which a known bug passes, after which it "may be closed"


class Kind(enum.StrEnum):
    """What one result is, beside the last one. The order is that of the page."""

    REGRESSION = "regression"
    NEW_FAILURE = "new failure"
    DISAPPEARED = "disappeared"
    COULD_NOT_RUN = "could not run"
    KNOWN_GONE = "known, but gone"
    UNSTABLE = "unstable"
    STILL_FAILING = "still failing"
    FIXED = "fixed"
    NEW_PASS = "new pass"
    APPEARED = "appeared"
    KNOWN = "known"
    HOLE = "not tried"
    SAME = "the same"

    @property
    def alarming(self) -> bool:
        """Whether somebody must look: it makes the night's exit status."""
        return self in _ALARMING


_ALARMING = {
    Kind.REGRESSION,
    Kind.NEW_FAILURE,
    Kind.DISAPPEARED,
    Kind.COULD_NOT_RUN,
    Kind.KNOWN_GONE,
}


@dataclass(frozen=True)
class Seen:
    """A result on an earlier night; ``night`` counts the runs of its entry, ascending."""

    night: int
    state: State


@dataclass(frozen=True)
class Change:
    """What one result is. ``before`` is the last verdict before tonight, None without one.

    ``why`` is a sentence for what the kind alone does not say. ``old``: it is told each night, and
    was an alarm on an earlier one. A known bug that does not show alarms on the first night, and on
    that on which it may be closed; what is skipped or could not run, on the first.
    """

    kind: Kind
    before: Seen | None
    numbers: Stability
    why: str = ""
    old: bool = False

    @property
    def alarming(self) -> bool:
        """Whether somebody must look."""
        return self.kind.alarming and not self.old


def classify(earlier: Sequence[Seen], now: State | None, *, expected: bool) -> Change:
    """Return what tonight's result is, after ``earlier`` ones, the oldest first.

    ``now`` is None for what has no result tonight; ``expected``: it should have one, since
    everything else that was asked for did run.
    """
    states = [seen.state for seen in earlier]
    numbers = stability(states if now is None else [*states, now])
    before = next((seen for seen in reversed(earlier) if seen.state.conclusive), None)
    kind = _kind(before.state if before else None, now, states, numbers, expected=expected)
    why = ""
    old = bool(states) and states[-1] is now and kind in {Kind.DISAPPEARED, Kind.COULD_NOT_RUN}
    if kind is Kind.DISAPPEARED:
        why = "skipped now" if now is State.SKIP else "it did not run, and nothing says why"
    elif kind is Kind.KNOWN_GONE:
        gone = _nights_gone([*states, now])
        old = gone not in {1, CLOSE_AFTER}
        why = f"the known bug did not show on {gone} night{'s' if gone > 1 else ''} in a row: " + (
            "it may be closed" if gone >= CLOSE_AFTER else "is it fixed, or not seen any more?"
        )
    return Change(kind, before, numbers, why, old)


def _kind(
    was: State | None,
    now: State | None,
    states: Sequence[State],
    numbers: Stability,
    *,
    expected: bool,
) -> Kind:
    """Return the kind of ``now``, after ``states``, the last verdict among which is ``was``."""
    if now is None or not now.conclusive:
        return _without_verdict(was, now, states, expected=expected)
    # A crash is looked at before the numbers: it is never unstable. Nor is a failure that only a
    # known bug came before: it fails in another way.
    other = now is State.FAIL and State.FAIL not in states
    if numbers.unstable and not now.crash and not other:
        return Kind.UNSTABLE
    if now.bad:
        return _failing(was, now, states)
    return _passing(was, now, states)


def _without_verdict(
    was: State | None, now: State | None, states: Sequence[State], *, expected: bool
) -> Kind:
    if now is None:
        return Kind.DISAPPEARED if states and expected else Kind.HOLE
    if now is State.SKIP:
        if expected and was not in {None, State.KNOWN}:
            return Kind.DISAPPEARED
        return Kind.SAME if states else Kind.APPEARED
    return Kind.COULD_NOT_RUN if now is State.ERROR else Kind.HOLE


def _failing(was: State | None, now: State, states: Sequence[State]) -> Kind:
    if was is None:
        return Kind.NEW_FAILURE
    worse = now.crash and not any(state.crash for state in states)
    # A known bug that fails in another way than it is known to is not known.
    return Kind.STILL_FAILING if was.bad and not worse else Kind.REGRESSION


def _passing(was: State | None, now: State, states: Sequence[State]) -> Kind:
    if now is State.KNOWN:
        return Kind.REGRESSION if was is State.PASS else Kind.KNOWN
    if now is State.EXPIRED or _was_known(states):
        return Kind.KNOWN_GONE
    if was is None:
        return Kind.NEW_PASS if states else Kind.APPEARED
    return Kind.FIXED if was.bad else Kind.SAME


def _was_known(states: Sequence[State]) -> bool:
    """Return whether the last verdict that was not a pass was that of a known bug."""
    others = [state for state in states if state.conclusive and state is not State.PASS]
    return bool(others) and others[-1] in {State.KNOWN, State.EXPIRED}


def _nights_gone(states: Sequence[State | None]) -> int:
    """Return on how many of the last nights with a verdict a known bug did not show.

    Passes before it was known are none of them.
    """
    count = gone = 0
    for state in reversed(states):
        if state is State.KNOWN:
            return count
        if state in {State.PASS, State.EXPIRED}:
            count += 1
            gone = count if state is State.EXPIRED else gone
        elif state is not None and state.conclusive:
            break
    return gone


def what_else_changed(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is not as it was then: each as ``kernel: 7.3.3 → 7.3.4``."""
    return tuple(
        f"{name}: {then.get(name) or 'unknown'} → {text or 'unknown'}"
        for name, text in now.items()
        if then.get(name) != text
    )


def attribution(changed: Sequence[str]) -> str:
    """Return what may be said of the cause."""
    if not changed:
        return "nothing else changed that is recorded: chance, or the hour of the day"
    if len(changed) == 1:
        return f"only this changed: {changed[0]}"
    names = " and ".join(text.partition(":")[0] for text in changed)
    return f"it cannot be told which did it: {names} changed ({'; '.join(changed)})"
