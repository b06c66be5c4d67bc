# SPDX-License-Identifier: MIT
"""The pytest fixtures: ``kernel``, ``machine``, ``template``, ``guest``, ``launch``, ``run``.

A test file anywhere can write::

    def test_swap(guest, run):
        run("my_probe.c")                   # judged: KTAP, splats, taint, counters
        assert guest.exec("uname -m").stdout == "aarch64\\n"
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.guest.board import Board
from harness.guest.guest import Guest
from harness.suite.board_probes import not_on
from harness.suite.collect import OPTIONS, TestState, VerdictError, state
from harness.suite.gather import decoded_splats, gather, later, left_out, why_not
from harness.suite.head_comment import Probe, cases_of
from harness.suite.plugin import STATE
from harness.suite.program import Program, file_program, probe_program
from harness.suite.target import Target, parse_target
from harness.suite.tries import gather_until_tested
from harness.verdict.evidence import Evidence
from harness.verdict.judge import judge

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from harness.guest.system import System
    from harness.guest.template import Template
    from harness.guest.testbed import Testbed
    from harness.kernel import Kernel
    from harness.suite.session import Session
    from harness.verdict.result import ProbeResult
    from harness.verdict.splat import Splat
    from harness.vm.spec import MachineSpec

DEFAULT_SECONDS = 60.0


@pytest.fixture(scope="session")
def harness_session(request: pytest.FixtureRequest) -> Session:
    """Return the cache and the QEMU of this run."""
    return request.config.stash[STATE].session


@pytest.fixture(scope="session")
def mte_target(
    request: pytest.FixtureRequest,
    harness_session: Session,  # noqa: ARG001 - what depends on it is left out without --qemu
) -> Target:
    """Return one of ``--kernel``, with its machine."""
    given = request.config.getoption
    options = request.config.stash[OPTIONS]
    machine, append, bundle = given("--machine"), given("--append"), given("--bundle")
    return parse_target(request.param, machine, append, options, bundle)


@pytest.fixture(scope="session")
def machine(mte_target: Target) -> MachineSpec:
    """Return the machine that the kernel runs on."""
    return mte_target.spec


@pytest.fixture(scope="session")
def kernel(mte_target: Target, harness_session: Session) -> Kernel:
    """Return a kernel of ``--kernel``, built, or as it runs on a board."""
    return harness_session.kernel_of(mte_target)


@pytest.fixture(scope="session")
def template(mte_target: Target, harness_session: Session) -> Testbed:
    """Return the kernel's saved guest. A kernel that fails to boot fails each of its tests.

    Of a board it is what was learned about it.
    """
    return harness_session.testbed(mte_target)


@contextlib.contextmanager
def _clone(
    request: pytest.FixtureRequest, template: Testbed, *, excused: bool = False
) -> Iterator[System]:
    """Hold a clone, or a visit; at its end, fail the test for a splat that no verdict has.

    Where the test fails anyway, also by the splat of another clone, the report has this one's too.
    """
    config, own = request.config, state(request.node)
    guest = config.stash[STATE].session.system(template)
    own.guests.append(guest)
    try:
        yield guest
    except Exception:
        if not excused:
            _note_rest(own, guest)
        raise
    else:
        if not excused and (splats := _note_rest(own, guest)):
            raise VerdictError(judge(Evidence(splats=splats)), own)
    finally:
        if own.failed:
            guest.suspect()
        if config.getoption("--keep-guest") and own.failed and isinstance(guest, Guest):
            config.stash[STATE].kept.append(guest)
        else:
            guest.close()


def _note_rest(own: TestState, guest: System) -> tuple[Splat, ...]:
    """Add the splats that came outside the programs which ``run`` has judged to the evidence."""
    console = guest.console.text()
    splats = decoded_splats(console, guest.template.kernel.vmlinux)[own.judged.get(guest, 0) :]
    if splats:
        seen = own.evidence or Evidence()
        own.evidence = dataclasses.replace(seen, splats=(*seen.splats, *splats), console=console)
        own.failed = True
    return splats


@pytest.fixture
def guest(request: pytest.FixtureRequest, template: Testbed) -> Generator[System]:
    """Return a fresh clone for this test, or a visit to the board under test."""
    with _clone(request, template) as clone:
        yield clone


class Runner:
    """Runs programs in the test's guest, and fails the test for a verdict that is not good."""

    def __init__(self, request: pytest.FixtureRequest, guest: System, session: Session) -> None:
        self._request = request
        self._guest = guest
        self._session = session

    def __call__(
        self,
        program: Probe | Program | Path | str,
        *arguments: str,
        seconds: float = DEFAULT_SECONDS,
        ktap: bool = True,
        allowed_skips: Mapping[str, str] | None = None,
        known_bug: str = "",
    ) -> ProbeResult:
        """Run a probe, a Program, or a file (relative to the test's own); return its result.

        A probe that is not for the kernel (``needs``, ``since``, ``until``) is skipped.
        ``known_bug``: a page of docs/findings; where a case fails, it is reported as that bug.
        """
        kernel = self._guest.template.kernel
        if isinstance(program, Probe):
            if why := why_not(program, kernel):
                pytest.skip(why)
            probe = program
            program = dataclasses.replace(
                probe_program(probe, self._session.programs, kernel.page_size),
                fixed_later=later(probe.fixed, kernel),
            )
            absent = left_out(probe, kernel)
            if isinstance(board := self._guest.template, Board):
                absent = {**not_on(probe, board), **absent}
            if absent and set(absent) >= set(cases_of(probe)):
                pytest.skip(f"{probe.name}: {', '.join(dict.fromkeys(absent.values()))}")
            if absent:
                program = program.without(absent, cases_of(probe))
        elif not isinstance(program, Program):
            program = file_program(
                Path(self._request.path).parent / program,
                self._session.programs,
                arguments,
                page_size=kernel.page_size,
                seconds=seconds,
                speaks_ktap=ktap,
                allowed_skips=allowed_skips,
            )
        if known_bug:
            program = dataclasses.replace(program, known_bug=known_bug)
        own = state(self._request.node)
        own.evidence = self._gather(program)
        result = judge(own.evidence)
        if not result.status.good:
            raise VerdictError(result, own)
        return result

    def _gather(self, program: Program) -> Evidence:
        """Run the program; where chance did not give what it needs, again in other clones.

        A guest in which something has run already has no equal: then there is one try.
        """
        template = self._guest.template
        if self._guest.used:
            return self._gather_in(self._guest, program)

        def attempt(program: Program) -> Evidence:
            # A board is one machine: a second visit at once would find it busy.
            if not self._guest.used or isinstance(template, Board):
                return self._gather_in(self._guest, program)
            with _clone(self._request, template) as guest:
                return self._gather_in(guest, program)

        return gather_until_tested(attempt, program, template, self._session.preconditions)

    def _gather_in(self, guest: System, program: Program) -> Evidence:
        evidence = gather(guest, program)
        state(self._request.node).judged[guest] = len(evidence.splats)
        return evidence


class Launcher:
    """Launches guests of any kernel on any machine for one test; they end with the test."""

    def __init__(self, request: pytest.FixtureRequest, session: Session) -> None:
        self._request = request
        self._session = session
        self._stack = contextlib.ExitStack()

    def template(
        self, kernel: str, machine: str | MachineSpec | None = None, append: str = ""
    ) -> Template:
        """Return the saved guest, built and booted if need be.

        ``kernel`` is a KERNEL[@MACHINE] argument, ``machine`` a name or a machine's data (default:
        ``--machine``, then the recipe's), ``append`` more words for the kernel's command line.
        """
        if isinstance(machine, str) or machine is None:
            name = machine or self._request.config.getoption("--machine")
            target = parse_target(kernel, name)
        else:
            target = dataclasses.replace(parse_target(kernel, None), spec=machine)
        return self._session.prepare(target, append)

    def __call__(
        self,
        kernel: str | Template,
        machine: str | MachineSpec | None = None,
        append: str = "",
        *,
        excused: bool = False,
    ) -> Guest:
        """Return a fresh clone of template(…); it also ends with a ``with`` block of its own.

        A splat on its console fails the test, unless the clone is ``excused``: then the test
        judges the console itself.
        """
        if isinstance(kernel, str):
            kernel = self.template(kernel, machine, append)
        guest = self._stack.enter_context(_clone(self._request, kernel, excused=excused))
        assert isinstance(guest, Guest)  # template() refuses a board
        return guest

    def runner(self, guest: System) -> Runner:
        """Return what runs and judges programs in ``guest``, as the fixture ``run`` does."""
        return Runner(self._request, guest, self._session)

    def close(self) -> None:
        """End all guests."""
        self._stack.close()


@pytest.fixture
def launch(request: pytest.FixtureRequest, harness_session: Session) -> Generator[Launcher]:
    """Return what launches guests: ``launch("tag-storage", "dram/tag-storage", "quiet")``."""
    launcher = Launcher(request, harness_session)
    yield launcher
    launcher.close()


@pytest.fixture
def run(request: pytest.FixtureRequest, guest: System, harness_session: Session) -> Runner:
    """Return ``run(probe_or_path, *arguments, seconds=60, ktap=True)``, which runs and judges."""
    return Runner(request, guest, harness_session)
