# SPDX-License-Identifier: MIT
"""What a host may do to a guest, or to its files, met from outside: never the kernel's fault.

What needs no guest: tests/unit/test_host_trouble.py; what needs rights to mount:
tests/nightly/test_own_namespaces.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import cache_root, checkout
from tests.support.command import COMMAND
from tests.support.emulators import emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.guest.template import Template

    Cli = Callable[..., subprocess.CompletedProcess[str]]

PROGRAMS = Path(__file__).parent / "programs"
PASS = ("run", "stock", str(PROGRAMS / "pass.c"))


@pytest.fixture(autouse=True)
def warm(template: Template) -> None:
    """Prepare the template, so that no test below waits for a build."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the TMPDIR of the commands, in which none leaves anything."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    yield path
    assert not list(path.iterdir())


def first_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert "a bug in the harness" not in done.stderr
    return next(line for line in done.stderr.splitlines() if line.startswith("mte-harness: "))


@pytest.fixture
def copied(template: Template, tmp_path: Path) -> tuple[Path, Path]:
    """Return a cache that shares all but the templates, and its own copy of the saved guest."""
    cache = tmp_path / "cache"
    (cache / "templates").mkdir(parents=True)
    for place in cache_root().iterdir():
        if place.is_dir() and place.name != "templates":
            (cache / place.name).symlink_to(place)
    copy = cache / "templates" / template.key
    subprocess.run(["cp", "-r", "--sparse=always", template.directory, copy], check=True)
    return cache, copy


def hole(path: Path) -> None:
    """Leave of a file its size only, as a power cut may."""
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def test_a_damaged_saved_guest_is_named(cli: Cli, copied: tuple[Path, Path]) -> None:
    cache, copy = copied
    assert cli(*PASS, MTE_HARNESS_CACHE=str(cache)).returncode == errors.OK
    hole(copy / "dram")
    done = cli(*PASS, MTE_HARNESS_CACHE=str(cache))
    assert done.returncode == errors.ArtifactError.status, done.stderr
    assert f"mte-harness clean templates/{copy.name}" in first_line(done)


def test_a_kernel_that_does_not_come_up(cli: Cli) -> None:
    done = cli(*PASS, "--append", "root=/dev/nothing")
    assert done.returncode == errors.BOOT_FAILED
    assert "Unable to mount root fs" in first_line(done)


class Asleep:
    """A run whose program sleeps in its guest, and the QEMU of that guest."""

    def __init__(self) -> None:
        before = emulators()
        self.child = subprocess.Popen(
            [COMMAND, "run", "stock", str(PROGRAMS / "sleep.py")],
            cwd=checkout("the tests"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout is not None
        assert self.child.stdout.readline() == "asleep\n"
        (self.qemu,) = emulators() - before

    def end(self) -> subprocess.CompletedProcess[str]:
        said, told = self.child.communicate(timeout=120)
        return subprocess.CompletedProcess([], self.child.returncode, said, told)


def test_qemu_is_killed() -> None:
    run = Asleep()
    os.kill(run.qemu, signal.SIGKILL)
    done = run.end()
    assert done.returncode == errors.QemuDiedError.status
    assert "signal 9" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_qemu_is_stopped(number: signal.Signals) -> None:
    """QEMU, which answers nothing, is ended all the same."""
    run = Asleep()
    os.kill(run.qemu, signal.SIGSTOP)
    run.child.send_signal(number)
    done = run.end()
    assert done.returncode == 128 + number
    assert "Traceback" not in done.stderr
    assert not Path(f"/proc/{run.qemu}").exists()
