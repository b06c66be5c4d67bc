# SPDX-License-Identifier: MIT
"""A night in the schema 5.3 of KCIDB, KernelCI's database, checked with its own package.

A kernel is a checkout and a build, a test or case on it a test, a known bug an issue and each time
that it shows an incident. ERROR is for what is no verdict on the kernel, such as trouble of
the host; a lost guest is a FAIL. Nothing is sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.printable import printable
from harness.history.night import COMES_UP, KernelRun, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.history.night import Run, TestRun

ORIGIN = "mte_harness"
EXCERPT = 16384  # characters that KernelCI's dashboard takes
_STATUS = {
    State.PASS: "PASS",
    State.EXPIRED: "PASS",
    State.SKIP: "SKIP",
    State.ERROR: "ERROR",
    State.UNTESTED: "ERROR",
    State.FAIL: "FAIL",
    State.KNOWN: "FAIL",
    State.SPLAT: "FAIL",
    State.LOST: "FAIL",
}


def document(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the night's runs as one document. Raise HarnessError where KCIDB's schema refuses."""
    found: dict[str, Any] = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [],
        "builds": [],
        "tests": [],
        "issues": [],
        "incidents": [],
    }
    issues: dict[str, dict[str, Any]] = {}
    known: set[str] = set()
    for run in runs:
        for kernel in _kernels(run):
            if _build_id(kernel, run) not in known:
                known.add(_build_id(kernel, run))
                found["checkouts"].append(_checkout(kernel, run))
                found["builds"].append(_build(kernel, run))
        for number, test in enumerate(run.tests):
            kernel = _kernel_of(run, test)
            rows = list(_tests(run, number, test, _build_id(kernel, run)))
            found["tests"] += rows
            if test.state is State.KNOWN and test.bug:
                issue = issues.setdefault(test.bug, _issue(test))
                found["incidents"].append(_incident(issue, rows[0]))
    found["issues"] = list(issues.values())
    _check(found)
    return found


def dumps(found: dict[str, Any]) -> bytes:
    """Return a document as the bytes of a file."""
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode(
        errors="backslashreplace"
    )


def _check(found: dict[str, Any]) -> None:
    # jsonschema takes long to import, and only a night needs it.
    import kcidb_io  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        kcidb_io.schema.V5_3.validate_exactly(found)
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise HarnessError(f"KCIDB's schema refuses the night: {said}") from error


def _id(*words: str) -> str:
    return f"{ORIGIN}:{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:24]}"


def _kernels(run: Run) -> list[KernelRun]:
    """Return the kernels that the run's tests were on, those that did not come up included."""
    found = {_build_id(kernel, run): kernel for kernel in run.kernels}
    for test in run.tests:
        kernel = _kernel_of(run, test)
        found.setdefault(_build_id(kernel, run), kernel)
    return list(found.values())


def _kernel_of(run: Run, test: TestRun) -> KernelRun:
    """Return the kernel of a test; of a test with several the first, since KCIDB takes one."""
    machines = {*test.machine.split(", "), ""}
    for kernel in run.kernels:
        if kernel.name == test.kernel.partition(", ")[0] and kernel.machine in machines:
            return kernel
    return KernelRun(test.kernel, test.machine, "", "")


def _build_id(kernel: KernelRun, run: Run) -> str:
    return _id("build", *_tree(kernel, run))


def _tree(kernel: KernelRun, run: Run) -> tuple[str, str]:
    """Return what tells a kernel from others; of one without a key it may be others each night."""
    return kernel.name, kernel.key or f"night {run.night}"


def _checkout(kernel: KernelRun, run: Run) -> dict[str, Any]:
    return {
        "id": _id("checkout", *_tree(kernel, run)),
        "origin": ORIGIN,
        "tree_name": kernel.name,
        "git_commit_name": kernel.release or "unknown",
        "start_time": _time(run.started),
        **({"valid": True} if kernel.key else {}),
        "comment": printable(kernel.about),
    }


def _build(kernel: KernelRun, run: Run) -> dict[str, Any]:
    """Return a kernel's build; without a key it did not build, or nothing is known of it."""
    failed = any(
        test.test == COMES_UP and test.kernel == kernel.name and test.state is State.FAIL
        for test in run.tests
    )
    return {
        "id": _build_id(kernel, run),
        "checkout_id": _id("checkout", *_tree(kernel, run)),
        "origin": ORIGIN,
        "start_time": _time(run.started),
        "architecture": "arm64",
        "compiler": printable(run.context.compiler.partition(";")[0]),
        **({"status": "FAIL" if failed else "PASS"} if failed or kernel.key else {}),
        "misc": {"key": kernel.key, "release": kernel.release},
    }


def _tests(run: Run, number: int, test: TestRun, build: str) -> Iterable[dict[str, Any]]:
    """Yield a test, and its cases below it."""
    base = f"{ORIGIN}.{_path(test.test)}"
    common = {
        "build_id": build,
        "origin": ORIGIN,
        "start_time": _time(run.started),
        "environment": {
            "comment": printable(f"{run.context.qemu}; {run.context.host}"),
            "misc": {"platform": f"qemu-arm64 {test.machine}".strip()},
        },
    }
    key = (run.night, run.entry, str(number))
    yield {
        **common,
        "id": _id("test", *key),
        "path": base,
        "status": _STATUS[test.state],
        "duration": test.seconds,
        **({"log_excerpt": printable(test.reason)[:EXCERPT]} if test.reason else {}),
        "misc": {"fingerprint": test.fingerprint, "harness": run.context.harness},
    }
    for state, names in test.cases.items():
        for name in names:
            yield {
                **common,
                "id": _id("case", *key, name),
                "path": f"{base}.{_path(name)}",
                "status": _STATUS[state],
                "misc": {"case": printable(name)},
            }


def _issue(test: TestRun) -> dict[str, Any]:
    return {
        "id": _id("issue", test.bug),
        "version": 1,
        "origin": ORIGIN,
        "culprit": {"code": True},
        "comment": printable(f"{test.bug}: {test.about}"),
    }


def _incident(issue: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id("incident", issue["id"], test["id"]),
        "origin": ORIGIN,
        "issue_id": issue["id"],
        "issue_version": issue["version"],
        "test_id": test["id"],
        "present": True,
    }


def _path(name: str) -> str:
    """Return a name as a part of a path, which has letters, digits, ``-`` and ``_``."""
    parts = [re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_") for part in name.split("/")]
    return ".".join(part for part in parts if part) or "unnamed"


def _time(started: str) -> str:
    return datetime.fromisoformat(started).isoformat()
