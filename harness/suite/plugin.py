# SPDX-License-Identifier: MIT
"""The pytest plugin: options, and the fixtures ``machine``, ``kernel`` and ``guest``.

It comes with the package (entry point ``pytest11``), so that a test file anywhere
can say::

    def test_swap(guest, run):
        run("my_probe.c")                   # judged: KTAP, splats, taint, counters
        assert guest.exec("uname -m").stdout == "aarch64\\n"
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError
from harness.core.paths import cache_root, resources
from harness.core.progress import Silent, plain_progress
from harness.kernel.locate import sweep_build
from harness.suite import collect as recording
from harness.suite import report_files as publish
from harness.suite.gather import Run, decoded_splats, missing_needs, run_source
from harness.suite.head_comment import Probe
from harness.suite.session import Session
from harness.suite.target import Target, parse_target
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.kernel import Kernel
    from harness.vm.spec import MachineSpec

VALIDATION = resources() / "tests" / "validation"
DEFAULT_SECONDS = 60.0
SESSION = pytest.StashKey[Session]()
KEPT = pytest.StashKey["list[Guest]"]()
REACHABLE = pytest.StashKey[contextlib.ExitStack]()
NEEDS_QEMU = (
    "harness_session",
    "target",
    "kernel",
    "template",
    "guest",
    "guest_module",
    "guest_session",
)


class VerdictError(AssertionError):
    """A run that was not good: the whole verdict is its text."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.verdict.text())
        self.run = run


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--qemu`` and its companions."""
    group = parser.getgroup("mte-harness", "validate MTE kernels under QEMU")
    group.addoption("--qemu", action="store_true", help="run the tests that need a guest")
    group.addoption(
        "--kernel",
        action="append",
        metavar="KERNEL[@MACHINE]",
        help="recipe, kernel source directory or Image; more than once runs all tests on each "
        "(default: stock)",
    )
    group.addoption(
        "--machine", choices=machine_names(), help="kind of machine, where --kernel does not say"
    )
    group.addoption("--qemu-binary", metavar="PATH", help="a qemu-system-aarch64 of your own")
    group.addoption(
        "--keep-guest",
        action="store_true",
        help="when a test fails, keep its guest running and print how to get in",
    )
    group.addoption("--report", metavar="DIR", type=Path, help="write HTML, JSON and JUnit there")


def pytest_configure(config: pytest.Config) -> None:
    """Opens the session on the cache; ``pytest --qemu`` alone runs the validation suite."""
    config.addinivalue_line("markers", "probe(name): the probe that an item runs")
    if config.getoption("--keep-guest") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--keep-guest waits for a person: run it without -n")
    if not config.getoption("--qemu"):
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS and VALIDATION.is_dir():
        config.args[:] = [str(VALIDATION)]
    worker = hasattr(config, "workerinput")
    config.stash[SESSION] = Session(
        cache_root(), Silent() if worker else plain_progress(), config.getoption("--qemu-binary")
    )
    config.stash[KEPT] = []
    config.stash[REACHABLE] = contextlib.ExitStack()
    if not worker:
        config.pluginmanager.register(recording.CaseReporter(config), "mte-harness-cases")
    if config.getoption("--report") is not None and not worker:
        publish.open_report(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--qemu``, tests that need a guest are left out."""
    if config.getoption("--qemu"):
        return
    left_out = [item for item in items if _needs_guest(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _needs_guest(item)]


def _needs_guest(item: pytest.Item) -> bool:
    return any(name in getattr(item, "fixturenames", ()) for name in NEEDS_QEMU)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run of each test for each ``--kernel``."""
    if "target" in metafunc.fixturenames:
        kernels = metafunc.config.getoption("--kernel") or ["stock"]
        names = [recording.short_name(kernel) for kernel in kernels]
        metafunc.parametrize("target", kernels, ids=names, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is shown in the harness's words; a Python traceback would hide them."""
    report = yield
    if not _needs_guest(item):
        return report
    if call.excinfo is not None and isinstance(call.excinfo.value, (HarnessError, VerdictError)):
        error = call.excinfo.value
        text = str(error)
        if isinstance(error, HarnessError) and error.details:
            text += f"\n{error.details}"
        report.longrepr = f"{text}\n\nagain: {recording.repeat_command(item)}"
    recording.note(item, call, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The report, and what the JUnit file says of the whole run."""
    config = session.config
    if config.getoption("--qemu") and not hasattr(config, "workerinput"):
        publish.close_report(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table and the report's path; with ``--keep-guest``, how to get into the guests."""
    config = terminalreporter.config
    publish.summary(terminalreporter)
    for guest in config.stash.get(KEPT, []):
        handle = config.stash[REACHABLE].enter_context(guest.reachable(cache_root() / "guests"))
        terminalreporter.write_line(f"guest {handle.pid} kept: {shlex.join(handle.ssh_command())}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Kept guests live until the person has seen enough; what was being built goes."""
    guests = config.stash.get(KEPT, [])
    if guests and sys.stdin.isatty():
        with contextlib.suppress(KeyboardInterrupt):
            input("Enter ends the kept guests. ")
    if REACHABLE in config.stash:
        config.stash[REACHABLE].close()
    for guest in guests:
        guest.close()
    if SESSION in config.stash and not hasattr(config, "workerinput"):
        # After Ctrl-C pytest-xdist gives a worker 10 s, less than it takes to remove a
        # kernel's tree (xdist/workermanage.py, EXIT_TIMEOUT), and kills it.
        sweep_build(config.stash[SESSION].cache)


@pytest.fixture(scope="session")
def harness_session(request: pytest.FixtureRequest) -> Session:
    """The cache and the QEMU of this run."""
    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """One of ``--kernel``, with its machine."""
    return parse_target(request.param, request.config.getoption("--machine"))


@pytest.fixture(scope="session")
def machine(target: Target) -> MachineSpec:
    """The machine that the kernel runs on."""
    return target.machine


@pytest.fixture(scope="session")
def kernel(target: Target, harness_session: Session) -> Kernel:
    """A kernel of ``--kernel``, built."""
    return harness_session.kernel(target.kernel)


@pytest.fixture(scope="session")
def template(kernel: Kernel, machine: MachineSpec, harness_session: Session) -> Template:
    """The kernel's saved guest. A kernel that fails to boot fails each of its tests at once."""
    harness_session.check(machine)
    return harness_session.template(kernel, machine)


@contextlib.contextmanager
def _clone(request: pytest.FixtureRequest, template: Template) -> Generator[Guest]:
    config = request.config
    guest = config.stash[SESSION].guest(template)
    try:
        yield guest
        if not recording.judged(request.node) and guest.process.running():
            # A test that used the guest directly is held to the same standard.
            for splat in decoded_splats(guest.console.text(), template.kernel.vmlinux):
                pytest.fail(f"{splat.title}\n" + "\n".join(splat.lines), pytrace=False)
    finally:
        if config.getoption("--keep-guest") and recording.failed(request.node):
            config.stash[KEPT].append(guest)
        else:
            guest.close()


@pytest.fixture
def guest(request: pytest.FixtureRequest, template: Template) -> Generator[Guest]:
    """A fresh clone for this test."""
    with _clone(request, template) as clone:
        yield clone


@pytest.fixture(scope="module")
def guest_module(request: pytest.FixtureRequest, template: Template) -> Generator[Guest]:
    """One clone for a module."""
    with _clone(request, template) as clone:
        yield clone


@pytest.fixture(scope="session")
def guest_session(request: pytest.FixtureRequest, template: Template) -> Generator[Guest]:
    """One clone for the whole run."""
    with _clone(request, template) as clone:
        yield clone


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    guest: Guest,
    kernel: Kernel,
    harness_session: Session,
) -> Callable[..., Run]:
    """``run(probe_or_path, *arguments, seconds=60, ktap=True)``: runs, judges, and asserts.

    Each KTAP result is reported as an item of its own; VerdictError carries the whole
    verdict. A probe whose ``needs`` the kernel's .config does not meet is skipped with
    that reason.
    """

    def call(
        program: Probe | Path | str,
        *arguments: str,
        seconds: float = DEFAULT_SECONDS,
        ktap: bool = True,
        allowed_skips: dict[str, str] | None = None,
    ) -> Run:
        if isinstance(program, Probe):
            missing = missing_needs(program, kernel)
            if missing:
                pytest.skip(f"kernel {kernel.name} has no {' '.join(missing)}")
            source, seconds = program.path, program.timeout
        else:
            source = Path(request.path).parent / program
        result = run_source(
            guest,
            source,
            arguments,
            harness_session.programs,
            seconds=seconds,
            speaks_ktap=ktap,
            allowed_skips=allowed_skips,
        )
        recording.keep_run(request.node, result)
        if not result.verdict.status.good:
            raise VerdictError(result)
        return result

    return call
