# SPDX-License-Identifier: MIT
"""From nothing to the program: order, exit statuses, and the scripts themselves."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from harness.core.errors import NetworkError
from harness.host import apt, bootstrap, venv
from harness.host.needs import Need, Survey, distribution

Shim = Callable[[str, str], Path]
Calls = Callable[[], list[str]]

DEBIAN = distribution("debian-12")
COMPLETE = Survey(DEBIAN, (), Path("/usr/bin/qemu-system-aarch64"), (10, 0))
NO_QEMU = Survey(DEBIAN, (Need("qemu", "", ("qemu-system-arm",)),), None, None)
OLD_QEMU = Survey(DEBIAN, NO_QEMU.missing, Path("/usr/local/bin/qemu-system-aarch64"), (7, 2))
REPOSITORY = Path(__file__).parents[2]


class Steps:
    """Records what `bootstrap` does; ``surveys`` are its successive looks at the host."""

    def __init__(self, surveys: list[Survey]) -> None:
        self.surveys = surveys
        self.done: list[str] = []

    def survey(self, _where: object) -> Survey:
        return self.surveys.pop(0)

    def install(self, _survey: object, _progress: object) -> None:
        self.done.append("install")

    def ensure(self, _root: object, _progress: object) -> None:
        self.done.append("venv")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Make a host: a Debian 12 that lacks nothing."""
    fake = Steps([COMPLETE])
    monkeypatch.setattr(bootstrap, "os_id", lambda: "debian-12")
    monkeypatch.setattr(bootstrap, "survey", fake.survey)
    monkeypatch.setattr(bootstrap, "unwind_on_sigterm", lambda: None)
    monkeypatch.setattr(apt, "install", fake.install)
    monkeypatch.setattr(venv, "ensure", fake.ensure)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # main() adds to it
    return fake


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def test_nothing_to_install(steps: Steps) -> None:
    assert bootstrap.main([]) == 0
    assert steps.done == ["venv"]


def test_what_an_option_needs_is_installed(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: None)
    clang = Need("llvm", "", ("clang-19",), "--llvm")
    lacking = dataclasses.replace(COMPLETE, optional=(clang,))
    steps.surveys[:] = [lacking]
    bootstrap.main(["mte-harness", "build", "7.3"])
    assert steps.done == ["venv"]
    steps.surveys[:] = [lacking, COMPLETE]
    bootstrap.main(["mte-harness", "build", "7.3", "--llvm"])
    assert steps.done == ["venv", "install", "venv"]


def test_python_is_called_by_the_path_that_shows_it_its_environment(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, argv: became.append((path, argv)))
    bootstrap.main(["python", "-m", "x"])
    python = str(bootstrap.ROOT / ".venv/bin/python")
    assert became == [(python, [python, "-m", "x"])]


def test_packages_before_the_environment(steps: Steps) -> None:
    steps.surveys = [NO_QEMU, COMPLETE]
    assert bootstrap.main([]) == 0
    assert steps.done == ["install", "venv"]


def test_old_qemu_on_path_hides_the_new_one(
    steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.surveys = [OLD_QEMU, OLD_QEMU]
    assert bootstrap.main([]) == 164
    assert "/usr/local/bin/qemu-system-aarch64 is QEMU 7.2" in capsys.readouterr().err


def test_still_missing_after_apt_get_is_an_error(steps: Steps) -> None:
    steps.surveys = [NO_QEMU, NO_QEMU]
    assert bootstrap.main([]) == 161
    assert steps.done == ["install"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NetworkError("no answer"), 162),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 169),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 161),
        (OSError(errno.EIO, "Input/output error", "/x"), 159),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_status(
    steps: Steps,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
) -> None:
    monkeypatch.setattr(venv, "ensure", raising(error))
    assert bootstrap.main(["mte-harness"]) == status
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.fixture
def clone(tmp_path: Path, shim: Shim) -> Path:
    """Make a clone that is set up, on a host that is set up; its programs are shims.

    Skips nothing: the distribution that the test runs on is in the table.
    """
    root = tmp_path / "a clone"
    (root / ".venv/bin").mkdir(parents=True)
    for name in ("scripts", "harness/core", "harness/host", ".ci"):
        shutil.copytree(
            REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in (
        "harness/__init__.py",
        "requirements.lock",
        "pyproject.toml",
    ):
        shutil.copy(REPOSITORY / name, root / name)
    # The scripts run the distribution's Python, whose version may not be ours.
    stamp = subprocess.run(
        ["/usr/bin/python3", "-c", STAMP, root],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (root / ".venv" / venv.STAMP).write_text(stamp)
    for program in ("mte-harness", "python"):
        script = shim(program, "pwd; printf '%s|' \"$@\"; echo; echo ${PYTHONPATH-unset}; exit 7")
        script.rename(root / ".venv/bin" / program)
    shim("dpkg", "echo amd64")
    # Answers for whatever packages it is asked.
    shim("dpkg-query", 'shift 3; for name; do echo "$name amd64 installed"; done')
    shim("qemu-system-aarch64", "echo QEMU emulator version 10.0.2")
    shim("apt-get", "exit 100")
    return root


STAMP = """
import sys
from pathlib import Path
from harness.host import venv
print(venv.stamp(Path(sys.argv[1])), end="")
"""


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("scripts/mte-harness", "a b|--x|"),
        ("scripts/validate", "validate|a b|--x|"),
        ("scripts/test", "test|a b|--x|"),
        (".ci/run", "test|a b|--x|"),
    ],
)
def test_script_from_anywhere_through_a_link(
    clone: Path, tmp_path: Path, calls: Calls, script: str, arguments: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to(clone / script)
    ran = subprocess.run([link, "a b", "--x"], cwd="/", capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout == f"/\n{arguments}\nunset\n"
    assert ran.returncode == 7
    assert "apt-get" not in {call.split()[0] for call in calls()}


def test_script_is_not_misled_by_modules_where_it_is_called(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "tomllib.py").write_text("raise SystemExit('misled')\n")
    ran = subprocess.run(
        [clone / "scripts/validate"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (7, "")
