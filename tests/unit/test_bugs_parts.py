# SPDX-License-Identifier: MIT
"""Parts of harness/bugs: signs, how a program is run, machines of reports, histories, catalogue."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.bugs import kernel_trial
from harness.bugs.answer import answer, removed_lines
from harness.bugs.catalogue import FILE, On, catalogue, find_bug, load_bug
from harness.bugs.chance import Rate
from harness.bugs.journal import Journal
from harness.bugs.release_history import release_history
from harness.bugs.report_qemu import reported_machine
from harness.bugs.reproducer import Reproducer
from harness.bugs.search import Result
from harness.bugs.series_history import series_history
from harness.bugs.signs import ANY, is_sign, shows, signs_of, usual_sign
from harness.bugs.tally import MORE, Finding, Tally
from harness.core import ktap
from harness.core.errors import RecipeError, SourceError, UsageError
from harness.core.paths import resources
from harness.core.progress import Silent
from harness.core.store import Store
from harness.kernel import DebianKernel, RecipeKernel, load_series, locate_kernel
from harness.kernel.build_options import BuildOptions
from harness.suite.program import survivor
from harness.verdict.evidence import Evidence, Lost, ProgramEnd
from harness.verdict.judge import judge
from harness.verdict.splat import find_splats
from harness.vm.spec import find_machine
from tests.support.fake_session import FAILS, PASSES, UNTESTED, WARN, fake_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = "#!/bin/sh\n"


def signs(
    end: ProgramEnd | None, console: str = "", pattern: str = "", **words: object
) -> set[str]:
    evidence = Evidence(end, splats=find_splats(console), console=console)
    evidence = replace(evidence, **words)  # type: ignore[arg-type]
    return set(signs_of(evidence, judge(evidence), pattern))


def test_each_way_to_fail_has_a_sign() -> None:
    assert signs(ProgramEnd(0)) == set()
    assert signs(ProgramEnd(3, stderr="mmap: no\n")) == {"exit 3"}
    assert signs(ProgramEnd(None, seconds=5)) == {"hang"}
    assert signs(ProgramEnd(None, seconds=5, waited=0.9)) == {"untested"}  # by the host
    late = "KTAP version 1\n1..1\nnot ok 1 slow # TIMEOUT not finished after 5 s\n"
    assert signs(ProgramEnd(1, ktap.parse(late))) == {"case slow"}
    assert signs(ProgramEnd(1, ktap.parse(late), waited=0.9)) == {"untested"}
    assert signs(ProgramEnd(None, overflow=True)) == {"exit"}
    assert signs(ProgramEnd(1, ktap.parse(FAILS))) == {"case second"}
    assert signs(ProgramEnd(0, ktap.parse(PASSES))) == set()
    assert signs(ProgramEnd(1, ktap.parse(UNTESTED))) == {"untested"}
    assert signs(ProgramEnd(0, taint_after=1 << 5)) == {"taint"}
    assert signs(None, lost=Lost("panic")) == {"lost"}
    (splat,) = find_splats(WARN)
    assert signs(ProgramEnd(0), WARN) == {f"splat {splat.fingerprint}"}


def test_with_a_pattern_only_the_console_counts() -> None:
    assert signs(ProgramEnd(1), WARN, r"WARNING: CPU: \d+ ") == {"console"}
    assert signs(ProgramEnd(1), WARN, r"WARNING: \S+ at ") == set()


def test_a_run_that_ended_before_the_console_could_tell_is_not_clean() -> None:
    assert signs(None, WARN, "nothing", lost=Lost("panic")) == {"lost"}
    assert signs(None, WARN, "WARNING", lost=Lost("panic")) == {"console"}
    assert signs(ProgramEnd(1, ktap.parse(UNTESTED)), "", "nothing") == {"untested"}


def test_what_tells_nothing_is_never_the_bug() -> None:
    assert usual_sign([{"untested"}, {"untested"}, {"exit 1"}]) == "exit 1"
    assert usual_sign([{"untested"}, {"error"}]) is None
    assert not shows(ANY, {"untested": "no huge page"})
    assert not shows(ANY, {})
    assert shows(ANY, {"case peek": ""})
    assert not is_sign("untested")
    assert not is_sign("error")


def test_the_usual_sign_is_the_most_frequent_and_then_the_most_telling() -> None:
    assert usual_sign([{"exit 1"}, {"splat a", "case b"}, {"splat a", "case b"}]) == "case b"
    assert usual_sign([{"lost"}, {"lost"}, {"case b"}]) == "lost"
    assert usual_sign([set(), set()]) is None


@pytest.fixture
def programs(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", "programs", Silent())


def done_here(reproducer: Reproducer, programs: Store) -> subprocess.CompletedProcess[str]:
    """Run the shell line of a script on this host."""
    command = ["sh", "-c", reproducer.program(programs, 4096).command]
    return subprocess.run(
        command, cwd=reproducer.path.parent, check=False, timeout=60, text=True, capture_output=True
    )


def run_here(reproducer: Reproducer, programs: Store) -> int:
    """Run the shell line of a script on this host; return its exit status."""
    return done_here(reproducer, programs).returncode


def script(directory: Path, text: str) -> Path:
    path = directory / "r.sh"
    path.write_text(SCRIPT + text)
    path.chmod(0o755)
    return path


def test_a_program_is_repeated_until_it_fails(tmp_path: Path, programs: Store) -> None:
    path = script(tmp_path, 'echo x >> n; [ "$(wc -l < n)" -lt 5 ]\n')
    assert run_here(Reproducer(path, repeat=4), programs) == 0
    assert run_here(Reproducer(path, repeat=4), programs) == 1
    assert (tmp_path / "n").read_text() == "x\n" * 5


def test_several_processes_run_at_once(tmp_path: Path, programs: Store) -> None:
    # Each waits until all three are there; alone, it would give up.
    wait = "until [ $(wc -l < n) -ge 3 ]; do i=$((i+1)); [ $i -lt 20 ] || exit 9; sleep 0.2; done"
    path = script(tmp_path, f"i=0; echo x >> n; {wait}; exit 7\n")
    assert run_here(Reproducer(path, processes=3), programs) == 7
    (tmp_path / "n").unlink()
    assert run_here(Reproducer(path, processes=1), programs) == 9


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("repeat", [1, 3])
def test_ktap_of_many_runs_is_one_document(
    tmp_path: Path, programs: Store, processes: int, repeat: int
) -> None:
    path = script(tmp_path, f"cat <<E\n{PASSES}E\n")
    done = done_here(Reproducer(path, repeat=repeat, processes=processes), programs)
    assert done.returncode == 0
    assert ktap.parse(done.stdout).passed
    fails = (
        f"echo x >> n; [ $(wc -l < n) -gt 1 ] || exec cat <<E\n{PASSES}E\n"
        f"cat <<E\n{FAILS}E\nexit 1\n"
    )
    done = done_here(Reproducer(script(tmp_path, fails), repeat=2, processes=processes), programs)
    assert done.returncode == 1
    assert signs(ProgramEnd(1, ktap.parse(done.stdout))) == {"case second"}


def test_a_program_that_lives_is_ended_and_that_is_no_failure(
    tmp_path: Path, programs: Store
) -> None:
    path = script(tmp_path, "sleep 1000\n")
    assert run_here(Reproducer(path, lives=0.2, processes=2), programs) == 0
    program = Reproducer(path, lives=60, seconds=5).program(programs, 4096)
    assert program.seconds > 60
    assert program.line == survivor("./r.sh", 60) or "sh" in program.line


def test_a_command_before_the_program(tmp_path: Path, programs: Store) -> None:
    path = script(tmp_path, "[ -e there ]\n")
    assert run_here(Reproducer(path), programs) == 1
    assert run_here(Reproducer(path, prelude=": > there"), programs) == 0


def test_a_search_of_another_program_is_another(tmp_path: Path) -> None:
    path = script(tmp_path, "true\n")
    one = Reproducer(path).identity()
    assert Reproducer(path, repeat=2).identity() != one
    path.write_text("false\n")
    assert Reproducer(path).identity() != one


def test_a_bad_pattern_is_refused(tmp_path: Path, programs: Store) -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        Reproducer(script(tmp_path, "true\n"), console="(").check(programs, 4096)


LINE = (
    "qemu-system-aarch64 -M virt,mte=on -cpu max -smp cpus=4 -m 2G -nographic "
    "-append 'root=/dev/vda console=ttyAMA0 init_on_free=1' -kernel Image > log"
)


def test_what_matters_of_a_reports_qemu_line() -> None:
    found = reported_machine(LINE, find_machine("emulator"))
    assert (found.spec.cpus, found.spec.memory_mib) == (4, 2048)
    assert found.append == "init_on_free=1"
    assert {"root=/dev/vda", "-M virt,mte=on", "-nographic"} <= set(found.left_out)
    assert found.spec.key() != find_machine("emulator").key()
    assert reported_machine("-m size=1G,slots=2", find_machine("emulator")).spec.memory_mib == 1024
    quoted = reported_machine("""-append 'dyndbg="file x +p" ro a="b'""", find_machine("emulator"))
    assert quoted.append == 'dyndbg="file x +p" a="b'


@pytest.mark.parametrize("line", ["-smp 99", "-m lots", "-m 1M", "-append 'x", "-smp", "-m 1024k"])
def test_a_qemu_line_that_cannot_be_used_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="--qemu-line: "):
        reported_machine(line, find_machine("emulator"))


RELEASED = ("6.12.117", "6.12.118", "6.16.3", "6.16.12", "6.17.8", "7.3.4")


def released(_: str) -> Sequence[str]:
    return RELEASED


def test_releases_are_in_the_order_of_their_branches() -> None:
    history, came = release_history("debian:7.3", "debian:6.16", released)
    assert history.points == ["debian:6.16.12", "debian:6.17.8", "debian:7.3.4"]
    assert not came
    history, came = release_history("debian:6.12.118", "debian:6.16.3", released)
    assert (history.points, came) == (["debian:6.12.118", "debian:6.16.3"], True)


def test_releases_of_two_branches_have_no_culprit() -> None:
    history, came = release_history("debian:6.12.118", "debian:6.16.12", released)
    text = "\n".join(history.answer(["debian:6.16.3"], came=came))
    assert "different branches, and debian:6.12.118 is no ancestor of debian:6.16.3" in text
    assert "v6.12..v6.16.3, or it is a backport" in text
    assert "debian:6.16.3 has the bug, debian:6.12.118 does not" in text
    same = "\n".join(history.answer(["debian:6.16.12"], came=came))
    assert "commits v6.16.3..v6.16.12" in same
    assert "different branches" not in same


def test_releases_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(SourceError, match=r"no debian:7\.1 .*7\.3\.4"):
        release_history("debian:7.1", "debian:7.3", released)
    with pytest.raises(UsageError, match=r"same release 7\.3\.4"):
        release_history("debian:7.3", "debian:7.3.4", released)
    with pytest.raises(UsageError, match="flavour"):
        release_history("debian:7.3-rt", "debian:6.16", released)


def test_the_patches_of_a_recipe_are_a_history() -> None:
    source = locate_kernel("tag-storage", resources())
    history, came = series_history(source, None, None, Silent())
    assert came
    assert (history.first, history.last) == ("0", "25")
    third = history.source("3")
    assert isinstance(third, RecipeKernel)
    assert [len(one.patches) for one in third.options.series] == [3]
    assert third.recipe.patches == ()
    assert "ARM64_MTE_TAG_STORAGE" in third.recipe.optional
    without = history.without("3")
    assert isinstance(without, RecipeKernel)
    names = [patch.name for patch in without.options.series[0].patches]
    assert len(names) == 24
    assert not any(name.startswith("0003") for name in names)
    assert history.source("0") == replace(third, options=replace(third.options, series=()))
    assert history.title("1").startswith("patch 1, 0001-mm")
    assert history.answer(["7"], came=True)[1].startswith("  patch 7, 0007")


@pytest.mark.parametrize(
    ("kernel", "good", "bad", "said"),
    [
        ("tag-storage", "3", "3", "same"),
        ("tag-storage", "v6", "3", "--good v6: no number of patches from 0 to 25"),
        ("tag-storage", "0", "26", "--bad 26"),
        ("stock", None, None, "no patches to search"),
    ],
)
def test_a_series_that_cannot_be_searched_is_refused(
    kernel: str, good: str | None, bad: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        series_history(locate_kernel(kernel, resources()), good, bad, Silent())


def test_nothing_but_a_directory_of_patches_is_a_history() -> None:
    directory = resources() / "kernel-configs/tag-storage/patches"
    series = load_series([directory], Silent())
    source = locate_kernel("stock-6.12", resources(), BuildOptions(series=series))
    history, came = series_history(source, "20", "4", Silent())
    assert (history.first, history.last, came) == ("4", "20", False)
    fifth = history.source("5")
    assert isinstance(fifth, RecipeKernel)
    assert fifth.options.series[0].patches == series[0].patches[:5]
    without = history.without("5")
    assert isinstance(without, RecipeKernel)
    assert len(without.options.series[0].patches) == 19
    twice = locate_kernel("stock-6.12", resources(), BuildOptions(series=(*series, *series)))
    with pytest.raises(UsageError, match="--series is given twice"):
        series_history(twice, None, None, Silent())


def test_a_kernel_that_is_built_has_no_patches() -> None:
    with pytest.raises(UsageError, match="built already"):
        series_history(DebianKernel("7.3", ""), None, None, Silent())


def test_builds_of_the_same_code_have_one_content(tmp_path: Path) -> None:
    note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"

    def content(key: str, build_id: bytes, code: bytes) -> str:
        kernel = replace(fake_kernel(tmp_path), key=key)
        kernel.image.write_bytes(code + f"(root@{key})".encode() + note + build_id * 20)
        return kernel_trial.content_of(kernel)

    one = content("0123456789abcdef", b"a", b"code")
    assert content("fedcba9876543210", b"b", b"code") == one
    assert content("0123456789abcdef", b"a", b"Code") != one


def test_the_answer_says_what_a_reply_needs() -> None:
    history, _ = release_history("debian:6.12", "debian:6.16", released)
    journal = Journal({}, "case peek")
    journal.tallies = {
        "debian:6.16.12": Tally(hits=7, clean=3, signs={"case peek": "saw 0 of 16"}),
        "debian:6.16.3": Tally(clean=9, others={"splat warning-1": 2}),
    }
    journal.findings = {"debian:6.16.12": Finding.SHOWS, "debian:6.16.3": Finding.ABSENT}
    journal.fresh = {"debian:6.16.3": Tally(clean=9)}
    result = Result(("debian:6.16.12",), ("debian:6.16.3",), 0.995, Rate(7, 3), 9)
    text = answer(history, journal, result, came=True, removed=[], how=["Found by", "  mte"])
    for line in (
        "Confidence 99.50%: the bug shows in 7 of 10 runs",
        "It shows as: case peek: saw 0 of 16",
        "  bad   debian:6.16.12: 7 of 10",
        "  good  debian:6.16.3: 0 of 11; other failures: 2 x splat warning-1; again: 0 of 9",
        "Other failures, which did not count: 2 x splat warning-1",
    ):
        assert line in text
    assert max(map(len, text.splitlines())) <= 90
    unsure = replace(result, unconfirmed=("debian:6.16.3 cannot be tried: x",))
    text = answer(history, journal, unsure, came=True, removed=[], how=[])
    assert "Not confirmed: debian:6.16.3 cannot be tried: x" in text
    assert "Confidence" not in text
    sure = replace(result, confidence=0.999999, rate=Rate(given=0.3))
    text = answer(history, journal, sure, came=True, removed=[], how=[])
    assert "Confidence 99.99%: the bug shows at a rate of 0.3 (given) where it is" in text


def test_the_culprit_taken_out_speaks_for_it_or_against_it() -> None:
    gone, there, untried = Tally(clean=3), Tally(hits=1), Tally(skip="a patch does not apply: x")
    assert removed_lines(gone, 3, came=True)[0].endswith("as it must be.")
    assert removed_lines(there, 3, came=True)[0].endswith("which speaks against it.")
    assert removed_lines(there, 3, came=False)[0].endswith("as it must be.")
    assert removed_lines(gone, 3, came=False)[0].endswith("which speaks against it.")
    assert "cannot be taken out" in removed_lines(untried, 3, came=True)[0]
    weak = Tally(others={"lost": 3 + MORE})
    for came in (True, False):
        assert removed_lines(weak, 3, came=came)[0].endswith("which tells nothing.")


def test_the_catalogue_is_whole() -> None:
    bugs = catalogue()
    assert len(bugs) >= 20
    pages = {path.name for path in (resources() / "docs/findings").glob("*.md")}
    assert {Path(bug.finding).name for bug in bugs if bug.finding} == pages
    for bug in bugs:
        known = {str(on) for on in (*bug.has, *bug.free)}
        assert set(bug.rates()) <= known, f"{bug.name}: rates of kernels that it does not name"
        for on in bug.has:
            rate = bug.rates().get(str(on))
            assert rate is None or rate.hits, f"{bug.name} was not seen on {on}"
        for on in bug.free:
            rate = bug.rates().get(str(on))
            assert rate is None or not rate.hits, f"{bug.name} was seen on {on}"


GOOD = """\
title = "x"
state = "new"
reported = ["https://lore.kernel.org/x"]
program = "r.sh"
sign = "exit 1"
[[has]]
kernel = "stock"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"new"', '"open"', "state 'open'"),
        ('"exit 1"', '"boom"', "sign 'boom'"),
        ("r.sh", "s.sh", "no program"),
        ('["https://lore.kernel.org/x"]', "[]", "reported is empty"),
        ('[[has]]\nkernel = "stock"', "", "no kernel has it"),
        ('kernel = "stock"', 'kernel = "stock"\n[[free]]\nkernel = "stock"', "both has it"),
        ('title = "x"', "titel = 1", "title"),
        ('title = "x"', "title = ", FILE),
        ('title = "x"', 'title = "x"\nspeed = 1', "speed"),
        ('title = "x"', 'title = "x"\ndirectory = "x"', "directory"),
    ],
)
def test_a_wrong_bug_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    script(tmp_path, "exit 1\n")
    (tmp_path / FILE).write_text(GOOD)
    bug = load_bug(tmp_path)
    assert bug.has == (On("stock"),)
    (tmp_path / FILE).write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=said):
        load_bug(tmp_path)


def test_a_bug_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no bug 'nosuch'"):
        find_bug("nosuch")
