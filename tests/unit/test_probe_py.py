# SPDX-License-Identifier: MIT
"""guest/lib/probe.py, run on the host: it behaves as guest/include/ktap.h does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).parents[2] / "guest" / "lib"

PROBE = """
import os, signal, sys, time
from probe import case, check, check_eq, main, must, note, skip

@case()
def passes():
    note("two\\nlines")
    check(True, "never printed")

@case()
def fails_and_goes_on():
    check_eq(1, 2, "the first")
    check(0, "the second")

@case()
def must_ends_it():
    must(False, "set-up")
    check(False, "never reached")

@case()
def raises():
    {}["missing"]

@case()
def dies():
    os.kill(os.getpid(), signal.SIGSEGV)

@case(seconds=1)
def hangs():
    if not os.fork():
        time.sleep(60)
    time.sleep(60)

@case()
def fails_in_a_child():
    for _ in range(20):
        if not os.fork():
            check(False, "in the child")
            os._exit(0)
        os.wait()

@case()
def skips():
    skip("no swap")

@case()
def skips_after_a_failure():
    check(False, "first")
    skip("no swap")

@case()
def exits():
    sys.exit(3)

main()
"""


def run(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    probe = tmp_path / "demo.py"
    probe.write_text(PROBE)
    return subprocess.run(
        [sys.executable, str(probe), *args],
        env={"PYTHONPATH": str(LIB), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    done = run(tmp_path_factory.mktemp("probe"))
    assert done.returncode == 1
    assert done.stderr == ""
    return done.stdout


def test_header_and_plan(output: str) -> None:
    assert output.startswith("KTAP version 1\n1..10\n")


@pytest.mark.parametrize(
    "line",
    [
        "# two\n# lines\nok 1 passes\n",
        "# demo.py:12: the first: expected 2, saw 1\n",
        "# demo.py:13: the second\nnot ok 2 fails_and_goes_on\n",
        "# demo.py:17: set-up\nnot ok 3 must_ends_it\n",
        "# KeyError: 'missing'\nnot ok 4 raises\n",
        "# dies: expected to return, killed by signal 11 (Segmentation fault)\nnot ok 5 dies\n",
        "not ok 6 hangs # TIMEOUT not finished after 1 s\n",
        "# and 8 more failed checks\nnot ok 7 fails_in_a_child\n",
        "\nok 8 skips # SKIP no swap\n",
        "\nnot ok 9 skips_after_a_failure\n",
        "# exits: expected to return, exit status 3\nnot ok 10 exits\n",
    ],
)
def test_results(output: str, line: str) -> None:
    assert line in output


def test_failures_in_children_are_printed_up_to_a_limit(output: str) -> None:
    assert output.count("in the child") == 12


def test_nothing_runs_on_after_must(output: str) -> None:
    assert "never" not in output


def test_named_cases_only(tmp_path: Path) -> None:
    done = run(tmp_path, "skips", "passes")
    assert done.returncode == 0
    assert "1..2\n" in done.stdout
    assert [line for line in done.stdout.splitlines() if "ok" in line.split()] == [
        "ok 1 passes",
        "ok 2 skips # SKIP no swap",
    ]


def test_list(tmp_path: Path) -> None:
    done = run(tmp_path, "-l")
    assert done.stdout.split()[:3] == ["passes", "fails_and_goes_on", "must_ends_it"]
    assert done.returncode == 0


def test_unknown_case(tmp_path: Path) -> None:
    done = run(tmp_path, "no_such")
    assert done.returncode == 2
    assert "no case no_such; -l lists them" in done.stderr


def test_time_limit_of_a_case_grows_on_a_slow_kernel(tmp_path: Path) -> None:
    path = tmp_path / "demo.py"
    path.write_text(
        "import time\nfrom probe import case, main\n\n"
        "@case(seconds=1)\ndef sleeps():\n    time.sleep(1.3)\n\nmain()\n"
    )
    for slow, word in (("1", "not ok"), ("60", "ok")):
        done = subprocess.run(
            [sys.executable, str(path)],
            env={"PYTHONPATH": str(LIB), "KTAP_SLOW": slow},
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"\n{word} 1 sleeps" in done.stdout
