# SPDX-License-Identifier: MIT
"""The pytest plugin's hooks: options, which tests run, and the report.

The plugin comes with the package (entry point ``pytest11``), so that a test file anywhere can
use the fixtures of ``fixtures.py``.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError, UsageError
from harness.core.paths import cache_root, require_utf8, resources
from harness.core.progress import Silent, plain_progress
from harness.kernel.board_address import is_board
from harness.kernel.workspace import sweep_build
from harness.report import terminal
from harness.report.model import tests_not_run
from harness.suite import collect
from harness.suite.head_comment import SMOKE
from harness.suite.report_files import ReportFiles
from harness.suite.session import Session
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from harness.core.progress import Progress
    from harness.guest.guest import Guest
    from harness.report.model import Report

pytest_plugins = ["harness.suite.fixtures"]

VALIDATION = resources() / "tests" / "validation"
# Every fixture of ours that needs QEMU depends on this one.
SESSION_FIXTURE = "harness_session"
# Exit statuses of pytest after which tests are missing, though those that ran may be good.
_CUT_SHORT: dict[int, str] = {
    pytest.ExitCode.INTERRUPTED: "it was interrupted",
    pytest.ExitCode.INTERNAL_ERROR: "pytest or a plugin of it has a bug",
}


@dataclass
class RunState:
    """What one pytest process with ``--qemu`` has open.

    ``collector`` and ``files`` are None in a worker of pytest-xdist; ``files`` is also None
    without ``--report``. ``kept`` are the guests of ``--keep-guest``.
    """

    session: Session
    collector: collect.EntryCollector | None = None
    files: ReportFiles | None = None
    report: Report | None = None
    kept: list[Guest] = field(default_factory=list)
    reachable: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


STATE = pytest.StashKey[RunState]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--qemu`` and its companions."""
    group = parser.getgroup("mte-harness", "validate MTE kernels under QEMU")
    group.addoption("--qemu", action="store_true", help="run the tests that need a guest")
    group.addoption(
        "--kernel",
        action="append",
        metavar="KERNEL[@MACHINE]",
        help="recipe, directory, .deb or Image; more than once runs all tests on each "
        "(default: stock)",
    )
    group.addoption(
        "--machine", choices=machine_names(), help="kind of machine, where --kernel names none"
    )
    group.addoption(
        "--qemu-binary",
        metavar="PATH|RELEASE",
        help="a qemu-system-aarch64 of your own, or a release of it, which is fetched (11.1)",
    )
    group.addoption(
        "--append",
        metavar="WORDS",
        default="",
        help="more words for the command line of each --kernel",
    )
    group.addoption(
        "--series",
        action="append",
        metavar="FILE",
        default=[],
        help="patches (an mbox, a patch, a directory of patches) on top of each --kernel; given "
        "twice, one after the other",
    )
    group.addoption(
        "--config",
        dest="mte_config",
        metavar="FILE|tree",
        help="a .config that each --kernel's build starts from, or `tree` for the source's own",
    )
    group.addoption(
        "--set",
        dest="mte_symbols",
        action="append",
        metavar="SYMBOL=VALUE",
        help="a config symbol of each --kernel; may be repeated",
    )
    group.addoption(
        "--llvm", dest="mte_llvm", action="store_true", help="build each --kernel with clang"
    )
    group.addoption(
        "--keep-guest",
        action="store_true",
        help="when a test fails, keep its guest running and print how to log in",
    )
    group.addoption(
        "--bundle",
        metavar="DIR",
        type=Path,
        help="take each --kernel from this directory, which mte-harness bundle made",
    )
    group.addoption(
        "--swap-device",
        metavar="DEVICE",
        help="the one block device of a board that may be written: probes swap to it",
    )
    group.addoption(
        "--destructive",
        action="store_true",
        help="run probes that take pages or CPUs from a board's kernel until it boots again",
    )
    group.addoption(
        "--reboot",
        metavar="COMMAND",
        help="a shell line of this host that resets a board after a test that failed",
    )
    group.addoption("--report", metavar="DIR", type=Path, help="write HTML, JSON and JUnit there")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Say which option of a conftest.py is ours as well; pytest would print a traceback."""
    try:
        return (yield)
    except ValueError as error:
        # _pytest/config/argparsing.py: an option, or the name of its value, is "already" there.
        if "already" not in str(error):
            raise
        raise pytest.UsageError(
            f"conftest.py adds an option that mte-harness has: {error} "
            "(-p no:mte-harness runs your tests without it)"
        ) from error


def pytest_configure(config: pytest.Config) -> None:
    """Open the session on the cache; without a named test, run the validation suite."""
    config.addinivalue_line("markers", f"{SMOKE}: a probe of the short run")
    if config.getoption("--keep-guest") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--keep-guest waits for a person: run it without -n")
    worker = hasattr(config, "workerinput")
    progress = Silent() if worker else plain_progress()
    try:
        config.stash[collect.OPTIONS] = collect.read_options(config, progress)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    if not config.getoption("--qemu"):
        return
    if _names_no_test(config) and VALIDATION.is_dir():
        config.args[:] = [str(VALIDATION)]
    try:
        collect.check_expressions(config)
        words = map(str, config.invocation_params.args)
        require_utf8(*words, str(Path.cwd()), tempfile.gettempdir())
        state = RunState(_session(config, progress))
    except HarnessError as error:
        pytest.exit(f"mte-harness: {error}", returncode=error.status)
    config.stash[STATE] = state
    if worker:
        return
    state.collector = collect.EntryCollector(config)
    config.pluginmanager.register(state.collector, "mte-harness-entries")
    directory = config.getoption("--report")
    if directory is not None and not config.getoption("--collect-only"):
        try:
            state.files = ReportFiles(directory)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error


def _session(config: pytest.Config, progress: Progress) -> Session:
    options = collect.board_options(config)
    kernels = config.getoption("--kernel") or []
    boards = [kernel for kernel in kernels if is_board(kernel)]
    if boards and (config.getoption("numprocesses", None) or hasattr(config, "workerinput")):
        raise UsageError(f"{boards[0]} is one machine, and takes one test at a time", "without -n")
    if options.words() and not boards:
        raise UsageError(
            f"{options.words()[0]} is for a board, and no --kernel is one",
            "--kernel ssh://root@board",
        )
    qemu_binary = config.getoption("--qemu-binary")
    return Session(cache_root(), progress, qemu_binary, board_options=options)


def _names_no_test(config: pytest.Config) -> bool:
    """Return whether the command line names no test.

    The first path-like word decides where pytest looks for its ini file, before it knows the
    options of plugins (_pytest/config/findpaths.py, determine_setup()): with
    ``--kernel ~/linux`` it finds none, and the source is INVOCATION_DIR in place of TESTPATHS.
    The ``testpaths`` of another project are that project's choice.
    """
    source = pytest.Config.ArgsSource
    if config.args_source is source.TESTPATHS:
        return config.rootpath == resources()
    return config.args_source is source.INVOCATION_DIR


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that need a guest, unless ``--qemu`` is there."""
    if config.getoption("--qemu"):
        return
    left_out = [item for item in items if _needs_qemu(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _needs_qemu(item)]


def _needs_qemu(item: pytest.Item) -> bool:
    return SESSION_FIXTURE in getattr(item, "fixturenames", ())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the kernel under test once for each ``--kernel``."""
    if "mte_target" in metafunc.fixturenames:
        kernels = metafunc.config.getoption("--kernel") or ["stock"]
        options = metafunc.config.stash[collect.OPTIONS]
        ids = [collect.target_id(kernel, options) for kernel in kernels]
        metafunc.parametrize("mte_target", kernels, ids=ids, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failure in the harness's words; a Python traceback would hide them."""
    report = yield
    if STATE not in item.config.stash:
        return report
    error = collect.raised(call)
    if isinstance(error, (HarnessError, collect.VerdictError)):
        text = str(error)
        if isinstance(error, HarnessError) and error.details:
            text += f"\n{error.details}"
        report.longrepr = f"{text}\n\nagain: {collect.repeat_command(item)}"
        if collect.base_gone(item, error):
            report.outcome = "skipped"
            report.longrepr = (str(item.path), 0, f"Skipped: {error}")
    collect.note(item, call, report)
    return report


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """In a worker of pytest-xdist, keep the number of tests left out for the controller."""
    for item in items[:1]:
        output = getattr(item.config, "workeroutput", None)
        if output is not None:
            output[collect.LEFT_OUT] = output.get(collect.LEFT_OUT, 0) + len(items)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report."""
    state = session.config.stash.get(STATE, None)
    if state and state.files and state.collector:
        errors = state.collector.errors
        if exitstatus in _CUT_SHORT and not errors:
            errors.append(f"the run was cut short: {_CUT_SHORT[exitstatus]}")
        state.report = state.files.write(state.collector, state.session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table and the report's path; with ``--keep-guest``, how to log in to the guests."""
    state = terminalreporter.config.stash.get(STATE, None)
    if state is None:
        return
    if state.report and state.files:
        color = terminalreporter.hasmarkup
        terminalreporter.write_line(terminal.render(state.report, state.files.page, color=color))
    for guest in state.kept:
        handle = state.reachable.enter_context(guest.reachable(cache_root() / "guests"))
        terminalreporter.write_line(f"guest {handle.pid} kept: {shlex.join(handle.ssh_command())}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait for Enter, then end the kept guests; remove half-built kernel trees.

    The run's last line names the tests that could not run because the base of a kernel is gone.
    """
    state = config.stash.get(STATE, None)
    if state is None:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and state.collector and (line := tests_not_run(state.collector.tests())):
        reporter.write_line(line)
    if state.kept and sys.stdin.isatty():
        with contextlib.suppress(KeyboardInterrupt):
            input("Enter ends the kept guests. ")
    state.reachable.close()
    for guest in state.kept:
        guest.close()
    if not hasattr(config, "workerinput"):
        # After Ctrl-C pytest-xdist gives a worker 10 s, less than it takes to remove a
        # kernel's tree (xdist/workermanage.py, EXIT_TIMEOUT), and kills it.
        sweep_build(state.session.cache)
