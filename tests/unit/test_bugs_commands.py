# SPDX-License-Identifier: MIT
"""``mte-harness reproduce``, ``bisect`` and ``bug`` on guests that play programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.bugs import kernel_trial
from harness.bugs.kernel_trial import TRIES
from harness.core.errors import BootError, BuildError, QemuDiedError
from harness.jobs import bisect, bug_commands, command_line, exit_status, reproduce
from harness.suite.target import guest_kernel
from harness.vm.cpu_share import starved_error
from tests.support.fake_session import PROGRAMS, FakeGuest, FakeSession, Played
from tests.unit.kernel_world import FAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.guest.template import Template
    from harness.kernel import Kernel, KernelSource
    from harness.suite.target import Target

    Command = Callable[..., tuple[int, str, str]]

VERSIONS = ("6.12.118", "6.16.3", "6.16.12", "6.17.8", "6.18.5", "7.2.6", "7.3.4")


class Bench(FakeSession):
    """Kernels whose bugs are chosen by a test: ``bad`` says by the name what each plays."""

    bad: Callable[[str], str]
    fails: dict[str, Exception]

    def prepare(self, target: Target, append: str = "") -> Template:
        name = self.kernel(guest_kernel(target)).name
        for part, error in self.fails.items():
            if part in name:
                raise error
        return super().prepare(target, append)

    def kernel(self, source: KernelSource) -> Kernel:
        kernel = super().kernel(source)
        if revision := getattr(source, "revision", ""):
            options = source.options.suffix  # type: ignore[union-attr]
            object.__setattr__(kernel, "name", f"{revision}{options}")
        return kernel

    def guest(self, template: Template, gdb: Path | None = None) -> FakeGuest:
        guest = super().guest(template, gdb)
        guest.played = PROGRAMS[type(self).bad(template.kernel.name)]
        return guest


@pytest.fixture
def mte_harness(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Command]:
    """Run a command line in this process: exit status, standard output, standard error."""
    monkeypatch.setattr(exit_status, "unwind_on_sigterm", lambda: None)
    for module in (bisect, reproduce, bug_commands):
        monkeypatch.setattr(module, "Session", Bench)
    # Fake Images are all the same.
    monkeypatch.setattr(kernel_trial, "content_of", lambda kernel: kernel.name)
    monkeypatch.setattr(bisect, "released_kernels", lambda *_, **__: VERSIONS)
    monkeypatch.setenv("MTE_HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Bench, "bad", lambda _: "passes", raising=False)
    monkeypatch.setattr(Bench, "fails", {}, raising=False)
    (tmp_path / "r.sh").write_text("#!/bin/sh\ntrue\n")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mte-harness", *words])
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        assert isinstance(caught.value.code, int)
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    yield run
    assert not list(tmp_path.glob("*.new"))


def plays(monkeypatch: pytest.MonkeyPatch, choose: Callable[[str], str]) -> None:
    monkeypatch.setattr(Bench, "bad", choose)


def test_reproduce_counts_and_keeps(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played = iter(["fails", "passes", "fails", "warns", "panics"])
    plays(monkeypatch, lambda _: next(played))
    status, out, _ = mte_harness("reproduce", "stock", "r.sh", "--runs", "5", "--keep", "k")
    assert status == 1
    assert out.splitlines()[0] == "reproduced 2 of 5, sign: case second"
    assert "  1 of 5 only: splat warning-" in out
    kept = json.loads((tmp_path / "k/reproduce.json").read_text())
    assert (kept["hits"], kept["runs"], kept["sign"]) == (2, 5, "case second")
    assert "mm/ksm.c:9" in (tmp_path / "k/run-004.console.txt").read_text()
    assert "not ok 2 second" in (tmp_path / "k/run-001.output.txt").read_text()


def test_reproduce_says_that_nothing_showed(mte_harness: Command) -> None:
    status, out, _ = mte_harness("reproduce", "stock", "r.sh", "--runs", "3")
    assert (status, out.splitlines()[0]) == (0, "reproduced 0 of 3")


def test_reproduce_on_a_kernel_that_does_not_build(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "fails", {"stock": BuildError("x.c:1: error: y")})
    status, _, err = mte_harness("reproduce", "stock", "r.sh")
    assert (status, "stock does not build: x.c:1: error: y" in err) == (125, True)


def test_reproduce_of_what_tells_nothing_is_no_bug(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, lambda _: "luckless")
    for words in ((), ("--sign", "any")):
        status, out, _ = mte_harness("reproduce", "stock", "r.sh", "--runs", "2", *words)
        assert (status, out.splitlines()[0]) == (178, "reproduced 0 of 2")


def test_bisect_takes_no_run_that_tells_nothing_for_the_bug(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, lambda name: "luckless" if "6.16" in name else "passes")
    ends = ("--bad", "debian:6.16", "--good", "debian:7.3")
    for sign in ((), ("--sign", "any", "--state", "any.json")):
        status, out, err = mte_harness("bisect", "debian", "r.sh", *ends, *sign)
        assert (status, out) == (160, "")
        assert "does not show on the bad end debian:6.16.12: 0 of 10; other failures: 10 x" in err


def test_reproduce_takes_the_machine_of_a_report(mte_harness: Command, tmp_path: Path) -> None:
    line = "-smp 3 -m 2G -append 'kasan=off quiet'"
    status, _, err = mte_harness(
        "reproduce", "stock", "r.sh", "--runs", "1", "--qemu-line", line, "--keep", "k"
    )
    kept = json.loads((tmp_path / "k/reproduce.json").read_text())
    assert (status, kept["append"]) == (0, "kasan=off")
    assert "3 CPUs, 2048 MiB" in kept["machine"]
    assert "left out: quiet" in err


def test_bisect_over_releases(mte_harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    plays(monkeypatch, lambda name: "fails" if "6.16" in name else "passes")
    words = ("bisect", "debian", "r.sh", "--bad", "debian:6.16", "--good", "debian:7.3")
    status, out, _ = mte_harness(*words)
    assert status == 0
    assert "The bug went between debian:6.16.12 and debian:6.17.8." in out
    assert "this is no culprit" in " ".join(out.split())
    # The same command reads the answer from its state, but for what it confirms.
    runs = len(Bench.last.guests)
    assert mte_harness(*words)[1] == out
    assert len(Bench.last.guests) < runs / 3


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a git repository of a fake kernel with 12 commits, tagged c0 to c11."""
    place = tmp_path / "linux"
    place.mkdir()
    environment = {**os.environ, "HOME": str(tmp_path)}

    def git(*words: str) -> None:
        words = ("-c", "user.name=n", "-c", "user.email=e@x", *words)
        subprocess.run(["git", "-C", str(place), *words], check=True, env=environment)

    git("init", "-q")
    subprocess.run(["cp", "-r", f"{FAKE}/.", str(place)], check=True)
    for number in range(12):
        (place / "mm" / "step.c").write_text(f"int step = {number};\n")
        git("add", ".")
        git("commit", "-q", "-m", f"mm: step {number}")
        git("tag", f"c{number}")
    return place


def commits(tree: Path) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(tree), "rev-list", "--reverse", "HEAD"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.split()


def test_bisect_over_a_git_tree(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch, tree: Path
) -> None:
    """Three commits do not build, one does not come up; without the culprit the last is good."""
    hashes = commits(tree)
    bad = set(hashes[8:])
    plays(monkeypatch, lambda name: "fails" if name in bad else "passes")
    fails: dict[str, Exception] = {one: BuildError("x") for one in hashes[4:7]}
    monkeypatch.setattr(Bench, "fails", {**fails, hashes[9]: BootError("no ready line")})
    status, out, _ = mte_harness("bisect", str(tree), "r.sh", "--good", "c0", "--bad", "c11")
    assert status == 0
    assert re.search(r'The bug came with commit\n  [0-9a-f]{12} \("mm: step 8"\)', out)
    assert "Fixes: " in out
    assert re.search(r"Taken out of the last kernel again: 0 of [23], as it must be\.", out), out
    assert "skip" in out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--good", "c0", "--bad", "nosuch"), 174, "no revision 'nosuch' (git fetch, or correct"),
        (("--good", "c3", "--bad", "c3"), 160, "are the same commit"),
        (("--good", "c9", "--bad", "c1"), 160, "good and bad are swapped"),
        (("--good", "c0", "--bad", "c4"), 160, "does not show on the bad end"),
        (("--good", "c8", "--bad", "c9"), 160, "the bug shows on both ends"),
        (("--good", "c0"), 160, "there are no patches to search"),
        (("--good", "c0", "--bad", "c9", "--sign", "boom"), 160, "--sign 'boom' is no sign"),
    ],
)
def test_bad_input_is_one_line(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch, tree: Path,
    words: tuple[str, ...], status: int, said: str,
) -> None:  # fmt: skip
    bad = set(commits(tree)[7:])
    plays(monkeypatch, lambda name: "fails" if name in bad else "passes")
    got, out, err = mte_harness("bisect", str(tree), "r.sh", *words)
    lines = [line for line in err.splitlines() if line.startswith("mte-harness: ")]
    assert (got, out, len(lines)) == (status, "", 1)
    assert said in lines[0]


def test_a_reproducer_that_does_not_compile_or_is_not_there(
    mte_harness: Command, tmp_path: Path
) -> None:
    (tmp_path / "r.c").write_text("int main(void) { return x; }\n")
    ends = ("--good", "debian:6.12", "--bad", "debian:7.3")
    for name, said in (("r.c", "does not compile"), ("none.c", "none.c")):
        status, _, err = mte_harness("bisect", "debian", name, *ends)
        assert (status, said in err, len(err.splitlines()) < 12) == (160, True, True)


def test_the_state_of_another_search_or_a_damaged_one(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plays(monkeypatch, lambda name: "fails" if "6.16" in name else "passes")
    ends = ("--bad", "debian:6.16", "--good")
    assert mte_harness("bisect", "debian", "r.sh", *ends, "debian:7.3")[0] == 0
    status, _, err = mte_harness("bisect", "debian", "r.sh", *ends, "debian:7.2")
    assert (status, "is the state of another search: its later end is" in err) == (160, True)
    (tmp_path / "bisect.json").write_text("{")
    status, _, err = mte_harness("bisect", "debian", "r.sh", *ends, "debian:7.3")
    assert (status, "no state of a search" in err) == (170, True)


def test_a_bug_of_the_catalogue_runs(mte_harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = mte_harness("bug", "run", "ptrace-tagged-address", "--runs", "2")
    assert (status, "reproduced 0 of 2" in out) == (1, True)
    assert "ptrace-tagged-address shows no longer on stock: 0 of 2" in err
    status, out, _ = mte_harness(
        "bug", "run", "ptrace-tagged-address", "--on", "fixes", "--runs", "2"
    )
    assert status == 0
    plays(monkeypatch, lambda _: "fails")
    monkeypatch.setattr(bug_commands, "find_bug", lambda name: _with_sign(name, "case second"))
    assert mte_harness("bug", "run", "ptrace-tagged-address", "--runs", "2")[0] == 0
    status, _, err = mte_harness("bug", "run", "ptrace-tagged-address", "--on", "fixes")
    assert (status, "shows, against the catalogue, on fixes" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "ksm-unmergeable", "--append", "x"), "--append is for the kernel of --on"),
        (("run", "stale"), "no kernel that can be had has stale (name one with --on)"),
        (
            ("measure", "ksm-unmergeable", "--only", "stock-6.11"),
            "--only stock-6.11: the entries name no such kernel (they name: debian:6.16.12, stock",
        ),
    ],
)
def test_a_bug_on_no_kernel_is_refused(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from harness.bugs.catalogue import find_bug  # noqa: PLC0415

    stale = replace(find_bug("ksm-unmergeable"), has=(), state="stale")
    monkeypatch.setattr(
        bug_commands, "find_bug", lambda name: stale if name == "stale" else find_bug(name)
    )
    status, out, err = mte_harness("bug", *words)
    assert (status, out, err.count("\n")) == (160, "", 1)
    assert said in err


def _with_sign(name: str, sign: str) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    from harness.bugs.catalogue import find_bug  # noqa: PLC0415

    return replace(find_bug(name), sign=sign)


def test_a_kernel_without_what_a_bug_needs_is_refused(mte_harness: Command) -> None:
    status, _, err = mte_harness("bug", "run", "ksm-unmergeable", "--on", "stock")
    assert (status, "stock has no CONFIG_KSM" in err) == (1, True)


def test_the_catalogue_is_listed_and_shown(mte_harness: Command) -> None:
    status, out, _ = mte_harness("bug", "list")
    assert (status, "ksm-unmergeable  [fixed]  MADV_UNMERGEABLE" in out) == (0, True)
    status, out, _ = mte_harness("bug", "show", "ksm-unmergeable")
    assert (status, "fixed       6.18/6.12.117/6.1.192 f04aad36a07c" in out) == (0, True)
    status, _, err = mte_harness("bug", "show", "nosuch")
    assert (status, err.count("\n")) == (160, 1)


def test_what_the_host_spoils_is_run_again(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = QemuDiedError("QEMU was killed")
    played: Iterator[str | QemuDiedError] = iter([killed, "fails", QemuDiedError("x"), "passes"])

    def choose(_: str) -> str:
        what = next(played)
        if isinstance(what, Exception):
            raise what
        return what

    plays(monkeypatch, choose)
    status, out, err = mte_harness("reproduce", "stock", "r.sh", "--runs", "2")
    assert (status, out.splitlines()[0]) == (1, "reproduced 1 of 2, sign: case second")
    assert err.count("again, since the host is at fault: QEMU was killed") == 1
    played = iter([QemuDiedError("killed") for _ in range(9)])
    status, _, err = mte_harness("reproduce", "stock", "r.sh", "--runs", "2")
    assert (status, err.count("again")) == (172, 2)


def test_runs_that_tell_nothing_are_no_answer(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, lambda _: "luckless")
    status, _, err = mte_harness("bug", "run", "ptrace-tagged-address", "--runs", "2")
    assert (status, "cannot be told on stock: 0 of 2; other failures: 2 x untested" in err) == (
        1,
        True,
    )
    # Each of the two got two guests more.
    assert len(Bench.last.guests) == 6


def test_a_guest_that_gets_no_cpu_is_run_again_and_is_not_lost(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, lambda _: "silent_loss")
    monkeypatch.setitem(PROGRAMS, "silent_loss", Played("", dies=True))
    status, out, _ = mte_harness("reproduce", "stock", "r.sh", "--runs", "1")
    assert (status, out.splitlines()[0]) == (1, "reproduced 1 of 1, sign: lost")
    monkeypatch.setattr(FakeGuest, "_gone", lambda _, phase: starved_error(phase))
    status, _, err = mte_harness("reproduce", "stock", "r.sh", "--runs", "1")
    assert (status, "too busy" in err) == (159, True)
    assert len(Bench.last.guests) == TRIES
