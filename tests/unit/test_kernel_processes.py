# SPDX-License-Identifier: MIT
"""Builds that are interrupted, killed, or two at once: no process and no half-made thing stays."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.kernel.workspace import sweep_build

FAKE = Path(__file__).parent / "fakelinux"
ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0

PROGRAM = """
import signal, sys
from pathlib import Path
from harness.kernel import locate_kernel, obtain_kernel
from harness.core.progress import PlainProgress
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
linux, cache, root = sys.argv[1:]
source = locate_kernel(linux, Path(root))
print(obtain_kernel(source, Path(cache), PlainProgress(sys.stderr)).key)
"""

# A compiler that writes its process id to a file, and then waits for the file "go".
SLOW = (
    "@echo $$$$ > $(O)/../../../../pid; while [ ! -e $(CURDIR)/../../../go ]; do sleep 0.05; done"
)


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    linux = tmp_path / "linux"
    shutil.copytree(FAKE, linux)
    makefile = linux / "Makefile"
    text = makefile.read_text()
    makefile.write_text(text.replace("\t@echo '  LD ", f"\t{SLOW}\n\t@echo '  LD "))
    recipe = tmp_path / "kernel-configs/stock"
    recipe.mkdir(parents=True)
    (recipe / "x.config").write_text("CONFIG_ARM64_MTE=y\n")
    (recipe / "kernel.toml").write_text(
        'description="d"\nfragments=["./x.config"]\n[base]\ndebian="none"\n'
    )
    return linux


def start(linux: Path) -> subprocess.Popen[str]:
    words = [str(linux), str(linux.parent / "cache"), str(linux.parent)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> str:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path} did not appear")


def gone(pid: int) -> bool:
    """Wait until a process that is not our child has ended."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # the second: after open(), before read()
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_build_leaves_no_process(linux: Path, number: signal.Signals) -> None:
    run = start(linux)
    shell = int(wait_for(linux.parent / "cache/pid"))
    run.send_signal(number)
    run.communicate(timeout=DEADLINE_S)
    assert run.returncode != 0
    assert gone(shell)
    cache = linux.parent / "cache"
    if number == signal.SIGINT:
        assert not (cache / "work").exists()
        assert list(cache.glob("builds/.*.new")) == []
    # The next run is not hindered by what was left.
    (cache / "go").touch()
    after = start(linux)
    out, err = after.communicate(timeout=DEADLINE_S)
    assert after.returncode == 0, err
    assert (cache / "builds" / out.strip() / "Image").exists()
    assert not (cache / "work").exists()
    assert list(cache.glob("builds/.*.new")) == []


def test_only_what_a_killed_build_left_is_swept(linux: Path) -> None:
    cache = linux.parent / "cache"
    run = start(linux)
    shell = int(wait_for(cache / "pid"))
    sweep_build(cache)
    assert (cache / "work").is_dir()  # it is being built
    run.kill()
    run.communicate(timeout=DEADLINE_S)
    sweep_build(cache)
    assert gone(shell)
    assert not (cache / "work").exists()


def test_second_run_waits_and_says_so(linux: Path) -> None:
    cache = linux.parent / "cache"
    first = start(linux)
    wait_for(cache / "pid")
    second = start(linux)
    assert second.stderr is not None
    assert "another run is building" in second.stderr.readline()
    (cache / "go").touch()
    keys = {run.communicate(timeout=DEADLINE_S)[0] for run in (first, second)}
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(keys) == 1
    log = (cache / "builds" / keys.pop().strip() / "build.log").read_text()
    assert log.count("LD ") == 1
    assert [path.name for path in (cache / "logs").iterdir()] == ["lines.json"]


def test_counts_of_lines_that_are_no_use_are_done_without(linux: Path) -> None:
    cache = linux.parent / "cache"
    (cache / "logs").mkdir(parents=True)
    (cache / "logs/lines.json").write_text('{"whole')  # a full disk cut it off
    cache.joinpath("go").touch()
    run = start(linux)
    _, err = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0, err
