# SPDX-License-Identifier: MIT
"""pytest's command lines on this repository: which tests are collected, whatever the kernel is."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.paths import resources
from harness.suite.plugin import VALIDATION

pytest_plugins = ["pytester"]

REPOSITORY = resources()
README = [
    line.partition(" #")[0].strip()
    for line in (REPOSITORY / "README.md").read_text("utf-8").splitlines()
    if ".venv/bin/pytest --qemu" in line
]
SUITE = {path.name for path in VALIDATION.glob("test_*.py")}

BOOT = VALIDATION / "test_boot.py"
Collect = Callable[..., Counter[str]]


@pytest.fixture
def linux(pytester: pytest.Pytester) -> Path:
    """Make ~/linux, which is all that pytest sees of a kernel before it is built."""
    path = Path.home() / "linux"  # pytester has its own HOME
    assert path == pytester.path / "linux"
    path.mkdir()
    diff = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n"
    (Path.home() / "fix.diff").write_text(diff)
    return path


@pytest.fixture
def collect(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, linux: Path) -> Collect:
    """Return ``collect(line, where)``: how many tests of which file a command line collects."""

    def run(line: str, where: Path = REPOSITORY) -> Counter[str]:
        monkeypatch.chdir(where)
        words = shlex.split(line.replace("~", str(Path.home())))
        result = pytester.runpytest_inprocess(
            "--collect-only", "-q", "-p", "no:cacheprovider", *words
        )
        assert result.ret == pytest.ExitCode.OK, result.outlines
        ids = [line for line in result.outlines if "::" in line]
        files: Counter[str] = Counter(Path(test.partition("::")[0]).name for test in ids)
        return files

    return run


def test_readme_has_command_lines_of_pytest() -> None:
    assert len(README) >= 3
    assert any("~/linux" in line for line in README)


@pytest.mark.parametrize("line", README)
def test_each_command_line_of_the_readme_collects_the_suite_only(
    collect: Collect, line: str
) -> None:
    _, *words = shlex.split(line)
    files = collect(shlex.join(words))
    assert files
    if "-k" in words:
        assert set(files) <= SUITE
    else:
        assert set(files) == SUITE


@pytest.mark.parametrize(
    "options",
    [
        "--kernel ~/linux",
        "--kernel=~/linux",
        "--kernel stock --kernel ~/linux",
        "--kernel ~/linux --kernel stock",
        "--kernel ~/linux --machine dram",
        "--report ~/linux",
        "--report=~/linux",
        "--qemu-binary ~/linux",
        "--kernel ~/linux@dram",
        "--series ~/fix.diff",
        "--series=~/fix.diff --kernel ~/linux",
        "-n 2 --kernel ~/linux",
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_an_existing_path_names_no_test(
    collect: Collect, tmp_path: Path, options: str, *, elsewhere: bool
) -> None:
    where = tmp_path if elsewhere else REPOSITORY
    files = collect(f"--qemu {options}", where)
    assert set(files) == SUITE
    kernels = max(1, options.count("--kernel"))
    assert files[BOOT.name] == kernels * BOOT.read_text("utf-8").count("\ndef test_")


@pytest.mark.parametrize("kernel", ["stock", "~/linux"])
def test_a_named_file_is_all_that_is_collected(collect: Collect, kernel: str) -> None:
    assert set(collect(f"--qemu --kernel {kernel} tests/validation/test_boot.py")) == {
        "test_boot.py"
    }
    assert set(collect(f"--qemu tests/validation/test_boot.py --kernel {kernel}")) == {
        "test_boot.py"
    }


def test_a_named_test_from_elsewhere(collect: Collect, tmp_path: Path) -> None:
    test = f"{BOOT}::test_every_cpu_has_mte"
    files = collect(f"--qemu --kernel ~/linux {test}", tmp_path)
    assert files == Counter({"test_boot.py": 1})


def test_without_qemu_no_test_of_a_guest_is_collected(collect: Collect) -> None:
    files = collect("tests/validation tests/unit/test_ktap.py")
    assert set(files) == {"test_ktap.py"}


def test_testpaths_of_another_project_are_its_own(collect: Collect, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = mine\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "test_own.py").write_text("def test_own(guest): pass\n")
    assert set(collect("--qemu", tmp_path)) == {"test_own.py"}


def test_collecting_leaves_an_old_report_alone(collect: Collect, linux: Path) -> None:
    (linux / "report.json").write_text("old")
    collect("--qemu --report ~/linux")
    assert [path.name for path in linux.iterdir()] == ["report.json"]
    assert (linux / "report.json").read_text() == "old"


def test_in_a_process_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, linux: Path
) -> None:
    """The other tests share this process's plugin, which pytest has not just loaded by itself."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    words = ("--qemu", "--kernel", str(linux), "--collect-only", "-q", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*words, timeout=200)
    assert result.ret == pytest.ExitCode.OK
    files = {Path(line.partition("::")[0]).name for line in result.outlines if "::" in line}
    assert files == SUITE
