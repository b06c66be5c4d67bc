# SPDX-License-Identifier: MIT
"""The matrix of a night, its forecast, and what fits in the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.amounts import duration, size
from harness.core.errors import UsageError
from harness.history.night_plan import (
    Earlier,
    Listed,
    Matrix,
    clock,
    forecast,
    plan,
    waiting_longest,
)
from harness.jobs.matrix import SHIPPED, read_matrix
from harness.jobs.night_suites import SUITES

if TYPE_CHECKING:
    from pathlib import Path

    from harness.history.night import Planned

ONE = '[[entry]]\nsuite = "validation"\nkernels = ["stock"]\nestimate = "4m"\n'
ROTATING = '[[entry]]\nsuite = "mutants"\nrotate = 4\nestimate = "30s"\n'


def matrix(directory: Path, text: str) -> Matrix:
    path = directory / "m.toml"
    path.write_text(text)
    return read_matrix(path)


def test_each_kernel_machine_and_qemu_is_a_run(tmp_path: Path) -> None:
    read = matrix(
        tmp_path,
        'budget = "1h30m"\nworkers = 3\nkeep = "5 GiB"\n[[entry]]\nsuite = "validation"\n'
        'kernels = ["stock", "debian:7.3"]\nmachines = ["emulator", "dram"]\nqemus = ["11.1"]\n'
        'select = "smoke"\nvalue = 7\nestimate = "90s"\n',
    )
    assert (read.budget, read.workers, read.keep) == (5400, 3, 5 << 30)
    assert [cell.name for cell in read.cells] == [
        f"validation {kernel}@{machine} -k 'smoke' QEMU 11.1"
        for kernel in ("stock", "debian:7.3")
        for machine in ("emulator", "dram")
    ]
    assert {(cell.value, cell.estimate) for cell in read.cells} == {(7, 90)}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "nothing to run"),
        ('budget = "8"\n' + ONE, 1, "'8' is no time"),
        ("budget = 8\n" + ONE, 1, "budget must be a string"),
        ("workers = 0\n" + ONE, 1, "workers must be a number"),
        ('keep = "5 GB"\n' + ONE, 1, "is no size"),
        ("bugdet = 1\n" + ONE, 1, "unknown key 'bugdet'"),
        (ONE + "valeu = 1\n", 5, "unknown key 'valeu' in [entry]"),
        (ONE + ONE.replace("stock", "no such"), 7, "no such"),
        (ONE + ONE, 6, "is there twice"),
        (ONE.replace("validation", "toast"), 2, "unknown suite 'toast'"),
        (ONE + 'machines = ["toaster"]\n', 5, "unknown machine 'toaster'"),
        (ONE.replace('kernels = ["stock"]\n', ""), 1, "needs kernels"),
        (ONE.replace("validation", "mutants"), 3, "chooses its kernels itself"),
        (ONE + "rotate = 3\n", 5, "is not run in rotation"),
        (ONE + "value = -1\n", 5, "value must be a whole number"),
        (ONE + "value = true\n", 5, "value must be a whole number"),
        (ROTATING + 'select = "cow"\n', 5, "select cannot be used: rotate picks the tests"),
        (ROTATING.replace("mutants", "known-bad").replace("rotate = 4", 'select = "x"'), 3, "none"),
        (ONE.replace('estimate = "4m"\n', ""), 1, "estimate is needed"),
        (ONE.replace("4m", "soon"), 4, "'soon' is no time"),
        (ONE.replace('["stock"]', '"stock"'), 3, "kernels must be a list of strings"),
        ("entry = 5\n", 1, "nothing to run"),
        ("[[entry]\n", 1, "at line 1"),
    ],
)
def test_a_wrong_matrix_is_an_error_of_usage_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        matrix(tmp_path, text)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert f"m.toml:{line}:" in message or f"line {line}" in message


def test_no_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_matrix(tmp_path / "none.toml")


def test_the_matrix_that_ships_is_read_and_fits_its_budget() -> None:
    read = read_matrix(SHIPPED)
    names = tuple(f"test {n}" for n in range(200))
    listed = {name: Listed(names) for name, suite in SUITES.items() if suite.tests}
    entries = plan(read, read.budget, {}, listed)
    assert not [entry for entry in entries if entry.left_out]
    wanted = {
        "stock", "debian:7.3", "stock-6.12", "stock-6.1", "tag-storage", "tag-storage-debug",
        "fixes",
    }  # fmt: skip
    assert wanted <= {entry.kernel for entry in entries}
    assert SUITES.keys() == {entry.suite for entry in entries}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("60m", 3600), ("1h30m", 5400), ("8h", 28800)]
)
def test_times(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "8", "h", "1.5h", "-1h", "1h 30m", "1h30", "9" * 400 + "h", "²h"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        duration(text)


def test_sizes() -> None:
    assert (size("5 GiB"), size("100MiB")) == (5 << 30, 100 << 20)
    with pytest.raises(ValueError, match="no size"):
        size("9" * 400 + "GiB")  # as a float it would overflow


# --- the plan -------------------------------------------------------------------

THREE = "".join(
    f'[[entry]]\nsuite = "validation"\nkernels = ["{kernel}"]\nvalue = {value}\nestimate = "10m"\n'
    for kernel, value in (("stock", 1), ("debug", 3), ("fixes", 2))
)


def kernels(entries: tuple[Planned, ...]) -> list[str]:
    return [entry.kernel for entry in entries if not entry.left_out]


def test_what_matters_most_is_first_and_the_rest_is_left_out(tmp_path: Path) -> None:
    read = matrix(tmp_path, THREE)
    assert kernels(plan(read, 3600, {}, {})) == ["debug", "fixes", "stock"]
    entries = plan(read, 1300, {}, {})
    assert kernels(entries) == ["debug", "fixes"]
    assert entries[-1].left_out == "no time: 10 min expected, 100 s left".replace("100 s", "2 min")


def test_a_smaller_one_fits_after_one_that_does_not(tmp_path: Path) -> None:
    read = matrix(tmp_path, THREE)
    earlier = {"validation debug": Earlier(((3000, 9),)), "validation stock": Earlier(((60, 9),))}
    assert kernels(plan(read, 700, earlier, {})) == ["fixes", "stock"]


def test_the_forecast_is_the_median_of_the_last_runs(tmp_path: Path) -> None:
    read = matrix(tmp_path, ONE)
    runs = tuple((seconds, 5) for seconds in (9000.0, 100.0, 110.0, 120.0, 900.0, 130.0))
    (entry,) = plan(read, 3600, {"validation stock": Earlier(runs)}, {})
    assert (entry.expected, entry.runs) == (120, 5)
    assert "2 min  validation stock  (from 5 runs)" in forecast([entry], 3600)
    (guess,) = plan(read, 3600, {}, {})
    text = forecast([guess], 3600)
    assert "4 min  validation stock  (an estimate)" in text
    assert "in all, of 1 h 00 min; 1 of 1 are estimates" in text


def test_a_rotation_takes_what_fits(tmp_path: Path) -> None:
    read = matrix(tmp_path, ROTATING)
    names = ("d", "a", "c", "b", "e")
    (entry,) = plan(read, 3600, {}, {"mutants": Listed(names)})
    assert (entry.picked, entry.known, entry.expected) == (("d", "a", "c", "b"), 5, 120)
    (entry,) = plan(read, 65, {}, {"mutants": Listed(names)})
    assert (entry.picked, entry.left_out) == (("d", "a"), "")
    (entry,) = plan(read, 20, {}, {"mutants": Listed(names)})
    assert entry.left_out
    (entry,) = plan(read, 100, {"mutants": Earlier(((100, 2),))}, {"mutants": Listed(names)})
    assert (entry.picked, entry.runs) == (("d", "a"), 1)


def test_those_that_have_waited_longest_are_first() -> None:
    last = {"a": "20261103", "b": "20261101", "c": "20261102"}
    assert waiting_longest(["a", "b", "c", "new"], last) == ("new", "b", "c", "a")


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (90, "2 min"), (3900, "1 h 05 min"), (3590, "1 h 00 min")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
