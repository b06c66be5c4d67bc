# SPDX-License-Identifier: MIT
"""From a test of pytest to the entry of the report, which travels on pytest's own report.

Under pytest-xdist the worker makes the entry when the test's last phase has ended; pytest
takes it to the controller as an attribute of the TestReport (xdist/remote.py sends
pytest_report_to_serializable()), and there is no second way.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from _pytest.mark.expression import Expression

from harness.core.errors import (
    BaseGoneError,
    BootError,
    GuestLostError,
    HarnessError,
    UsageError,
)
from harness.core.host_trouble import host_trouble
from harness.core.ktap import Outcome
from harness.core.paths import resources
from harness.guest.board import Board, BoardOptions
from harness.guest.guest import Guest
from harness.guest.template import Template
from harness.guest.visit import Visit
from harness.kernel import Kernel, load_series
from harness.kernel.board_address import is_board, parse_board
from harness.kernel.build_options import PLAIN, BuildOptions, parse_options
from harness.kernel.locate import split_revision
from harness.report.model import (
    NO_KERNEL,
    Entry,
    KernelRecord,
    TestRecord,
    entry_from_json,
    shortened,
    to_json,
)
from harness.suite.head_comment import Probe
from harness.suite.target import split_target
from harness.verdict.auditable import unauditable
from harness.verdict.evidence import Evidence, TestEnd
from harness.verdict.judge import judge
from harness.verdict.result import ProbeResult, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.core.progress import Progress
    from harness.guest.system import System
    from harness.guest.testbed import Testbed

ENTRY = "mte_harness_entry"
LEFT_OUT = "mte_harness_left_out"
_OUTCOMES = {Outcome.PASS: "passed", Outcome.XFAIL: "passed", Outcome.SKIP: "skipped"}
_T = TypeVar("_T")


@dataclass
class TestState:
    """What is known of a test so far.

    ``evidence`` is that of the program which the ``run`` fixture ran last, and the splats that
    came after it. ``excused``: the test itself judges what its guests' consoles show.
    ``guests`` are its clones; ``judged`` counts the splats of each that a verdict has.
    """

    __test__ = False  # pytest would take the class for a test by its name

    evidence: Evidence | None = None
    failed: bool = False
    guests: list[System] = field(default_factory=list)
    judged: dict[System, int] = field(default_factory=dict)
    phases: list[tuple[pytest.TestReport, BaseException | None]] = field(default_factory=list)


class VerdictError(AssertionError):
    """A verdict that is not good, whose text it has. ``owner`` has the evidence for it."""

    def __init__(self, result: ProbeResult, owner: TestState) -> None:
        super().__init__(result.text())
        self.result = result
        self.owner = owner


_STATE = pytest.StashKey[TestState]()
OPTIONS = pytest.StashKey[BuildOptions]()  # in the Config: how each --kernel is built


def state(item: pytest.Item) -> TestState:
    """Return the state of a test."""
    return item.stash.setdefault(_STATE, TestState())


def board_options(config: pytest.Config) -> BoardOptions:
    """Return what the user allows on each ``--kernel`` that is a board."""
    given = config.getoption
    return BoardOptions(
        given("--swap-device") or "", given("--destructive"), given("--reboot") or ""
    )


def read_options(config: pytest.Config, progress: Progress) -> BuildOptions:
    """Return how the source of each ``--kernel`` is built, with the files of ``--series`` read.

    ``progress`` is told what is left out of them. Raise UsageError or PatchError.
    """
    given = config.getoption
    series = load_series(map(Path, given("--series")), progress)
    return parse_options(
        given("--config"), given("--set") or (), llvm=given("--llvm"), series=series
    )


_EXPRESSION_CURE = "names, and, or, not, parentheses: -k 'swap and not zswap'"


def check_expressions(config: pytest.Config) -> None:
    """Raise UsageError for a ``-k`` or ``-m`` that pytest cannot read.

    pytest itself looks at them after the collection, and in a worker of pytest-xdist the error
    would take the worker down.
    """
    for option, dest in (("-k", "keyword"), ("-m", "markexpr")):
        text = config.getoption(dest)
        if not text:
            continue
        try:
            Expression.compile(text).evaluate(functools.partial(_match, option))
        except SyntaxError as error:
            raise UsageError(f"{option} {text!r}: {error.msg}", _EXPRESSION_CURE) from error


def _match(option: str, _name: str, /, **parameters: object) -> bool:
    if parameters and option == "-k":
        raise UsageError("-k takes no name with parameters", _EXPRESSION_CURE)
    return False


def target_id(argument: str, options: BuildOptions = PLAIN) -> str:
    """Return a KERNEL[@MACHINE] as it stands in test ids, with the name that ``options`` give it.

    Of a path it is the last part that tells.
    """
    if is_board(argument):
        return parse_board(argument).name
    kernel, machine = split_target(argument)
    name = _kernel_id(kernel) + options.suffix
    return f"{name}@{machine}" if machine else name


def _kernel_id(kernel: str) -> str:
    path = Path(kernel)
    if path.name == "Image" and "boot" in path.parts:
        path = path.parents[3]
    if path.name == "vmlinuz":  # of lib/modules/VERSION
        return f"{path.name}-{path.parent.name}"
    if not path.is_absolute():
        return kernel
    # A revision may have slashes.
    found = split_revision(kernel)
    return f"{found[0].name}:{found[1]}" if found else path.name


def repeat_command(item: pytest.Item) -> str:
    """Return the one command that runs this test again, from the directory of this run."""
    here = item.config.invocation_params.dir
    program = Path(sys.executable).with_name("pytest")
    words = [os.path.relpath(program, here) if program.is_relative_to(here) else str(program)]
    words.append("--qemu")
    if kernel := kernel_argument(item):
        words += ["--kernel", kernel]
    for option in ("--machine", "--qemu-binary", "--append"):
        if value := item.config.getoption(option):
            words += [option, value]
    words += item.config.stash[OPTIONS].words()
    words += board_options(item.config).words()
    return shlex.join([*words, node_id(item, here)])


def base_gone(item: pytest.Item, error: BaseException | None) -> BaseGoneError | None:
    """Return the error of a test that is skipped because the base of a kernel is gone, else None.

    Only a test that chooses its kernels itself is skipped. A ``--kernel`` that is gone is an error
    of each of its tests: a run that asked for a verdict on it must not look like a pass.
    """
    return error if isinstance(error, BaseGoneError) and not kernel_argument(item) else None


def node_id(item: pytest.Item, base: Path) -> str:
    """Return the test's id with its file's path from ``base``, or a whole path outside it.

    pytest's own node id depends on its rootdir, which any existing path among the options
    moves (_pytest/config/findpaths.py, determine_setup()).
    """
    path = os.path.relpath(item.path, base) if item.path.is_relative_to(base) else str(item.path)
    _, colons, rest = item.nodeid.partition("::")
    return path + colons + rest


def raised(call: pytest.CallInfo[None]) -> BaseException | None:
    """Return what a phase of a test raised; what this host refuses as the error that says so."""
    error = call.excinfo.value if call.excinfo else None
    return error and (host_trouble(error) or error)


def note(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Keep one phase of a test; after the last, put the entry on pytest's report."""
    error = raised(call)
    own = state(item)
    own.failed |= report.failed
    own.phases.append((report, error))
    if report.when != "teardown":
        return
    entry = _entry(item, own)
    report.user_properties += [
        ("kernel", entry.record.kernel),
        ("kernel_key", " ".join(kernel.key for kernel in entry.kernels)),
        ("machine", entry.record.machine),
        ("status", entry.record.status.value),
    ]
    # As text: execnet carries plain strings, and no enum (execnet, gateway_base.py).
    setattr(report, ENTRY, json.dumps(to_json(entry)))


def _entry(item: pytest.Item, own: TestState) -> Entry:
    arguments = getattr(item, "funcargs", {})
    probe = _first(arguments, Probe)
    guest: System | None = _first(arguments, Guest) or _first(arguments, Visit)
    template = _first(arguments, Template) or _first(arguments, Board)
    guests = list(dict.fromkeys([*([guest] if guest else []), *own.guests]))
    templates = list(dict.fromkeys(guest.template for guest in guests))
    if not templates and template:
        templates = [template]
    kernels = [template.kernel for template in templates]
    if not kernels and (kernel := _first(arguments, Kernel)):
        kernels = [kernel]
    # A kernel that does not build or boot is in no fixture.
    argument = kernel_argument(item)
    target = target_id(argument, item.config.stash[OPTIONS]) if argument else ""
    gone = next((gone for _, error in own.phases if (gone := base_gone(item, error))), None)
    evidence = own.evidence or Evidence(console="".join(guest.console.text() for guest in guests))
    evidence = dataclasses.replace(evidence, test=_end(own))
    record = TestRecord(
        id=node_id(item, resources()),
        name=probe.name if probe else item.name.split("[")[0],
        area=probe.area if probe else item.path.stem.removeprefix("test_"),
        kernel=gone.kernel
        if gone
        else ", ".join(dict.fromkeys(kernel.name for kernel in kernels)) or target or NO_KERNEL,
        machine=", ".join(dict.fromkeys(template.spec.name for template in templates)),
        seconds=sum(report.duration for report, _ in own.phases),
        result=shortened(judge(evidence)),
        about=probe.prose if probe else (getattr(item, "obj", None).__doc__ or ""),
        repeat=repeat_command(item),
        target=target,
        base_gone=gone.base if gone else "",
    )
    used = [_kernel_record(template.kernel, template) for template in templates]
    return Entry(record, tuple(used or [_kernel_record(kernel, None) for kernel in kernels]))


def kernel_argument(item: pytest.Item) -> str:
    """Return the ``--kernel`` that a test runs on, "" if it asks for none of them."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("mte_target", "")) if callspec else ""


def _kernel_record(kernel: Kernel, template: Testbed | None) -> KernelRecord:
    return KernelRecord(
        name=kernel.name,
        key=kernel.key,
        release=kernel.release,
        recipe=kernel.description,
        machine=template.spec.name if template else "",
        boot_seconds=template.boot_seconds if template else None,
        unaudited=unauditable(template) if template else "",
        board=template.facts.table() if isinstance(template, Board) else {},
    )


def _first(arguments: dict[str, Any], kind: type[_T]) -> _T | None:
    """Return the first fixture or parameter of a type, whatever its name."""
    return next((value for value in arguments.values() if isinstance(value, kind)), None)


def _end(own: TestState) -> TestEnd | None:
    """Return how the test ended, None if it passed or its program's evidence tells."""
    ends = [
        TestEnd(
            _status(report, error),
            _text(report, error),
            error.status if isinstance(error, HarnessError) and not report.skipped else None,
        )
        for report, error in own.phases
        if not report.passed and not _in_evidence(error, own)
    ]
    return min(ends, key=lambda end: end.status.rank, default=None)


def _in_evidence(error: BaseException | None, own: TestState) -> bool:
    """Return whether the evidence kept for the test gives a verdict as bad as ``error``.

    A later program's evidence replaces that of a failed one, and a known bug excuses splats that
    were printed after it: then the error itself must count.
    """
    if not isinstance(error, VerdictError) or error.owner is not own or own.evidence is None:
        return False
    return judge(own.evidence).status.rank <= error.result.status.rank


def _status(report: pytest.TestReport, error: BaseException | None) -> Status:
    if report.skipped:
        return Status.SKIP
    if isinstance(error, VerdictError):
        return error.result.status
    if isinstance(error, (BootError, GuestLostError)):
        return Status.LOST
    if isinstance(error, HarnessError) or report.when != "call":
        return Status.ERROR
    return Status.FAIL


def _text(report: pytest.TestReport, error: BaseException | None) -> str:
    if isinstance(error, VerdictError):
        return "\n".join((error.result.title, *error.result.reasons[0].details))
    if isinstance(error, HarnessError):
        return f"{error}\n{error.details}".rstrip()
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    if xfail := getattr(report, "wasxfail", ""):
        return str(xfail)
    # pytest's text begins with the test's source; what it raised says more in one line.
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = [*crash.message.splitlines()[:1]] if crash else []
    return "\n".join([*lines, report.longreprtext])


class EntryCollector:
    """Takes the entries from pytest's reports, on the controller or in the only process.

    Each KTAP result of an entry is shown to the other reporters (terminal, pytest's own
    JUnit file) as a test of its own.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.entries: list[Entry] = []
        self.errors: list[str] = []
        self.left_out = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that an option such as ``-k`` leaves out."""
        self.left_out += len(items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take the count of a worker. Each of them collects all tests (xdist/dsession.py)."""
        output = getattr(node, "workeroutput", {})
        self.left_out = max(self.left_out, int(output.get(LEFT_OUT, 0)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep an error of collection: the tests of that file are missing from the report."""
        if report.failed:
            last = report.longreprtext.strip().rpartition("\n")[2]
            self.errors.append(f"{report.nodeid} could not be collected: {last}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the entry that came along, and report its KTAP results."""
        data = getattr(report, ENTRY, None)
        if data is not None:
            entry = entry_from_json(json.loads(data))
            self.entries.append(entry)
            for case in _case_reports(report, entry.record):
                self._config.hook.pytest_runtest_logreport(report=case)
        elif report.when not in {"setup", "call", "teardown"}:
            # xdist's own report of a worker that died (xdist/dsession.py, handle_crashitem).
            self.entries.append(_crashed(report))

    def kernels(self) -> tuple[KernelRecord, ...]:
        """Return the kernels in the order of tests(), once for each machine that they came up on.

        One that did not come up anywhere is there, too.
        """
        every = [kernel for entry in self._sorted() for kernel in entry.kernels]
        booted = {kernel.name for kernel in every if kernel.machine}
        found: dict[tuple[str, str], KernelRecord] = {}
        for kernel in every:
            if kernel.machine or kernel.name not in booted:
                found.setdefault((kernel.name, kernel.machine), kernel)
        return tuple(found.values())

    def tests(self) -> tuple[TestRecord, ...]:
        """Return all records ordered by id and kernel, the same order whoever ran them."""
        return tuple(entry.record for entry in self._sorted())

    def _sorted(self) -> list[Entry]:
        return sorted(self.entries, key=lambda entry: (entry.record.id, entry.record.kernel))


def _crashed(report: pytest.TestReport) -> Entry:
    text = f"the process that ran this test died: {report.longrepr}"
    end = TestEnd(Status.ERROR, text, HarnessError.status)
    name = report.nodeid.rpartition("::")[2].split("[")[0]
    area = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
    result = judge(Evidence(test=end))
    return Entry(TestRecord(report.nodeid, name, area, NO_KERNEL, "", report.duration, result))


def _case_reports(report: pytest.TestReport, record: TestRecord) -> Iterator[pytest.TestReport]:
    for case in record.result.cases:
        name = case.name or str(case.number)
        outcome = _OUTCOMES.get(case.outcome, "failed")
        text = "\n".join([f"{case.outcome} {case.reason}".strip(), *case.diagnostics])
        known = outcome == "failed" and record.good
        if known:
            outcome = "skipped"
        longrepr: object = None
        if outcome == "failed":
            longrepr = f"{name}: {text}"
        elif outcome == "skipped":
            longrepr = (report.location[0], 0, f"Skipped: {text}")
        made = pytest.TestReport(
            # junitxml cuts an id at its first bracket and keeps what is in it.
            nodeid=report.nodeid.removesuffix("]") + f"::{name}]",
            location=report.location,
            keywords={},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=longrepr,  # type: ignore[arg-type]
            when="call",
        )
        if known:
            made.wasxfail = f"known bug: {case.diagnostics[0] if case.diagnostics else text}"
        yield made
