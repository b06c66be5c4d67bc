# SPDX-License-Identifier: MIT
"""From pytest's items to the records of the report; KTAP results as items of their own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from harness.core.errors import BootError, GuestLostError, HarnessError
from harness.core.ktap import Outcome
from harness.guest.guest import Guest
from harness.guest.template import Template
from harness.kernel import Kernel
from harness.report import json_file
from harness.report.model import (
    Item,
    KernelRecord,
    ReasonRecord,
    Sample,
    findings,
)
from harness.suite.head_comment import Probe
from harness.verdict.auditable import unauditable
from harness.verdict.judge import Status

if TYPE_CHECKING:
    from harness.suite.gather import Run

RUN = pytest.StashKey["Run"]()
FAILED = pytest.StashKey[bool]()
EXCUSED = pytest.StashKey[bool]()
REPORTS = pytest.StashKey["list[tuple[pytest.TestReport, BaseException | None]]"]()
KERNELS_SEEN = pytest.StashKey["set[str]"]()
CONSOLE_LINES = 60
KERNELS = "kernels.jsonl"
CASES = "mte_harness_cases"

_T = TypeVar("_T")

_OUTCOMES = {Outcome.PASS: "passed", Outcome.XFAIL: "passed", Outcome.SKIP: "skipped"}


def short_name(kernel: str) -> str:
    """A kernel argument as it stands in test ids: a path's last part that says something."""
    path = Path(kernel)
    if path.name == "Image" and "boot" in path.parts:
        path = path.parents[3]
    return path.name if path.is_absolute() else kernel


def worker(config: pytest.Config) -> str:
    """``gw0`` … under xdist, else ``main``."""
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))


# --- while a test runs ---------------------------------------------------------


def keep_run(item: pytest.Item, run: Run) -> None:
    """Keeps ``run`` with its item."""
    item.stash[RUN] = run


def excuse(item: pytest.Item) -> None:
    """Tells that the test itself judges what its guest's console shows."""
    item.stash[EXCUSED] = True


def judged(node: pytest.Item | pytest.Session) -> bool:
    """Whether somebody has judged, or will judge, what this item's guest printed."""
    return RUN in node.stash or EXCUSED in node.stash


def failed(node: pytest.Item | pytest.Session) -> bool:
    """Whether this item (or, for a session, any item) has failed so far."""
    return node.stash.get(FAILED, False)


class CaseReporter:
    """Gives each KTAP result of a test to every reporter (terminal, JUnit) as its own item.

    It is registered where reports are shown: under xdist a worker may only report
    the item that it runs (xdist/remote.py), so the results travel with that report.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds a report for each result that came along."""
        for name, outcome, text in getattr(report, CASES, ()):
            longrepr: object = None
            if outcome == "failed":
                longrepr = f"{name}: {text}"
            elif outcome == "skipped":
                longrepr = (report.location[0], 0, f"Skipped: {text}")
            case = pytest.TestReport(
                # junitxml cuts an id at its first bracket and keeps what is in it.
                nodeid=report.nodeid.removesuffix("]") + f"::{name}]",
                location=report.location,
                keywords={},
                outcome=outcome,
                longrepr=longrepr,  # type: ignore[arg-type]
                when="call",
            )
            self._config.hook.pytest_runtest_logreport(report=case)


def _cases(run: Run) -> list[tuple[str, str, str]]:
    """Name, pytest outcome and text of each KTAP result; plain values, for xdist."""
    document = run.verdict.evidence.document
    return [
        (
            result.name or str(result.number),
            _OUTCOMES.get(result.outcome, "failed"),
            "\n".join([f"{result.outcome} {result.reason}".strip(), *result.diagnostics]),
        )
        for result in (document.results if document else ())
    ]


def repeat_command(item: pytest.Item) -> str:
    """The one command that runs this item again."""
    words = [".venv/bin/pytest", "--qemu"]
    config = item.config
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "target" in callspec.params:
        words += ["--kernel", str(callspec.params["target"])]
    for option in ("--machine", "--qemu-binary"):
        if value := config.getoption(option):
            words += [option, value]
    return shlex.join([*words, item.nodeid])


# --- when its phases end -------------------------------------------------------


def note(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Collects a test's phases; after the last, hands the item in to the report."""
    if report.failed:
        item.stash[FAILED] = True
        item.session.stash[FAILED] = True
    if report.when == "call" and RUN in item.stash:
        setattr(report, CASES, _cases(item.stash[RUN]))
    seen = item.stash.setdefault(REPORTS, [])
    seen.append((report, call.excinfo.value if call.excinfo else None))
    if report.when != "teardown":
        return
    record = _record(item, seen)
    kernel = _kernel(item)
    report.user_properties += [
        ("kernel", record.kernel),
        ("kernel_key", kernel.key if kernel else ""),
        ("qemu", _qemu(item)),
        ("machine", record.machine),
        ("status", record.status),
    ]
    directory = item.config.getoption("--report")
    if directory is not None and kernel is not None:
        json_file.append_item(directory, worker(item.config), record)
        _hand_in_kernel(item, directory)


def _argument(item: pytest.Item, name: str, kind: type[_T]) -> _T | None:
    """The item's fixture or parameter; somebody else's test may mean another thing by its name."""
    found = getattr(item, "funcargs", {}).get(name)
    return found if isinstance(found, kind) else None


def _template(item: pytest.Item) -> Template | None:
    guest = _argument(item, "guest", Guest)
    return guest.template if guest else _argument(item, "template", Template)


def _kernel(item: pytest.Item) -> Kernel | None:
    template = _template(item)
    return template.kernel if template else _argument(item, "kernel", Kernel)


def _qemu(item: pytest.Item) -> str:
    template = _template(item)
    return template.machine.qemu.banner if template else ""


def _status(report: pytest.TestReport, error: BaseException | None) -> Status:
    if report.skipped:
        return Status.SKIP
    if report.passed:
        return Status.PASS
    if isinstance(error, (BootError, GuestLostError)):
        return Status.LOST
    if isinstance(error, HarnessError) or report.when != "call":
        return Status.ERROR
    return Status.FAIL


def _record(item: pytest.Item, seen: list[tuple[pytest.TestReport, BaseException | None]]) -> Item:
    run = item.stash.get(RUN, None)
    probe = _argument(item, "probe", Probe)
    order = list(Status)
    worst, error = min(seen, key=lambda pair: order.index(_status(*pair)))
    status = _status(worst, error)
    reasons: tuple[ReasonRecord, ...] = ()
    if status is not Status.PASS:
        first, *rest = worst.longreprtext.splitlines() or [str(status)]
        if status is Status.SKIP and isinstance(worst.longrepr, tuple):
            first, rest = worst.longrepr[2], []
        reasons = (ReasonRecord(status.value, first, tuple(rest)),)
    guest = _argument(item, "guest", Guest)
    fields: dict[str, object] = {"status": status.value, "reasons": reasons}
    if run is not None and not run.verdict.status.good:
        fields = findings(run.verdict)
    elif run is not None:
        fields |= {k: v for k, v in findings(run.verdict).items() if k == "cases"}
    kernel = _kernel(item)
    return Item(
        id=item.nodeid,
        name=probe.name if probe else item.name.split("[")[0],
        area=probe.area if probe else Path(item.path).stem.removeprefix("test_"),
        kernel=kernel.name if kernel else "",
        machine=template.spec.name if (template := _template(item)) else "",
        seconds=sum(report.duration for report, _ in seen),
        phases=run.phases if run else {},
        about=probe.prose if probe else (getattr(item, "obj", None).__doc__ or ""),
        console=_tail(run.console if run else (guest.console.text() if guest else "")),
        repeat=repeat_command(item),
        counters=_samples(run) if run else (),
        **fields,  # type: ignore[arg-type]
    )


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-CONSOLE_LINES:])


def _samples(run: Run) -> tuple[Sample, ...]:
    spent = run.phases
    taken = ((spent.get("before", 0.0), run.before), (sum(spent.values()), run.after))
    return tuple(
        Sample(seconds, {**snapshot.meminfo, **snapshot.vmstat})
        for seconds, snapshot in taken
        if snapshot
    )


def _hand_in_kernel(item: pytest.Item, directory: Path) -> None:
    """Each worker names each of its kernels once."""
    kernel, template = _kernel(item), _template(item)
    seen = item.session.stash.setdefault(KERNELS_SEEN, set())
    if kernel is None or kernel.name in seen:
        return
    seen.add(kernel.name)
    facts = {
        "name": kernel.name,
        "key": kernel.key,
        "release": kernel.release,
        "recipe": kernel.description,
        "boot_seconds": template.boot_seconds if template else None,
        "unaudited": unauditable(template) if template else "",
    }
    with (directory / KERNELS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def kernels(directory: Path, items: tuple[Item, ...]) -> tuple[KernelRecord, ...]:
    """The kernels that the workers handed in, with the clone times of their items."""
    path = directory / KERNELS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    facts = {entry["name"]: entry for entry in map(json.loads, lines)}
    return tuple(
        KernelRecord(
            **entry,
            clone_seconds=tuple(
                item.phases["clone"]
                for item in items
                if item.kernel == entry["name"] and "clone" in item.phases
            ),
        )
        for entry in facts.values()
    )
