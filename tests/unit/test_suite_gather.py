# SPDX-License-Identifier: MIT
"""gather(): its round trips with a guest, and what is evidence when one of them fails."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.cross import PAGE_SIZES
from harness.core.errors import AuditError, GuestLostError, HarnessError, QemuDiedError
from harness.core.paths import resources
from harness.guest.ssh import Completed
from harness.suite import gather as gather_module
from harness.suite.gather import gather, later, left_out, run_program, why_not
from harness.suite.head_comment import CaseChange, CaseNeed, Change, Probe, cases_of, discover
from harness.suite.program import Program, PushedFile, file_program, page_size_skips
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.result import Status
from harness.vm.cpu_share import CpuTime
from harness.vm.spec import find_machine
from tests.support.fake_session import FAILS, PASSES, FakeGuest, Played, fake_kernel, fake_template

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.store import Store

PROBE = Program("./passes", 30, speaks_ktap=True)
SETTLE_MARK = "drop_caches"

PROBES = discover(resources() / "guest" / "probes")


@pytest.fixture
def guest(tmp_path: Path) -> FakeGuest:
    return FakeGuest(fake_template(fake_kernel(tmp_path), find_machine("emulator")))


def steps(guest: FakeGuest) -> list[str]:
    """Return each round trip in a word."""
    return [
        "settled counters" if SETTLE_MARK in call.line
        else "counters and push" if "dd if=" in call.line
        else "counters" if "tail -n +1 /proc/meminfo" in call.line
        else "what grew" if "/status" in call.line
        else call.line
        for call in guest.calls
    ]  # fmt: skip


def plays(guest: FakeGuest, **change: Any) -> Program:
    """Let the next program be one that passes, but for ``change``."""
    guest.played = replace(Played(), **change)
    return PROBE


# The round trips.


def test_order_of_the_round_trips(guest: FakeGuest, tmp_path: Path) -> None:
    path = tmp_path / "passes"
    path.write_bytes(b"binary")
    evidence = gather(guest, replace(PROBE, files=(PushedFile(path, "passes"),)))
    assert steps(guest) == ["counters and push", "./passes", "settled counters"]
    assert list(evidence.phases) == ["clone", "before", "run", "after"]
    assert evidence.phases["clone"] == guest.clone_seconds
    assert all(seconds >= 0 for seconds in evidence.phases.values())


def test_time_limits_of_the_round_trips(guest: FakeGuest) -> None:
    gather(guest, PROBE)
    counters, program, settled = guest.calls
    assert counters.timeout == settled.timeout == guest.limits.counters
    assert program.timeout == PROBE.seconds


def test_caches_are_not_dropped_before_the_program(guest: FakeGuest) -> None:
    """In a fresh clone that would make every program be read from the disk again."""
    gather(guest, PROBE)
    assert SETTLE_MARK not in guest.calls[0].line
    assert "stat_refresh" in guest.calls[0].line


def test_swap_and_files_are_removed_before_the_counters_are_read_again(guest: FakeGuest) -> None:
    gather(guest, PROBE)
    line = guest.calls[-1].line
    order = ["swapoff -a", "/sys/block/zram", "rm -rf /tmp/*", "nr_hugepages", SETTLE_MARK,
             "stat_refresh", "/proc/meminfo", "/proc/vmstat", "/proc/zoneinfo"]  # fmt: skip
    places = [line.index(part) for part in order]
    assert places == sorted(places)


def test_evidence_of_a_program_that_passes(guest: FakeGuest) -> None:
    guest.prints("[    1.000000] swap: hello\n")
    evidence = gather(guest, PROBE)
    assert evidence.lost is None
    assert evidence.splats == ()
    assert evidence.console == "[    1.000000] swap: hello\n"
    program = evidence.program
    assert program is not None
    assert program.document is not None and program.document.passed
    assert (program.exit_status, program.stdout, program.stderr) == (0, PASSES, "")
    assert (program.taint_before, program.taint_after) == (0, 0)
    assert [sample.values["SUnreclaim"] for sample in program.samples] == [3000, 3000]
    assert run_program(guest, PROBE).status is Status.PASS


def test_program_without_ktap_has_no_document(guest: FakeGuest) -> None:
    evidence = gather(guest, replace(PROBE, speaks_ktap=False))
    assert evidence.program is not None
    assert evidence.program.document is None


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("hello\n", Status.PASS),
        (PASSES, Status.PASS),
        ("TAP version 13\n1..1\nok 1 # SKIP no MTE\n", Status.ERROR),
        ("noise\nKTAP version 1\n1..1\nnot ok 1 tags\n", Status.FAIL),
        ("TAP version 13\n1..2\nok 1 tags\n", Status.ERROR),
    ],
)
def test_output_with_a_version_line_is_judged_by_its_results(
    guest: FakeGuest, output: str, status: Status
) -> None:
    program = replace(plays(guest, stdout=output), speaks_ktap=None)
    assert run_program(guest, program).status is status


def test_skips_and_known_bug_are_handed_on(guest: FakeGuest) -> None:
    program = replace(PROBE, allowed_skips={"CONFIG_ZSWAP": "x"}, known_bug="docs/findings/y.md")
    end = gather(guest, program).program
    assert end is not None
    assert (dict(end.allowed_skips), end.known_bug) == (
        {"CONFIG_ZSWAP": "x"}, "docs/findings/y.md",
    )  # fmt: skip


def test_output_is_streamed(guest: FakeGuest) -> None:
    seen = []
    gather(guest, PROBE, stream=lambda channel, data: seen.append((channel, data)))
    assert seen == [("stdout", PASSES.encode())]


@pytest.mark.parametrize(
    ("config", "page_size", "slow"),
    [
        ("CONFIG_PROVE_LOCKING=y", 4096, 6),
        ("CONFIG_PROVE_LOCKING=n", 16384, 4),
        ("CONFIG_PROVE_LOCKING=y", 65536, 24),
    ],
)
def test_slow_kernel_gets_more_time(tmp_path: Path, config: str, page_size: int, slow: int) -> None:
    kernel = fake_kernel(tmp_path, config=config, page_size=page_size)
    guest = FakeGuest(fake_template(kernel, find_machine("emulator")))
    program = plays(guest, status=None)
    result = run_program(guest, program)
    (call,) = [call for call in guest.calls if "./passes" in call.line]
    assert call.line == f"export KTAP_SLOW={slow}; ./passes"
    assert call.timeout == slow * PROBE.seconds
    assert f"did not end within {slow * 30} s" in result.title


def test_other_kernels_do_not_see_ktap_slow(guest: FakeGuest) -> None:
    gather(guest, PROBE)
    assert not any("KTAP_SLOW" in call.line for call in guest.calls)


# Files.


@pytest.mark.parametrize("name", ["plain", "a b", "-rf", "it's", "$(x)", "grün", "x;y", 'a"b'])
def test_file_is_pushed_under_its_name(guest: FakeGuest, tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x7fELF\0")
    gather(guest, replace(PROBE, files=(PushedFile(path, name), PushedFile(path, "data", 0o644))))
    # "./": a name with a leading dash must not be taken for an option of chmod.
    assert guest.files == {f"./{name}": (b"\x7fELF\0", 0o755), "./data": (b"\x7fELF\0", 0o644)}


@pytest.fixture(scope="module")
def arm64_program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("program")
    (directory / "a.c").write_text("int main(void) { return 0; }\n")
    command = ["aarch64-linux-gnu-gcc", "-static", "-o", "a", "a.c"]
    subprocess.run(command, cwd=directory, check=True)
    return (directory / "a").read_bytes()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("tool", "./tool 'x y' -l"),
        ("a b", "'./a b' 'x y' -l"),
        ("-x", "./-x 'x y' -l"),
        ("it's", """'./it'"'"'s' 'x y' -l"""),
    ],
)
def test_line_of_a_binary(tmp_path: Path, arm64_program: bytes, name: str, line: str) -> None:
    path = tmp_path / name
    path.write_bytes(arm64_program)
    program = file_program(path, _no_store(), ["x y", "-l"], page_size=4096, seconds=5)
    assert shlex.split(program.line) == shlex.split(line)
    assert program.files == (PushedFile(path, name, 0o755),)
    assert (program.seconds, program.speaks_ktap) == (5, None)


def test_python_program_brings_its_library_along(tmp_path: Path) -> None:
    path = tmp_path / "a probe.py"
    path.write_text("print('hello')\n")
    program = file_program(path, _no_store(), page_size=4096, seconds=5, speaks_ktap=True)
    assert shlex.split(program.line) == ["python3", "./a probe.py"]
    first, *library = program.files
    assert first == PushedFile(path, "a probe.py", 0o755)
    assert "probe.py" in [file.name for file in library]
    assert {file.mode for file in library} == {0o644}


def _no_store() -> Store:
    """Only a C file is compiled, and needs one."""
    store: Any = None
    return store  # type: ignore[no-any-return]


def test_what_was_not_given_back_is_named(guest: FakeGuest) -> None:
    """The slab caches are noted before the program; who holds memory is read where it leaks."""
    line = "kmalloc-512 {0} {0} 512 8 1 : tunables 0 0 0 : slabdata {1} {1} 0\n"
    text = (
        f"==> /run/slabinfo <==\n{line.format(80, 10)}\n"
        f"==> /proc/slabinfo <==\n{line.format(8080, 1010)}"
        "==> status <==\n/proc/7/status:Name:\tleaks\n/proc/7/status:RssAnon:\t 64 kB\n"
    )
    guest.answers.append(("/proc/.*/status", lambda: Completed("x", 0, text, "", 0.1)))
    result = run_program(guest, plays(guest, kept=9000))
    assert "cat /proc/slabinfo > /run/slabinfo" in guest.calls[0].line
    (reason,) = result.reasons
    assert reason.details == (
        "slab kmalloc-512: +4000 kB, +8000 objects",
        "process 7 leaks: 64 kB of anonymous memory, ? threads",
    )


def test_nothing_is_named_where_all_came_back(guest: FakeGuest) -> None:
    run_program(guest, PROBE)
    assert "what grew" not in steps(guest)


# A guest that is lost.


@pytest.mark.parametrize(
    ("at", "phases", "samples"),
    [
        ("stat_refresh", ["clone"], 0),
        ("^./passes", ["clone", "before"], 1),
        (SETTLE_MARK, ["clone", "before", "run"], 1),
    ],
    ids=["before", "run", "after"],
)
def test_guest_lost_in_each_phase(
    guest: FakeGuest, tmp_path: Path, at: str, phases: list[str], samples: int
) -> None:
    path = tmp_path / "passes"
    path.touch()
    guest.lost_at = at
    guest.prints("[    6.000000] Kernel panic - not syncing: dead\n")
    program = replace(PROBE, files=(PushedFile(path, "passes"),))
    evidence = gather(guest, program)
    assert evidence.lost is not None
    assert "the kernel reset or powered off the machine" in evidence.lost.cause
    assert "PC=ffff800080345b30" in evidence.lost.details
    assert list(evidence.phases) == phases
    assert evidence.program is not None
    assert len(evidence.program.samples) == samples
    assert [splat.kind for splat in evidence.splats] == ["panic"]
    result = run_program(guest, program)
    assert result.status is Status.LOST
    # A lost guest is not also "its taint could not be read" and "did not end".
    assert {reason.status for reason in result.reasons} == {Status.LOST, Status.SPLAT}


def test_guest_lost_after_the_program_keeps_the_program_s_results(guest: FakeGuest) -> None:
    guest.lost_at = SETTLE_MARK
    result = run_program(guest, plays(guest, stdout=FAILS, status=1))
    assert [reason.status for reason in result.reasons] == [Status.LOST, Status.FAIL]
    assert [case.name for case in result.cases] == ["first", "second"]
    assert "reading the kernel's counters" in result.title


def test_guest_lost_in_the_audit_keeps_the_counters(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor(monkeypatch, audit=GuestLostError("guest lost in phase: reading vmcoreinfo"))
    evidence = gather(guest, plays(guest, kept=9000))
    assert list(evidence.phases) == ["clone", "before", "run", "after"]
    assert evidence.program is not None
    assert len(evidence.program.problems) == 1
    assert evidence.lost is not None


def test_counters_that_cannot_be_read_are_a_lost_guest(guest: FakeGuest) -> None:
    """A shell that cannot fork any more answers, with nothing."""
    guest.answers.append((SETTLE_MARK, lambda: Completed("x", 2, "", "sh: cannot fork\n", 0.1)))
    result = run_program(guest, PROBE)
    assert result.status is Status.LOST
    assert "cannot be read" in result.title
    assert "cannot fork" in result.title


def test_qemu_that_ended_from_outside_is_no_verdict(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> str:
        raise QemuDiedError("QEMU ended with signal 9")

    monkeypatch.setattr(guest.fake, "status", gone)
    guest.lost_at = "^./passes"
    with pytest.raises(QemuDiedError) as caught:
        gather(guest, PROBE)
    assert "in phase: running: ./passes" in caught.value.details


def test_push_that_fails_is_no_verdict(guest: FakeGuest, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    error = "dd: error writing './x': No space left on device\n"
    guest.answers.append(("dd if=", lambda: Completed("x", 1, guest.proc(), error, 0.1)))
    with pytest.raises(HarnessError, match=r"cannot write x in the guest: dd: .* No space left"):
        gather(guest, replace(PROBE, files=(PushedFile(path, "x"),)))


# A program that does not end.


def test_program_that_never_ends(guest: FakeGuest) -> None:
    result = run_program(guest, plays(guest, stdout="KTAP version 1\n1..2\n", status=None))
    assert (result.status, result.title) == (Status.FAIL, "did not end within 30 s")
    assert len(result.reasons) == 1
    # Its counters would prove nothing, and it may still run.
    assert steps(guest) == ["counters", "./passes"]
    assert list(result.phases) == ["clone", "before", "run"]


def test_a_guest_that_waited_for_the_host_is_starved(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {1: CpuTime(1.0, 5.0), 2: CpuTime(0.0, 1.0)}
    then = {1: CpuTime(7.0, 5.0), 2: CpuTime(2.0, 8.0), 3: CpuTime(0.0, 4.0)}
    times = itertools.chain([first], itertools.repeat(then))
    monkeypatch.setattr(guest.fake, "cpu_times", lambda: next(times))
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    program = gather(guest, Program("./passes", 10, speaks_ktap=True)).program
    assert program is not None
    assert program.had == 6.0
    assert program.waited == 7.0 / 20  # the clock is read once between the two readings


def test_splat_of_a_program_that_never_ends_is_told(guest: FakeGuest) -> None:
    console = "[    5.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n"
    result = run_program(guest, plays(guest, status=None, console=console))
    assert [reason.status for reason in result.reasons] == [Status.SPLAT, Status.FAIL]


def test_output_that_is_too_much(guest: FakeGuest) -> None:
    result = run_program(guest, plays(guest, status=None, overflow=True, stderr="x"))
    assert result.status is Status.FAIL
    assert result.title == "was ended: it printed more than the harness keeps"
    assert result.reasons[0].details == ("x",)


# Counters and taint.


def test_counters_that_come_back_at_the_second_look(guest: FakeGuest) -> None:
    result = run_program(guest, plays(guest, kept=9000, looks=1))
    assert result.status is Status.PASS
    assert steps(guest)[2:] == ["settled counters"] * 2
    assert [sample.values["SUnreclaim"] for sample in result.samples] == [3000, 3000]


def test_counters_that_come_back_at_the_last_look(guest: FakeGuest) -> None:
    assert run_program(guest, plays(guest, kept=9000, looks=3)).status is Status.PASS
    assert steps(guest)[2:] == ["settled counters"] * 4


def test_counters_that_never_come_back(guest: FakeGuest) -> None:
    result = run_program(guest, plays(guest, kept=9000))
    assert result.status is Status.FAIL
    assert result.title.startswith("not given back: SUnreclaim: 3000 before, 12000 kB after")
    assert steps(guest)[2:] == [*["settled counters"] * 4, "what grew"]
    assert [sample.values["SUnreclaim"] for sample in result.samples] == [3000, 12000]
    assert [sample.seconds for sample in result.samples] == sorted(
        sample.seconds for sample in result.samples
    )


def test_taint_that_the_program_brought(guest: FakeGuest) -> None:
    guest.taint = 1 << 9  # W from before the program
    result = run_program(guest, plays(guest, taint=1 << 5))
    assert [reason.text for reason in result.reasons] == [
        "the kernel became tainted: B (bad page referenced or unexpected page flags)"
    ]


def test_lost_guest_s_taint_is_not_compared(guest: FakeGuest) -> None:
    guest.taint = 1 << 9
    guest.lost_at = "^./passes"
    result = run_program(guest, PROBE)
    assert [reason.status for reason in result.reasons] == [Status.LOST]


# The audit.


def auditor(
    monkeypatch: pytest.MonkeyPatch, **errors: Exception | tuple[Finding, ...]
) -> list[str]:
    """Let guests be auditable, and the auditor find or raise what is given; note its calls."""
    calls = []

    def acting(name: str) -> Any:
        def call(_guest: object) -> Any:
            calls.append(name)
            answer = errors.get(name, ())
            if isinstance(answer, Exception):
                raise answer
            return type("Audit", (), {"findings": answer})

        return call

    monkeypatch.setattr(gather_module, "unauditable", lambda _template: "")
    monkeypatch.setattr(gather_module, "learn", acting("learn"))
    monkeypatch.setattr(gather_module, "audit", acting("audit"))
    return calls


LEAKED = (Finding(FindingKind.LEAKED, (7,)),)


def test_auditor_learns_before_the_first_counters(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning takes memory in the guest, which must not look like a leak of the program."""
    calls = auditor(monkeypatch, audit=LEAKED)
    seen = []
    real = guest.exec

    def noted(command: Any, **options: Any) -> Completed:
        seen.append((list(calls), command))
        return real(command, **options)

    monkeypatch.setattr(guest, "exec", noted)
    result = run_program(guest, PROBE)
    assert calls == ["learn", "audit"]
    assert [before for before, _ in seen] == [["learn"]] * 3
    assert result.findings == LEAKED
    assert result.status is Status.FAIL
    assert list(result.phases)[-1] == "audit"


def test_kernel_that_cannot_be_audited_after_all_is_an_error(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = auditor(monkeypatch, learn=AuditError("no vmcoreinfo", "cure"))
    result = run_program(guest, PROBE)
    assert calls == ["learn"]
    assert result.status is Status.ERROR
    assert result.title == "the guest could not be audited: no vmcoreinfo"


def test_audit_that_fails_is_an_error(guest: FakeGuest, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor(monkeypatch, audit=AuditError("a list is damaged"))
    result = run_program(guest, PROBE)
    assert (result.status, result.title) == (
        Status.ERROR, "the guest could not be audited: a list is damaged",
    )  # fmt: skip
    assert list(result.phases)[-1] == "audit"


def test_program_that_never_ends_is_not_audited(
    guest: FakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = auditor(monkeypatch, audit=LEAKED)
    run_program(guest, plays(guest, status=None))
    assert calls == ["learn"]


def test_machine_with_tags_outside_dram_is_not_audited(guest: FakeGuest) -> None:
    result = run_program(guest, PROBE)
    assert "audit" not in result.phases
    assert result.status is Status.PASS


# What a probe needs.


def probe(path: Path, *needs: str, **change: Any) -> Probe:
    return replace(
        Probe("x", "swap", needs, PAGE_SIZES, None, None, (), (), (), 30, False, "prose", path),
        **change,
    )


@pytest.mark.parametrize(
    ("size", "skip", "status"),
    [
        (65536, "pages of 64 KiB: too large", Status.SKIP),
        (65536, "no zram", Status.ERROR),
        (16384, "pages of 16 KiB: too large", Status.SKIP),
        (16384, "pages of 64 KiB: too large", Status.ERROR),
        (4096, "pages of 4 KiB: too large", Status.ERROR),
    ],
)
def test_a_case_that_the_page_size_rules_out(
    guest: FakeGuest, size: int, skip: str, status: Status
) -> None:
    played = plays(guest, stdout=f"KTAP version 1\n1..2\nok 1 first\nok 2 second # SKIP {skip}\n")
    result = run_program(guest, replace(played, allowed_skips=page_size_skips(size)))
    assert result.status is status, result.text()


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_a_page_size_that_the_probe_is_not_for(tmp_path: Path, size: int) -> None:
    kernel = fake_kernel(tmp_path, page_size=size)
    assert why_not(probe(tmp_path, pages=PAGE_SIZES), kernel) == ""
    why = why_not(probe(tmp_path, pages=PAGE_SIZES[:2]), kernel)
    if size == PAGE_SIZES[2]:
        assert "pages of 64 KiB" in why
        assert "with 4 or 16 KiB" in why
    else:
        assert why == ""


def test_missing_needs(tmp_path: Path) -> None:
    config = "CONFIG_SWAP=y\nCONFIG_ZRAM=m\n# CONFIG_ZSWAP is not set\nCONFIG_KSM_=y"
    kernel = fake_kernel(tmp_path, config=config)
    needs = ("CONFIG_SWAP", "CONFIG_ZRAM", "CONFIG_ZSWAP", "CONFIG_KSM")
    with_modules = replace(kernel, initramfs=tmp_path / "initramfs")
    lacks = why_not(probe(tmp_path, *needs), with_modules)
    assert lacks.endswith("has no CONFIG_ZSWAP CONFIG_KSM")
    lacks = why_not(probe(tmp_path, *needs), kernel)
    assert lacks.endswith("has no CONFIG_ZRAM CONFIG_ZSWAP CONFIG_KSM")
    unknown = replace(kernel, config=None)
    assert why_not(probe(tmp_path, *needs), unknown) == ""


@pytest.mark.parametrize(
    ("release", "since", "until"),
    [
        ("6.12.117", "is older than 6.13 (25c17c4b55de)", ""),
        ("6.13.0-rc1", "", "has 6.13 (25c17c4b55de)"),
        ("7.3.4+deb13-arm64", "", "has 6.13 (25c17c4b55de)"),
        ("strange", "", ""),
    ],
)
def test_a_rule_that_a_commit_changed(tmp_path: Path, release: str, since: str, until: str) -> None:
    kernel = replace(fake_kernel(tmp_path), release=release)
    change = Change((6, 13), "25c17c4b55de")
    assert why_not(probe(tmp_path, since=change), kernel).endswith(since)
    assert why_not(probe(tmp_path, until=change), kernel).endswith(until)
    assert bool(since) == bool(why_not(probe(tmp_path, since=change), kernel))
    assert bool(until) == bool(why_not(probe(tmp_path, until=change), kernel))


@pytest.mark.parametrize(
    ("release", "cases"),
    [("6.1.192", {"none": "6.6 (332c151c710a)"}), ("6.6.1", {}), ("7.3.4", {}), ("strange", {})],
)
def test_a_bug_that_a_later_release_fixed(
    tmp_path: Path, release: str, cases: dict[str, str]
) -> None:
    kernel = replace(fake_kernel(tmp_path), release=release)
    fix = CaseChange(Change((6, 6), "332c151c710a"), ("none",))
    assert later((fix,), kernel) == cases


@pytest.mark.parametrize(
    ("release", "has_it"),
    [
        ("6.18.0", True),
        ("6.18-rc3", True),
        ("6.16.12+deb13-arm64", False),
        ("6.12.117+deb13-rt-arm64", True),
        ("6.12.57", True),
        ("6.12.56", False),
        ("6.12", False),
        ("6.1.192", True),
        ("6.1.57", False),
        ("6.6.150", False),
    ],
)
def test_a_fix_that_stable_branches_have(release: str, has_it: bool) -> None:
    fix = Change((6, 18), "f620d66af316", ((6, 12, 57), (6, 1, 158)))
    assert fix.is_in(release) is has_it


@pytest.mark.parametrize("found", PROBES, ids=lambda probe: probe.name)
def test_cases_that_a_head_comment_names_are_there(found: Probe) -> None:
    cases = cases_of(found)
    assert cases
    assert len(set(cases)) == len(cases)
    fixed = [set(fix.cases) for fix in found.fixed]
    absent = [set(one.cases) for one in found.newer] + [set(one.cases) for one in found.case_needs]
    assert all(named <= set(cases) for named in fixed)
    assert all(named < set(cases) for named in absent)
    assert not {need.symbol for need in found.case_needs} & set(found.needs)


def test_cases_that_are_not_for_a_kernel(tmp_path: Path) -> None:
    probe = replace(
        PROBES[0],
        newer=(CaseChange(Change((6, 8), "3485b88390b0"), ("b",)),),
        case_needs=(CaseNeed("CONFIG_SHMEM", ("c", "d")),),
    )
    lacking = "the kernel has no CONFIG_SHMEM"
    plain = fake_kernel(tmp_path)
    assert left_out(probe, plain) == {"c": lacking, "d": lacking}
    with_shmem = fake_kernel(tmp_path, "shmem", "CONFIG_SHMEM=y")
    assert left_out(probe, with_shmem) == {}
    old = "the kernel is older than 6.8 (3485b88390b0)"
    assert left_out(probe, replace(with_shmem, release="6.1.192")) == {"b": old}
    assert left_out(probe, replace(plain, config=None)) == {}


def test_cases_that_are_left_out_are_told(guest: FakeGuest) -> None:
    program = Program("./passes", 10, speaks_ktap=True, probe="passes")
    rest = program.without(
        {"third": "the kernel has no CONFIG_SHMEM"}, ["first", "second", "third"]
    )
    assert rest.command == "./passes first second"
    assert rest.again(["second"], 2).command == "./passes second"
    result = run_program(guest, rest)
    assert (result.status, len(result.cases)) == (Status.SKIP, 2)
    assert result.title == "third: left out, the kernel has no CONFIG_SHMEM"
