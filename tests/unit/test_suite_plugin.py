# SPDX-License-Identifier: MIT
"""Whole runs of pytest with the plugin and a fake session: report, terminal, exit status."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from harness.core import errors
from harness.core.errors import BootError, HarnessError
from harness.core.paths import resources
from harness.jobs.run_suite import worst_status
from harness.report import json_file
from harness.report.model import NO_KERNEL
from harness.suite.report_files import JUNIT, PAGE, REPORT
from harness.verdict.result import Status
from tests.support.fake_session import UNREACHABLE, FakeSession

if TYPE_CHECKING:
    from harness.report.model import Report, TestRecord

pytest_plugins = ["pytester"]

HEAD = """
import os
from pathlib import Path

import pytest

from harness.core.errors import GuestLostError, QemuMissingError
from harness.suite.head_comment import read
from harness.suite.program import Program
from tests.support.fake_session import PANIC, WARN


def ktap(name):
    return Program(f"./{name}", 10, speaks_ktap=True)


PROBES = [read(path) for path in Path(__file__).with_name("swap").glob("*.py")]


@pytest.fixture
def broken():
    raise QemuMissingError("no qemu-system-aarch64 on this host", "install it")
"""
# Each test of the suite, with what the report must hold of it.
SUITE = '''
def test_passes(run):
    """The docstring."""
    run(ktap("passes"))

def test_fails(run):
    run(ktap("fails"))

def test_warns(run):
    run(ktap("warns"))

def test_taints(run):
    run(ktap("taints"))

def test_leaks(run):
    run(ktap("leaks"))

def test_frees_late(run):
    run(ktap("frees_late"))

def test_panics(run):
    run(ktap("panics"))

def test_hangs(run):
    run(ktap("hangs"))

def test_crashes(run):
    run(ktap("crashes"))

def test_is_no_proof(run):
    run(ktap("silent"))

def test_shows_known_bug(run):
    run(ktap("fails"), known_bug="docs/findings/x.md")

def test_xfails_for_known_bug(run):
    result = run(ktap("fails"), known_bug="docs/findings/x.md")
    pytest.xfail(result.title)

def test_known_bug_is_gone(run):
    run(ktap("passes"), known_bug="docs/findings/x.md")
    assert not "no longer shows"

@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(probe, run):
    run(probe)

def test_luckless(run):
    run(ktap("luckless"))

def test_used_guest(run, guest):
    guest.exec("true")
    run(ktap("luckless"))

def test_two_programs(run):
    run(ktap("passes"))
    run(ktap("fails"))

def test_plain():
    pass

def test_plain_fails():
    assert 1 == 2, "two lines\\nof text"

def test_skips_itself():
    pytest.skip("no zram")

@pytest.mark.xfail(reason="not yet", strict=True)
def test_strict_xpass():
    pass

@pytest.mark.xfail(reason="not yet")
def test_xfail():
    assert not "good"

def test_broken_fixture(broken, guest):
    pass

def test_teardown_fails(request):
    request.addfinalizer(lambda: 1 / 0)

def test_guest(guest):
    assert guest.exec("uname -m").status == 0

def test_guest_warns(guest):
    guest.prints(WARN)

def test_guest_warns_and_fails(guest):
    guest.prints(WARN)
    assert not "the guest"

def test_warns_after_the_run(guest, run):
    run(ktap("passes"))
    guest.prints(WARN)

def test_loses_its_guest(guest):
    raise GuestLostError("guest lost in phase: x", details="PC=0")

def test_template_only(template):
    assert template.spec.name == "emulator"

def test_kernel_only(kernel):
    assert kernel.name == "stock"

def test_launches(launch):
    guest = launch("stock", "dram", "quiet")
    assert guest.template.append == "quiet"

def test_launches_two_kernels(launch):
    launch("stock")
    launch("debug")

def test_launched_guest_warns(launch):
    launch("stock").prints(WARN)

def test_launched_guest_warns_and_ends(launch):
    with launch("stock") as guest:
        guest.prints(WARN)

def test_launched_guest_warns_beside_a_run(launch, run):
    run(ktap("passes"))
    launch("stock").prints(WARN)

def test_launched_guest_is_excused(launch):
    launch("stock", excused=True).prints(WARN)

def test_only_one_guest_is_excused(launch):
    launch("stock", excused=True)
    launch("stock").prints(WARN)

def test_runs_in_a_launched_guest(launch):
    launch.runner(launch("stock"))(ktap("warns"))

@pytest.mark.parametrize("number", [1, 2])
def test_parameters(number, run):
    run(ktap("passes" if number == 1 else "fails"))
'''


@dataclass(frozen=True)
class Told:
    """What the report has of a test."""

    status: str
    title: str
    kernel: str = "stock"
    machine: str = "emulator"
    cases: int = 0
    splats: int = 0


ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
WARNING = "WARNING: CPU: 0 PID: 99 at mm/ksm.c:9"
OWN = (NO_KERNEL, "")
EXPECTED = {
    "passes": Told("pass", "passed", cases=2),
    "fails": Told("fail", "second", cases=2),
    "warns": Told("splat", WARNING, cases=2, splats=1),
    "taints": Told("splat", "the kernel became tainted: B", cases=2),
    "leaks": Told("fail", "not given back: SUnreclaim", cases=2),
    "frees_late": Told("pass", "passed", cases=2),
    "panics": Told("lost", "guest lost in phase: running: ./panics", splats=1),
    "hangs": Told("fail", "did not end within 10 s", cases=1),
    "crashes": Told("fail", "ended with exit status 139 (killed by signal 11)", cases=1),
    "is_no_proof": Told("error", "the program's output is no proof: no KTAP version"),
    "shows_known_bug": Told("skip", "known bug (docs/findings/x.md): second", cases=2),
    "xfails_for_known_bug": Told("skip", "known bug (docs/findings/x.md): second", cases=2),
    "known_bug_is_gone": Told("fail", "AssertionError: assert not 'no longer shows'", cases=2),
    "probe[passes]": Told("pass", "passed", cases=2),
    "probe[needs_more]": Told("skip", "Skipped: kernel stock has no CONFIG_ZRAM"),
    "luckless": Told("untested", "second: not put to the test", cases=2),
    "used_guest": Told("untested", "second: not put to the test, what it needs did not", cases=2),
    "two_programs": Told("fail", "second", cases=2),
    "plain": Told("pass", "passed", *OWN),
    "plain_fails": Told("fail", "AssertionError: two lines", *OWN),
    "skips_itself": Told("skip", "Skipped: no zram", *OWN),
    "strict_xpass": Told("fail", "[XPASS(strict)] not yet", *OWN),
    "xfail": Told("skip", "not yet", *OWN),
    "broken_fixture": Told("error", "no qemu-system-aarch64 on this host (install it)"),
    "teardown_fails": Told("error", "ZeroDivisionError: division by zero", *OWN),
    "guest": Told("pass", "passed"),
    "guest_warns": Told("splat", WARNING, splats=1),
    "guest_warns_and_fails": Told("splat", WARNING, splats=1),
    "warns_after_the_run": Told("splat", WARNING, cases=2, splats=1),
    "loses_its_guest": Told("lost", "guest lost in phase: x"),
    "template_only": Told("pass", "passed"),
    "kernel_only": Told("pass", "passed", machine=""),
    "launches": Told("pass", "passed", machine="dram/carveout"),
    "launches_two_kernels": Told("pass", "passed", kernel="stock, debug"),
    "launched_guest_warns": Told("splat", WARNING, splats=1),
    "launched_guest_warns_and_ends": Told("splat", WARNING, splats=1),
    "launched_guest_warns_beside_a_run": Told("splat", WARNING, cases=2, splats=1),
    "launched_guest_is_excused": Told("pass", "passed"),
    "only_one_guest_is_excused": Told("splat", WARNING, splats=1),
    "runs_in_a_launched_guest": Told("splat", WARNING, cases=2, splats=1),
    "parameters[1]": Told("pass", "passed", cases=2),
    "parameters[2]": Told("fail", "second", cases=2),
}
PROBE = """# SPDX-License-Identifier: MIT
#
# probe: {name}
# {needs}
# timeout: 30
#
# Tags survive. And more.
"""


class Runs:
    """Makes test files and runs pytest on them, in this process or (with ``-n``) in another."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._pytester.makeini("[pytest]\n")
        # Of a worker; and pytest must not load another version of the plugin there.
        monkeypatch.setenv("PYTHONPATH", str(resources()))
        self.path = pytester.path
        for name, needs in (
            ("passes", "needs: CONFIG_ARM64_MTE"),
            ("needs_more", "needs: CONFIG_ZRAM"),
        ):
            (self.path / "swap").mkdir(exist_ok=True)
            (self.path / "swap" / f"{name}.py").write_text(PROBE.format(name=name, needs=needs))

    def suite(self, tests: str = SUITE, name: str = "test_suite.py") -> None:
        (self.path / name).write_text(HEAD + tests)

    def __call__(self, *words: str, **options: bool) -> pytest.RunResult:
        words = ("-p", "no:cacheprovider", "--qemu", "--report", "report", *words)
        words = ("-p", "tests.support.fake_session", *words)
        if "-n" in words:
            # xdist gives its workers the sys.path that was there when it was imported
            # (xdist/workermanage.py, _sys_path), which may lack this repository.
            return self._pytester.runpytest_subprocess(*words)
        return self._pytester.runpytest_inprocess(*words, **options)

    @property
    def report(self) -> Report:
        return json_file.read(self.path / "report" / REPORT)

    @property
    def tests(self) -> dict[str, TestRecord]:
        """Return the records by their test's name, without test_ and the kernel's id."""
        names = [
            re.sub(r"stock-?|\[stock\]", "", test.id.partition("::test_")[2])
            for test in self.report.tests
        ]
        assert len(set(names)) == len(names)
        return dict(zip(names, self.report.tests, strict=True))


@pytest.fixture
def runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(pytester, monkeypatch)


def told(record: TestRecord) -> Told:
    result = record.result
    return Told(
        result.status,
        result.title,
        record.kernel,
        record.machine,
        len(result.cases),
        len(result.splats),
    )


def timeless(report: Report) -> list[TestRecord]:
    """Return the records without what differs between two runs: times, and addresses."""
    return [
        replace(
            test,
            seconds=0,
            repeat="",
            result=replace(
                test.result,
                phases=dict.fromkeys(test.result.phases, 0.0),
                samples=tuple(replace(sample, seconds=0) for sample in test.result.samples),
                reasons=tuple(
                    replace(reason, details=tuple(ADDRESS.sub("", x) for x in reason.details))
                    for reason in test.result.reasons
                ),
            ),
        )
        for test in report.tests
    ]


def check_each(tests: dict[str, TestRecord]) -> None:
    assert set(tests) == set(EXPECTED)
    for name, expected in EXPECTED.items():
        seen = told(tests[name])
        assert seen.title.startswith(expected.title), name
        assert replace(seen, title=expected.title) == expected, name


def test_every_test_that_ran_is_in_the_report(runs: Runs) -> None:
    runs.suite()
    assert runs("test_suite.py").ret == pytest.ExitCode.TESTS_FAILED
    check_each(runs.tests)
    assert runs.report.errors == ()
    assert [(kernel.name, kernel.machine) for kernel in runs.report.kernels] == [
        ("stock", "emulator"),
        ("stock", "dram/carveout"),
        ("debug", "emulator"),
    ]


def test_workers_report_what_one_process_does(runs: Runs) -> None:
    """One of them dies in a test, and a file cannot be imported: the rest is all there."""
    runs.suite()
    runs("test_suite.py")
    alone = runs.report
    runs.suite("def test_dies(guest): os._exit(9)\n", "test_dead.py")
    (runs.path / "test_broken.py").write_text("import no_such_module\n")
    files = ("test_broken.py", "test_dead.py", "test_suite.py")
    result = runs("-n", "1", "--continue-on-collection-errors", *files)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    tests = runs.tests
    dead = tests.pop("dies")
    check_each(tests)
    assert [test for test in timeless(runs.report) if test.name != "test_dies"] == timeless(alone)
    assert runs.report.kernels == alone.kernels
    assert dead.status is Status.ERROR
    assert dead.result.exit_status == HarnessError.status
    assert dead.result.title.startswith("the process that ran this test died: ")
    assert "crashed" in dead.result.title
    (error,) = runs.report.errors
    assert error == (
        "test_broken.py could not be collected: "
        "E   ModuleNotFoundError: No module named 'no_such_module'"
    )
    result.stdout.fnmatch_lines(["✗ No verdict: test_broken.py could not be collected: *"])


def test_record_of_a_test(runs: Runs) -> None:
    runs.suite()
    runs("test_suite.py", "-k", "test_passes or test_probe or test_fails")
    tests = runs.tests
    plain = tests["passes"]
    assert (plain.name, plain.area, plain.about) == ("test_passes", "suite", "The docstring.")
    assert plain.id == f"{runs.path}/test_suite.py::test_passes[stock]"
    assert list(plain.result.phases) == ["clone", "before", "run", "after"]
    assert plain.seconds > 0
    assert [sample.values["SUnreclaim"] for sample in plain.result.samples] == [3000, 3000]
    probe = tests["probe[passes]"]
    assert (probe.name, probe.area, probe.about) == ("passes", "swap", "Tags survive. And more.")
    failed = tests["fails"].result
    assert failed.reasons[0].details == ("saw 2",)
    assert failed.stdout.startswith("KTAP version 1\n1..2\n")
    assert failed.stderr == "a line of stderr\n"
    (kernel,) = runs.report.kernels
    assert (kernel.key, kernel.release, kernel.recipe) == (
        "key-of-stock",
        "6.12.117",
        "recipe stock",
    )
    assert kernel.boot_seconds == 1.25
    assert kernel.unaudited == "tags are not in DRAM"


def test_consoles_of_all_guests_of_a_test_are_in_its_record(runs: Runs) -> None:
    runs.suite(
        "def test_one(guest, launch):\n"
        "    guest.prints('[    1.000000] one\\n')\n"
        "    launch('stock').prints('[    1.000000] two\\n')\n"
    )
    runs("test_suite.py")
    assert runs.tests["one"].result.console == "[    1.000000] one\n[    1.000000] two\n"


def test_record_of_a_kernel_is_that_of_its_boot(runs: Runs) -> None:
    """A test that takes only the fixture ``kernel`` knows neither boot time nor machine."""
    runs.suite("def test_a(kernel): pass\ndef test_b(guest): pass\ndef test_c(kernel): pass\n")
    runs("test_suite.py")
    (kernel,) = runs.report.kernels
    assert (kernel.boot_seconds, kernel.unaudited) == (1.25, "tags are not in DRAM")


def test_run_is_described(runs: Runs) -> None:
    runs.suite("def test_passes(run): run(ktap('passes'))\n")
    result = runs("test_suite.py")
    assert result.ret == pytest.ExitCode.OK
    report = runs.report
    assert report.qemu == "QEMU emulator version 10.0.0"
    assert report.machine["emulator"]
    assert report.machine["cpus"] == "2"
    assert {"system", "cpus", "memory", "python"} <= set(report.host)
    assert report.good
    assert {path.name for path in (runs.path / "report").iterdir()} == {REPORT, PAGE, JUNIT}


# The terminal.


ONE = "def test_one(run): run(ktap({name!r}))\n"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("fails", ["fail: second", "    saw 2"]),
        ("warns", [f"splat: {WARNING}*", "    WARNING: CPU: 0 *"]),
        ("taints", ["splat: the kernel became tainted: B (bad page *"]),
        ("leaks", ["fail: not given back: SUnreclaim: 3000 before, 12000 kB after*"]),
        ("panics", ["lost: guest lost in phase: running: ./panics: the kernel reset *"]),
        ("hangs", ["fail: did not end within 10 s"]),
    ],
)
def test_failure_is_told_in_the_harness_s_words(runs: Runs, name: str, lines: list[str]) -> None:
    runs.suite(ONE.format(name=name))
    result = runs("test_suite.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(lines)
    result.stdout.fnmatch_lines(
        ["again: */pytest --qemu --kernel stock 'test_suite.py::test_one[[]stock[]]'"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*gather.py*")
    result.stdout.no_fnmatch_line("E  *")
    result.stdout.fnmatch_lines(
        ["✗ stock: 1 of 1 tests failed*", f"report: {runs.path}/report/{PAGE}"]
    )


def test_how_a_source_is_built_is_repeated_and_named(runs: Runs) -> None:
    runs.suite(ONE.format(name="fails"))
    result = runs("--set", "CONFIG_KASAN=y", "--llvm", "test_suite.py")
    test = "'test_suite.py::test_one[[]stock+KASAN=y+llvm[]]'"
    result.stdout.fnmatch_lines(
        [
            f"again: */pytest --qemu --kernel stock --set=KASAN=y --llvm {test}",
            "✗ stock+KASAN=y+llvm: 1 of 1 tests failed*",
        ]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "KASAN"), "--set 'KASAN' is not SYMBOL=VALUE"),
        (("--config", ""), "--config names no file"),
    ],
)
def test_options_that_are_wrong_in_themselves(
    runs: Runs, words: tuple[str, ...], message: str
) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs(*words, "test_suite.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])


def test_options_that_do_not_go_with_the_kernel(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs("--config", "x.config", "test_suite.py")
    result.stdout.fnmatch_lines(["stock is a recipe, which has its own configuration*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_summary_of_a_good_run(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes") + "def test_plain(): pass\n")
    result = runs("test_suite.py")
    result.stdout.fnmatch_lines(
        ["*stock*no kernel*", "suite*✓ 1*✓ 1*", "✓ stock: 1 passed; no kernel: 1 passed in *"]
    )


def test_each_ktap_case_is_counted_as_a_test(runs: Runs) -> None:
    runs.suite(ONE.format(name="fails"))
    runs("test_suite.py").assert_outcomes(passed=1, failed=2)
    runs.suite(ONE.format(name="passes"))
    runs("test_suite.py").assert_outcomes(passed=3)


def test_ktap_cases_are_listed_by_name(runs: Runs) -> None:
    runs.suite(ONE.format(name="fails"))
    runs("-v", "test_suite.py").stdout.fnmatch_lines(
        ["*test_one[[]stock::first[]] PASSED*", "*test_one[[]stock::second[]] FAILED*"]
    )


def test_known_bug_is_no_failure_anywhere(runs: Runs) -> None:
    runs.suite(
        "def test_one(run):\n"
        "    pytest.xfail(run(ktap('fails'), known_bug='docs/findings/x.md').title)\n"
    )
    result = runs("test_suite.py", "--junitxml", "own.xml")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, xfailed=2)
    assert runs.report.good
    for path in (runs.path / "own.xml", runs.path / "report" / JUNIT):
        (suite,) = ElementTree.parse(path).getroot()
        assert (suite.get("failures"), suite.get("errors")) == ("0", "0"), path


def test_a_case_gets_what_it_needs_in_a_later_guest(runs: Runs) -> None:
    runs.suite(ONE.format(name="lucky"))
    result = runs("test_suite.py")
    assert result.ret == pytest.ExitCode.OK
    assert runs.report.good
    assert runs.report.tests[0].result.again == {"second": 3}
    result.stdout.fnmatch_lines(["test_one::second on stock was tried in 3 guests"])
    assert len(FakeSession.last.guests) == 3
    assert all(guest.closed for guest in FakeSession.last.guests)


@pytest.mark.parametrize(("first", "guests"), [("", 5), ("    guest.exec('true')\n", 1)])
def test_a_case_never_gets_what_it_needs(runs: Runs, first: str, guests: int) -> None:
    """A guest in which the test did something has no equal."""
    runs.suite(f"def test_one(run, guest):\n{first}    run(ktap('luckless'))\n")
    assert runs("test_suite.py").ret == pytest.ExitCode.TESTS_FAILED
    result = runs.report.tests[0].result
    assert (result.status, result.exit_status) == (Status.UNTESTED, errors.UNTESTED)
    assert len(FakeSession.last.guests) == guests


def test_junit_file_of_pytest_itself_has_cases_and_properties(runs: Runs) -> None:
    runs.suite(ONE.format(name="fails"))
    runs("test_suite.py", "--junitxml", "own.xml")
    (suite,) = ElementTree.parse(runs.path / "own.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    names = [case.get("name") for case in suite.findall("testcase")]
    assert names == ["test_one[stock]", "test_one[stock::first]", "test_one[stock::second]"]
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties == {
        "kernel": "stock",
        "kernel_key": "key-of-stock",
        "machine": "emulator",
        "status": "fail",
    }


# What ends a run.


def test_error_of_collection_is_no_good_run(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    (runs.path / "test_broken.py").write_text("import no_such_module\n")
    result = runs("test_suite.py", "test_broken.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (error,) = runs.report.errors
    assert "test_broken.py could not be collected" in error
    assert "No module named 'no_such_module'" in error
    assert not runs.report.good
    result.stdout.fnmatch_lines(["✗ No verdict: test_broken.py could not be collected: *"])


def test_interrupted_run_is_no_good_run(runs: Runs) -> None:
    runs.suite(
        ONE.format(name="passes")
        + "def test_two(): raise KeyboardInterrupt\ndef test_three(): pass\n"
    )
    result = runs("test_suite.py", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert runs.report.tests[0].status is Status.PASS
    assert runs.report.errors == ("the run was cut short: it was interrupted",)
    assert not runs.report.good
    assert all(guest.closed for guest in FakeSession.last.guests)


def test_run_without_tests_is_no_good_run(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs("test_suite.py", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not runs.report.good
    result.stdout.fnmatch_lines(["✗ No verdict: no test ran*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(
    "words", [("-k", "and and"), ("-k", "one("), ("-k", "a(b=1)"), ("-m", "not")]
)
def test_an_expression_that_cannot_be_read(
    runs: Runs, words: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs("test_suite.py", *words, *workers)
    assert result.ret == errors.UsageError.status
    result.stderr.fnmatch_lines([f"*mte-harness: {words[0]} *"])


def test_kernel_that_does_not_exist(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs("--kernel", "no-such-kernel", "test_suite.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (test,) = runs.report.tests
    assert test.status is Status.ERROR
    assert "no-such-kernel" in test.result.title
    result.stdout.no_fnmatch_line("*Traceback*")


def test_kernel_that_does_not_boot_fails_each_of_its_tests(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise BootError("kernel stock did not come up: silent", details="console:\nPC=0")

    monkeypatch.setattr(FakeSession, "template", silent)
    runs.suite("def test_one(run): pass\ndef test_two(guest): pass\ndef test_three(): pass\n")
    runs("test_suite.py")
    one, two, three = (runs.tests[name] for name in ("one", "two", "three"))
    assert three.good
    for test in (one, two):
        assert (test.status, test.kernel) == (Status.LOST, "stock")
        assert test.result.title == "kernel stock did not come up: silent"
        assert test.result.reasons[0].details == ("console:", "PC=0")


GONE_SUITE = """
def test_one(launch): launch("mutants")
def test_other(launch): launch("mutants")
def test_bad(launch): launch("known-bad/stale-tags")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_tests_whose_base_is_gone_are_skipped_and_named(
    runs: Runs, workers: tuple[str, ...]
) -> None:
    runs.suite(GONE_SUITE + "def test_fine(guest): pass\n")
    result = runs(*workers, "test_suite.py")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=3)
    line = "3 tests not run: base gone: linux-source-7.3 (known-bad/stale-tags, mutants)"
    assert result.outlines[-1] == line
    assert runs.report.good
    assert worst_status(runs.report) == errors.OK
    one = runs.tests["one"]
    assert (one.status, one.kernel, one.base_gone) == (Status.SKIP, "mutants", "linux-source-7.3")
    assert one.result.title == "base gone: linux-source-7.3 (the cure)"
    assert one.result.exit_status == errors.OK
    assert runs.tests["fine"].base_gone == ""
    assert line in (runs.path / "report" / PAGE).read_text()
    tree = ElementTree.parse(runs.path / "report" / JUNIT)
    assert len(tree.findall(".//skipped")) == 3


def test_a_run_in_which_every_base_is_gone_is_no_good_run(runs: Runs) -> None:
    runs.suite(GONE_SUITE)
    result = runs("test_suite.py")
    result.assert_outcomes(skipped=3)
    assert result.outlines[-1].startswith("3 tests not run: base gone: linux-source-7.3 (")
    assert not runs.report.good


@pytest.mark.parametrize("words", [(), ("--kernel", "stock")])
def test_a_kernel_under_test_that_is_gone_is_an_error(runs: Runs, words: tuple[str, ...]) -> None:
    runs.suite(GONE_SUITE + "def test_probe(guest): pass\ndef test_kernel(kernel): pass\n")
    result = runs(*words, "--kernel", "mutants", "test_suite.py")
    good = 2 * bool(words)
    result.assert_outcomes(passed=good, skipped=3, errors=2)
    assert worst_status(runs.report) == errors.SourceError.status
    assert result.outlines[-1].startswith("3 tests not run: ")


@pytest.mark.parametrize(
    "error",
    ["OSError(24, 'Too many open files')", 'RuntimeError("can\'t start new thread")'],
)
def test_what_the_host_refuses_in_a_test_is_no_failure(runs: Runs, error: str) -> None:
    runs.suite(f"def test_one(guest): raise {error}\n")
    runs("test_suite.py").assert_outcomes(failed=1)
    assert runs.report.tests[0].status is Status.ERROR
    assert worst_status(runs.report) == HarnessError.status


def test_a_place_that_does_not_answer_is_an_error(runs: Runs) -> None:
    runs.suite(f'def test_one(launch): launch("{UNREACHABLE}")\ndef test_two(guest): pass\n')
    result = runs("test_suite.py")
    result.assert_outcomes(failed=1, passed=1)
    assert worst_status(runs.report) == errors.NetworkError.status
    result.stdout.no_fnmatch_line("*not run*")


@pytest.mark.parametrize(
    ("error", "status", "exit_status"),
    [
        ("QemuDiedError('QEMU was killed')", Status.ERROR, 172),
        ("DiskFullError('no space')", Status.ERROR, 169),
        ("BootError('silent')", Status.LOST, 5),
        ("GuestLostError('panic')", Status.LOST, 4),
        ("AssertionError('bad')", Status.FAIL, 1),
    ],
)
def test_trouble_keeps_its_exit_status(
    runs: Runs, error: str, status: Status, exit_status: int
) -> None:
    runs.suite(f"from harness.core.errors import *\ndef test_one(guest): raise {error}\n")
    runs("test_suite.py")
    result = runs.tests["one"].result
    assert (result.status, result.exit_status) == (status, exit_status)


# Guests.


def test_each_guest_s_splats_are_in_the_report(runs: Runs) -> None:
    runs.suite(
        "def test_one(launch):\n"
        "    for kernel in ('stock', 'debug'):\n"
        "        launch(kernel).prints(WARN)\n"
        "def test_two(launch):\n"
        "    with launch('stock') as guest:\n"
        "        guest.prints(WARN)\n"
        "        assert not 'good'\n"
    )
    runs("test_suite.py")
    one, two = (told(runs.tests[name]) for name in ("one", "two"))
    assert (one.status, one.splats) == (Status.SPLAT, 2)
    assert (two.status, two.splats) == (Status.SPLAT, 1)


def test_words_for_the_kernel_s_command_line(runs: Runs) -> None:
    runs.suite("def test_one(guest): assert guest.template.append == 'quiet mte=1'\n")
    runs("--append", "quiet mte=1", "test_suite.py")
    assert runs.tests["one"].good
    assert " --kernel stock --append 'quiet mte=1' " in runs.tests["one"].repeat


DIFF = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n"


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_series_on_top_of_each_kernel(runs: Runs, workers: tuple[str, ...]) -> None:
    """Its name is in the kernel's, in the test's id and in the command that repeats the test."""
    runs.suite("def test_one(guest): assert 0\n")
    (runs.path / "v3-fix.mbox").write_text(f"From x\nSubject: [PATCH] fix\n\n---\n{DIFF}")
    (runs.path / "more.diff").write_text(DIFF)
    series = ("--series", "v3-fix.mbox", "--series=more.diff")
    runs("--kernel", "stock", "--kernel", "debug@dram", *series, *workers, "test_suite.py")
    tests = {test.kernel: test for test in runs.report.tests}
    assert set(tests) == {"stock+v3-fix+more", "debug+v3-fix+more"}
    dram = tests["debug+v3-fix+more"]
    assert dram.id.endswith("::test_one[debug+v3-fix+more@dram]")
    assert dram.column == "debug+v3-fix+more@dram"
    again = f" --series={runs.path}/v3-fix.mbox --series={runs.path}/more.diff 'test_suite.py::"
    assert again in dram.repeat
    runs(*shlex.split(dram.repeat)[2:])
    assert [test.id for test in runs.report.tests] == [dram.id]


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_file_that_is_no_series_ends_the_run(runs: Runs, workers: tuple[str, ...]) -> None:
    runs.suite("def test_one(guest): pass\n")
    result = runs("--series", "no.mbox", *workers, "test_suite.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --series: there is no no.mbox (*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_tests_left_out_are_counted(runs: Runs, workers: tuple[str, ...]) -> None:
    runs.suite("def test_one(guest): pass\ndef test_two(guest): pass\ndef test_three(): pass\n")
    result = runs(*workers, "-k", "one", "test_suite.py")
    assert runs.report.left_out == 2
    result.stdout.fnmatch_lines(["✓ stock: 1 passed; 2 tests left out in *"])


def test_a_conftest_with_an_option_of_ours(runs: Runs) -> None:
    (runs.path / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--kernel', default='mine')\n"
    )
    runs.suite("def test_one(): pass\n")
    result = runs("test_suite.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*conftest.py adds an option that mte-harness has: *kernel*"])


def test_one_kernel_on_two_machines_has_two_columns(runs: Runs) -> None:
    runs.suite("def test_one(guest): pass\n")
    result = runs("--kernel", "stock", "--kernel", "stock@dram", "test_suite.py")
    result.stdout.fnmatch_lines(["✓ stock@dram: 1 passed; stock: 1 passed in *"])
    kernels = [(kernel.name, kernel.machine) for kernel in runs.report.kernels]
    assert kernels == [("stock", "dram/carveout"), ("stock", "emulator")]


def test_guests_end_with_their_tests(runs: Runs) -> None:
    runs.suite(
        "def test_one(guest): pass\n"
        "def test_two(guest, launch):\n"
        "    launch('stock')\n"
        "    assert not 'good'\n"
    )
    runs("test_suite.py")
    guests = FakeSession.last.guests
    assert len(guests) == 3
    assert [guest.fake.closed for guest in guests] == [1, 1, 1]


@pytest.mark.parametrize(
    ("test", "kept"),
    [
        ("def test_one(guest): assert not 'good'", True),
        ("def test_one(run): run(ktap('fails'))", True),
        ("def test_one(guest): guest.prints(WARN)", True),
        ("def test_one(launch): launch('stock'); assert not 'good'", True),
        ("def test_one(run): run(ktap('passes'))", False),
        ("def test_one(guest): pytest.skip('x')", False),
    ],
)
def test_keep_guest(runs: Runs, test: str, *, kept: bool) -> None:
    runs.suite(test + "\n")
    result = runs("--keep-guest", "test_suite.py")
    line = "guest 4711 kept: ssh -p 2222 -i */guests/4711/key *root@127.0.0.1"
    if kept:
        result.stdout.fnmatch_lines([line])
    else:
        result.stdout.no_fnmatch_line("guest * kept*")
    (guest,) = FakeSession.last.guests
    assert guest.closed  # at the end of pytest, once Enter was pressed


def test_keep_guest_keeps_only_the_guest_of_the_failed_test(runs: Runs) -> None:
    runs.suite("def test_one(guest): pass\ndef test_two(guest): assert not 'good'\n")
    result = runs("--keep-guest", "test_suite.py")
    result.stdout.fnmatch_lines(["guest 4712 kept: *"])
    result.stdout.no_fnmatch_line("guest 4711 kept: *")


def test_keep_guest_with_workers_is_refused(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    result = runs("--keep-guest", "-n", "2", "test_suite.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--keep-guest waits for a person: run it without -n"])


def test_session_is_prepared_once_for_all_tests(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr(FakeSession, "check", lambda _self, spec: checked.append(spec.name))
    runs.suite(
        "def test_one(guest): pass\ndef test_two(launch): launch('stock'), launch('debug')\n"
    )
    runs("test_suite.py")
    assert checked == ["emulator", "emulator"]  # of stock, of debug


# Options.


def test_each_kernel_runs_each_test(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes") + "def test_plain(): pass\n")
    result = runs("--kernel", "stock", "--kernel", "debug@dram", "test_suite.py")
    assert result.ret == pytest.ExitCode.OK
    told_of = [(test.name, test.kernel, test.machine) for test in runs.report.tests]
    assert told_of == [
        ("test_one", "debug", "dram/carveout"),
        ("test_one", "stock", "emulator"),
        ("test_plain", NO_KERNEL, ""),
    ]


def test_machine_option(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes") + "def test_two(launch): launch('stock')\n")
    runs("--machine", "dram", "test_suite.py")
    assert {test.machine for test in runs.report.tests} == {"dram/carveout"}
    assert all("--machine dram" in test.repeat for test in runs.report.tests)


def test_test_is_repeated_by_its_command(runs: Runs) -> None:
    """The command is run from the directory of the first run, with the same fake session."""
    runs.suite(SUITE)
    runs("--kernel", "stock", "test_suite.py", "-k", "parameters")
    failed = runs.tests["parameters[2]"]
    program, *words = failed.repeat.split()
    assert program.endswith("pytest")
    assert words[:3] == ["--qemu", "--kernel", "stock"]
    runs("--kernel", "stock", words[3].strip("'"))
    assert [test.id for test in runs.report.tests] == [failed.id]
    assert timeless(runs.report) == [
        test for test in timeless(runs.report) if test.status is Status.FAIL
    ]


def test_report_directory_is_made_before_any_test(runs: Runs) -> None:
    runs.suite(ONE.format(name="passes"))
    (runs.path / "report").write_text("a file")
    result = runs("test_suite.py")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*PASSED*")


def test_without_qemu_nothing_of_it_runs(runs: Runs, pytester: pytest.Pytester) -> None:
    runs.suite()
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "test_suite.py", "-k", "plain")
    result.assert_outcomes(passed=1, failed=1, deselected=len(EXPECTED) - 2)
    result.stdout.no_fnmatch_line("again: *")


@pytest.mark.parametrize("name", ["target", "guest", "kernel", "machine", "template", "run"])
def test_a_user_s_own_fixture_of_that_name_is_theirs(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(
        f"import pytest\n\n@pytest.fixture\ndef {name}():\n    return 'mine'\n\n"
        f"def test_it({name}):\n    assert {name} == 'mine'\n"
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["target", "guest", "kernel", "run"])
def test_a_user_s_own_fixture_of_that_name_in_a_run_with_qemu(runs: Runs, name: str) -> None:
    runs.suite(
        f"@pytest.fixture\ndef {name}():\n    return 'mine'\n\n"
        f"def test_it({name}):\n    assert {name} == 'mine'\n"
    )
    assert runs("test_suite.py").ret == pytest.ExitCode.OK
    (test,) = runs.report.tests
    assert (test.status, test.kernel) == (Status.PASS, NO_KERNEL)
