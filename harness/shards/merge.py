# SPDX-License-Identifier: MIT
"""One report from the reports of a plan's shards, and a name for each hole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.core import errors
from harness.report.model import Hole, HoleKind, KernelRecord, Report, TestRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.report.model import ShardRecord
    from harness.shards.plan import Plan


@dataclass(frozen=True)
class Part:
    """What a directory of a shard holds: a report, or why there is none that can be read."""

    place: str
    report: Report | None
    why: str = ""

    @property
    def shard(self) -> ShardRecord | None:
        """Which shard it is; None where the shard did not come to its end."""
        shards = self.report.shards if self.report else ()
        return shards[0] if len(shards) == 1 else None


def merge(parts: Sequence[Part], plan: Plan, command: str) -> Report:
    """Return the report of the whole plan; ``command`` is the line that it is made by.

    Only shards of this plan, run by the same mte-harness, count. Of a test that has two results the
    worse one does.
    """
    own = [part for part in parts if part.shard and not _foreign(part, plan)]
    reports = [part.report for part in own if part.report is not None]
    holes = [
        *_foreign_holes(parts, plan),
        *_shard_holes(own, plan),
        *_test_holes(own, plan),
        *_kernel_holes(own),
    ]
    now = datetime.now(UTC)
    start = min((_start(report) for report in reports), default=now)
    end = max((_end(report) for report in reports), default=now)
    return Report(
        started=start.isoformat(timespec="seconds"),
        seconds=(end - start).total_seconds(),
        command=command,
        host=_joined(report.host for report in reports),
        qemu="; ".join(dict.fromkeys(report.qemu for report in reports if report.qemu)),
        machine=_joined(report.machine for report in reports),
        kernels=_kernels(reports),
        tests=_tests(reports),
        errors=tuple(dict.fromkeys(error for report in reports for error in report.errors)),
        left_out=plan.left_out,
        shards=tuple(shard for part in own if (shard := part.shard)),
        holes=tuple(holes),
    )


def _foreign(part: Part, plan: Plan) -> str:
    """Return why a shard's report does not count, "" if it does."""
    shard = part.shard
    if shard is None:
        return part.why or ("it is of no shard that came to its end" if part.report else "")
    if shard.plan != plan.key:
        return f"it is of another plan ({shard.plan}, not {plan.key})"
    if not 1 <= shard.number <= len(plan.shards):
        return f"the plan has no shard {shard.number}"
    if shard.harness != plan.harness:
        return f"it is of another mte-harness ({shard.commit}, not {plan.commit})"
    return ""


def _foreign_holes(parts: Iterable[Part], plan: Plan) -> Iterator[Hole]:
    for part in parts:
        if why := _foreign(part, plan):
            yield Hole(HoleKind.FOREIGN, f"{part.place} does not count: {why}")


def _shard_holes(own: Iterable[Part], plan: Plan) -> Iterator[Hole]:
    """Yield a hole for each shard that is missing, there twice, or ended by the host's trouble."""
    places: dict[int, list[Part]] = {}
    for part in own:
        assert part.shard is not None
        places.setdefault(part.shard.number, []).append(part)
    for number, planned in enumerate(plan.shards, 1):
        found = places.get(number, [])
        if not found:
            text = f"shard {number} of {len(plan.shards)} is missing: {_number(planned)}"
            yield Hole(HoleKind.MISSING, text, number, tuple(test.id for test in planned))
        if len(found) > 1:
            names = ", ".join(part.place for part in found)
            yield Hole(
                HoleKind.TWICE, f"shard {number} is there {len(found)} times: {names}", number
            )
        for part in found:
            shard = part.shard
            if shard and part.report and (is_trouble(shard.status) or _unexplained(part.report)):
                text = f"shard {number} on {shard.node} ended with status {shard.status}"
                yield Hole(HoleKind.TROUBLE, ": ".join((text, *part.report.errors[:1])), number)


def _unexplained(report: Report) -> bool:
    """Return whether a shard ended with another status than 0, and no test of it says why."""
    status = report.shards[0].status
    return status not in {errors.OK, errors.UNTESTED} and report.good


def is_trouble(status: int) -> bool:
    """Return whether a shard's exit status says that the host kept tests from their verdict.

    UNTESTED is a result: no host can do better.
    """
    return errors.is_host_trouble(status) and status != errors.UNTESTED


def _test_holes(own: Sequence[Part], plan: Plan) -> Iterator[Hole]:
    """Yield the tests without a result, with two, and those that the plan does not have there."""
    twice: list[str] = []
    seen: Counter[str] = Counter()
    shards_seen = set()
    for part in own:
        shard, report = part.shard, part.report
        assert shard is not None
        assert report is not None
        planned = {test.id for test in plan.shards[shard.number - 1]}
        counts = Counter(test.id for test in report.tests)
        twice += [test_id for test_id, count in counts.items() if count > 1]
        if shard.number not in shards_seen:
            seen.update(counts.keys())
        shards_seen.add(shard.number)
        if lacking := sorted(planned - counts.keys()):
            text = f"shard {shard.number} on {shard.node} has no result of {_number(lacking)}"
            yield Hole(HoleKind.NO_RESULT, text, shard.number, tuple(lacking))
        if surplus := sorted(counts.keys() - planned):
            text = f"shard {shard.number} on {shard.node} ran {_number(surplus)} of no such plan"
            yield Hole(HoleKind.FOREIGN, text, shard.number, tuple(surplus))
    twice += [test_id for test_id, count in seen.items() if count > 1]
    if twice := sorted(set(twice)):
        text = f"{_number(twice)} ran twice; the worse result counts"
        yield Hole(HoleKind.TWICE, text, 0, tuple(twice))


def _number(tests: Sequence[object]) -> str:
    return f"{len(tests)} test{'s' if len(tests) > 1 else ''}"


def _kernel_holes(own: Iterable[Part]) -> Iterator[Hole]:
    """Yield a hole for each kernel of which shards had different builds."""
    builds: dict[str, dict[str, list[str]]] = {}
    for part in own:
        assert part.report is not None
        assert part.shard is not None
        for key, name in {(kernel.key, kernel.name) for kernel in part.report.kernels}:
            numbers = builds.setdefault(name, {}).setdefault(key, [])
            numbers.append(str(part.shard.number))
    for name, keys in sorted(builds.items()):
        if len(keys) > 1:
            had = "; ".join(f"{key} in shard {', '.join(of)}" for key, of in sorted(keys.items()))
            yield Hole(HoleKind.KERNELS, f"the shards had different builds of {name}: {had}")


def _start(report: Report) -> datetime:
    return datetime.fromisoformat(report.started)


def _end(report: Report) -> datetime:
    return _start(report) + timedelta(seconds=report.seconds)


def _joined(facts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the facts of all hosts by label; where hosts differ, each text once."""
    found: dict[str, dict[str, None]] = {}
    for one in facts:
        for label, text in one.items():
            found.setdefault(label, {})[text] = None
    return {label: "; ".join(texts) for label, texts in found.items()}


def _kernels(reports: Iterable[Report]) -> tuple[KernelRecord, ...]:
    """Return each kernel once for a machine; one that came up nowhere is there, too."""
    every = [kernel for report in reports for kernel in report.kernels]
    booted = {kernel.name for kernel in every if kernel.machine}
    found: dict[tuple[str, str, str], KernelRecord] = {}
    for kernel in every:
        if kernel.machine or kernel.name not in booted:
            found.setdefault((kernel.name, kernel.key, kernel.machine), kernel)
    return tuple(found.values())


def _tests(reports: Iterable[Report]) -> tuple[TestRecord, ...]:
    """Return the tests in the order of a report of one host; of two results the worse one."""
    found: dict[str, TestRecord] = {}
    for test in (test for report in reports for test in report.tests):
        before = found.get(test.id)
        if before is None or test.status.rank < before.status.rank:
            found[test.id] = test
    return tuple(sorted(found.values(), key=lambda test: (test.id, test.kernel)))
