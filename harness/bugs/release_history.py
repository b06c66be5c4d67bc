# SPDX-License-Identifier: MIT
"""The kernels that Debian built as a history: releases, in the order of their branches.

6.16.12 is no ancestor of 6.17.8: both descend from v6.16, on branches of their own. Points are
tried in the order 6.16.3, 6.16.12, 6.17.8, …, which is right as long as a change that one branch
has is in all later ones. What the search ends with is then told for what it is: two releases of one
branch have a range of commits between them; two of different branches do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.bugs.points import ListHistory
from harness.core.errors import SourceError, UsageError
from harness.kernel.debian_binary import PREFIX, parse_debian
from harness.kernel.releases import parse_point_release, parse_release

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STABLE = (
    "Debian's builds are of stable branches: a change reaches them with the first release of the "
    "branch, or later as a backport."
)


class ReleaseHistory(ListHistory):
    """Releases in the order of their branches; the points are words such as debian:6.16.12."""

    def title(self, point: str) -> str:
        """Return the release's name."""
        return point

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        """Return between which releases the change is, and whether a range of commits is."""
        last = suspects[-1]
        before = self.parents(min(suspects, key=self.points.index))[0]
        untried = list(suspects[:-1])
        lines = [
            f"The bug {'came' if came else 'went'} between {before} and {last}."
            + (f" {', '.join(untried)} could not be tried." if untried else ""),
        ]
        one, other = (parse_release(_version(point)) for point in (before, last))
        if one == other:
            commits = f"v{_version(before)}..v{_version(last)}"
            lines.append(
                f"Both are of the branch linux-{one[0]}.{one[1]}.y: the change is one of its "
                f"commits {commits}, or in Debian's patches."
            )
            return lines
        has, lacks = (last, before) if came else (before, last)
        parted = (
            f"They are on different branches, and {before} is no ancestor of {last}: this is no "
            "culprit."
        )
        between = (
            f"The change is in v{one[0]}.{one[1]}..v{_version(last)}, or it is a backport that one "
            f"of the branches has: {has} has the bug, {lacks} does not."
        )
        lines += [parted, between]
        if came:
            lines.append(
                f"A fix that linux-{one[0]}.{one[1]}.y got before {_version(before)} looks the "
                f"same: an older {one[0]}.{one[1]} tells."
            )
        lines.append(STABLE)
        return lines


def release_history(
    good: str, bad: str, released: Callable[[str], Sequence[str]]
) -> tuple[ReleaseHistory, bool]:
    """Return the releases from one end to the other, and whether the bad one is the later.

    ``released`` gives the versions that Debian built, of a flavour. Raise UsageError, or
    SourceError for a release that Debian does not have.
    """
    ends = [parse_debian(word) for word in (good, bad)]
    if ends[0].flavour != ends[1].flavour:
        raise UsageError(f"{good} and {bad} differ in the flavour", "name two of one flavour")
    versions = list(released(ends[0].flavour))
    full = []
    for end in ends:
        found = [v for v in versions if v == end.version or v.startswith(f"{end.version}.")]
        if not found:
            raise SourceError(
                f"Debian has no {end.name}", f"those that can be had: {', '.join(versions)}"
            )
        full.append(found[-1])
    if full[0] == full[1]:
        raise UsageError(f"--good and --bad are the same release {full[0]}", "name two that differ")
    first, last = sorted(full, key=parse_point_release)
    chosen = [
        v
        for v in versions
        if parse_point_release(first) <= parse_point_release(v) <= parse_point_release(last)
    ]
    tail = f"-{ends[0].flavour}" if ends[0].flavour else ""
    history = ReleaseHistory([f"{PREFIX}{version}{tail}" for version in chosen])
    return history, full[0] == first


def _version(point: str) -> str:
    return parse_debian(point).version
