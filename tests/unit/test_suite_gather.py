# SPDX-License-Identifier: MIT
"""A program's run in a fake guest: what becomes evidence, in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.suite.gather import run_program
from harness.suite.program import Program, PushedFile
from harness.verdict.result import Status
from tests.support.fake_guest import Answer, FakeGuest, fake_kernel, fake_template, proc

if TYPE_CHECKING:
    from pathlib import Path

COUNTERS = "cat /proc/meminfo; echo"
WARNING = "[   10.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\r\n"
PROGRAM = Program("./probe", 60, speaks_ktap=True)
PASSED = Answer("KTAP version 1\n1..1\nok 1 it works\n")


def test_pass() -> None:
    with FakeGuest({"./probe": [PASSED]}) as guest:
        result = run_program(guest, PROGRAM)
        assert result.status is Status.PASS, result.text()
        assert list(result.phases) == ["clone", "before", "push", "run", "after"]


def test_a_failed_case() -> None:
    failed = Answer("KTAP version 1\n1..1\n# expected 1, saw 2\nnot ok 1 it works\n", status=1)
    with FakeGuest({"./probe": [failed]}) as guest:
        result = run_program(guest, PROGRAM)
    assert result.status is Status.FAIL
    assert "expected 1, saw 2" in result.text()


def test_a_splat_during_the_run() -> None:
    answer = Answer(PASSED.stdout, prints=WARNING)
    with FakeGuest({"./probe": [answer]}) as guest:
        result = run_program(guest, PROGRAM)
    assert result.status is Status.SPLAT
    assert "mm/ksm.c:9" in result.text()


def test_taint() -> None:
    with FakeGuest({"./probe": [PASSED], COUNTERS: [proc(), proc(tainted=1 << 9)]}) as guest:
        assert run_program(guest, PROGRAM).status is Status.SPLAT


def test_a_leak_is_one_only_if_it_stays() -> None:
    leaky = proc(SwapTotal=4096)
    with FakeGuest({"./probe": [PASSED], COUNTERS: [proc(), leaky, proc()]}) as guest:
        assert run_program(guest, PROGRAM).status is Status.PASS
    with FakeGuest({"./probe": [PASSED], COUNTERS: [proc(), leaky]}) as guest:
        result = run_program(guest, PROGRAM)
    assert result.status is Status.FAIL
    assert "SwapTotal" in result.text()


def test_a_guest_that_is_lost() -> None:
    panic = "[   10.000000] Kernel panic - not syncing: a test\r\n"
    answer = Answer(prints=panic, cut="the SSH connection was cut", machine="shutdown")
    with FakeGuest({"./probe": [answer]}) as guest:
        result = run_program(guest, PROGRAM)
    assert result.status is Status.LOST
    assert "the kernel reset or powered off the machine" in result.text()
    assert "Kernel panic - not syncing: a test" in result.text()


def test_a_program_that_does_not_end() -> None:
    with FakeGuest({"./probe": [Answer(status=None)]}) as guest:
        result = run_program(guest, PROGRAM)
    assert result.status is Status.FAIL
    assert "did not end within 60 s" in result.text()
    assert "after" not in result.phases, "counters beside a running program prove nothing"


def test_files_are_pushed_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "probe").write_bytes(b"ELF")
    program = Program("./probe", 60, files=(PushedFile(tmp_path / "probe", "probe"),))
    with FakeGuest() as guest:
        assert run_program(guest, program).status is Status.PASS
        started = next(i for i, line in enumerate(guest.lines) if "cd /tmp; ./probe\n" in line)
        push = next(i for i, line in enumerate(guest.lines) if "gzip -dc > ./probe" in line)
        assert push < started


def test_a_kernel_with_lockdep_gets_six_times_as_long(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_PROVE_LOCKING=y\n")
    template = fake_template(kernel=fake_kernel(tmp_path / "config"))
    with FakeGuest({"./probe": [Answer(status=None)]}, template=template) as guest:
        assert guest.limits.exec == 6 * 60
        assert "did not end within 360 s" in run_program(guest, PROGRAM).text()
        assert any("KTAP_SLOW=6 ./probe" in line for line in guest.lines)


def test_output_reaches_the_stream() -> None:
    pieces: list[tuple[str, bytes]] = []
    with FakeGuest({"./probe": [PASSED]}) as guest:
        run_program(guest, PROGRAM, stream=lambda name, data: pieces.append((name, data)))
    assert pieces == [("stdout", PASSED.stdout.encode())]
