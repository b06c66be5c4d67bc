# SPDX-License-Identifier: MIT
"""The matrix of a night, kernel-configs/nightly.toml or a user's own: what is to be run.

budget = "8h"             # for a night; --budget wins
workers = 2               # guests at once
keep = "40 GiB"           # of results and cache together; what is oldest goes

[[entry]]                 # each kernel on each machine and each QEMU is one run
suite = "validation"      # a name of night_suites.SUITES
kernels = ["stock"]       # as on the command line; a suite that chooses its kernels takes none
machines = ["dram"]       # default: the kernel's own
qemus = ["11.1"]          # default: the host's
select = "smoke"          # pytest's -k, where pytest runs the suite; not with rotate
rotate = 20               # so many tests a night, those that have waited longest
value = 100               # what matters most is run first
estimate = "4m"           # until there are records; with rotate: for one test
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from harness.core.amounts import duration, size
from harness.core.errors import HarnessError, UsageError
from harness.core.paths import resources
from harness.core.toml_file import TomlFile
from harness.history.night_plan import Cell, Matrix
from harness.jobs.night_suites import SUITES
from harness.suite.target import guest_kernel, parse_target
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = resources() / "kernel-configs" / "nightly.toml"
TOP = {"budget", "workers", "keep", "entry"}
ENTRY = {
    "suite", "kernels", "machines", "qemus", "select", "rotate", "value", "estimate",
}  # fmt: skip


def read_matrix(path: Path) -> Matrix:
    """Return the matrix in a file. Raise UsageError with file and line."""
    try:
        toml = TomlFile(path, UsageError, "correct the matrix")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name a matrix") from error
    top = toml.table(toml.values, TOP, "")
    entries = top.get("entry")
    if not isinstance(entries, list) or not entries:
        raise toml.error("entry", "no [[entry]]: there is nothing to run")
    cells: list[Cell] = []
    for table, line in zip(entries, toml.starts("entry"), strict=False):
        for cell in _cells(toml, toml.table(table, ENTRY, "entry", line), line):
            same = [one for one in cells if _place(one) == _place(cell)]
            if same:
                raise toml.error(
                    "suite", f"{cell.name} is there twice: as {same[0].name}", start=line
                )
            cells.append(cell)
    workers = top.get("workers", 2)
    if type(workers) is not int or not 1 <= workers <= 64:
        raise toml.error("workers", "workers must be a number from 1 to 64")
    budget = _parsed(toml, top, "budget", duration, 1) if "budget" in top else 8 * 3600.0
    keep = int(_parsed(toml, top, "keep", size, 1)) if "keep" in top else 0
    return Matrix(path, budget, workers, keep, tuple(cells))


def _place(cell: Cell) -> tuple[str, ...]:
    return (cell.suite, cell.kernel, cell.machine, cell.qemu)


def _cells(toml: TomlFile, table: dict[str, Any], line: int) -> list[Cell]:
    name = toml.text(table, "suite", line)
    suite = SUITES.get(name)
    if suite is None:
        known = ", ".join(SUITES)
        raise toml.error("suite", f"unknown suite {name!r}", f"known: {known}", line)
    lists = {key: toml.texts(table, key, line) for key in ("kernels", "machines", "qemus")}
    if suite.takes_kernel != bool(lists["kernels"]):
        needs = "needs kernels" if suite.takes_kernel else "chooses its kernels itself"
        raise toml.error("kernels", f"the suite {name} {needs}", start=line)
    for machine in lists["machines"]:
        if not suite.takes_kernel or machine not in machine_names():
            known = ", ".join(machine_names()) if suite.takes_kernel else "none here"
            raise toml.error(
                "machines", f"unknown machine {machine!r}", f"known: {known}", start=line
            )
    for kernel in lists["kernels"]:
        try:
            guest_kernel(parse_target(kernel, None))
        except HarnessError as error:
            raise toml.error("kernels", error.cause, error.cure, line) from error
    numbers = {key: _number(toml, table, key, line) for key in ("rotate", "value")}
    if numbers["rotate"] and suite.tests is None:
        raise toml.error("rotate", f"the suite {name} is not run in rotation", start=line)
    select = toml.text(table, "select", line) if "select" in table else ""
    if select and (numbers["rotate"] or not suite.takes_select):
        cannot = "rotate picks the tests" if numbers["rotate"] else f"the suite {name} takes none"
        raise toml.error("select", f"select cannot be used: {cannot}", start=line)
    if "estimate" not in table:
        raise toml.error("estimate", "estimate is needed until there are records", start=line)
    estimate = _parsed(toml, table, "estimate", duration, line)
    return [
        Cell(name, kernel, machine, qemu, select, numbers["rotate"], numbers["value"], estimate)
        for kernel, machine, qemu in itertools.product(
            lists["kernels"] or ("",), lists["machines"] or ("",), lists["qemus"] or ("",)
        )
    ]


def _number(toml: TomlFile, table: dict[str, Any], key: str, line: int) -> int:
    value = table.get(key, 0)
    if type(value) is not int or value < 0:
        raise toml.error(key, f"{key} must be a whole number, 0 or more", start=line)
    return value


def _parsed(toml: TomlFile, table: dict[str, Any], key: str, parse: Any, line: int) -> float:
    try:
        return float(parse(toml.text(table, key, line)))
    except ValueError as error:
        raise toml.error(key, str(error), start=line) from error
