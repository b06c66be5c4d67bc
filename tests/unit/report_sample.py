# SPDX-License-Identifier: MIT
"""A run with one of everything, for the tests of the reports (and to look at one).

``python -m tests.unit.report_sample DIRECTORY`` writes its page, and a good run's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from harness.core.ktap import KtapResult, Outcome
from harness.report import html
from harness.report.model import NO_KERNEL, Figure, KernelRecord, Report, TestRecord
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.result import CounterSample, ProbeResult, Reason, Status
from harness.verdict.splat import Splat, find_splats

GOLDEN = Path(__file__).parent / "golden" / "splat"
_AREAS = {
    "faults": ("fault_instructions", "fault_siginfo", "mode_gcr_switch", "uaccess_out"),
    "zero": ("zero_anon", "zero_large"),
    "swap": ("swap_disk", "swap_zram", "swap_off", "swap_leak"),
    "copy": ("cow_fork", "cow_pinned"),
    "selftests": ("check_buffer_fill", "check_gcr_el1_cswitch"),
}
_PHASES = {"clone": 0.12, "before": 0.45, "after": 0.4}


def samples(growth: int) -> tuple[CounterSample, ...]:
    start = {"FreeOrCache": 1000164, "SUnreclaim": 3152, "AnonPages": 448, "PageTables": 184}
    end = {**start, "FreeOrCache": 1000164 - 700 - growth, "SUnreclaim": 3152 + growth}
    return (CounterSample(0.5, start), CounterSample(2.5, end))


def case(
    number: int, name: str, outcome: str = "pass", reason: str = "", *diagnostics: str
) -> KtapResult:
    return KtapResult(number, name, Outcome(outcome), reason, diagnostics)


def record(name: str, area: str, kernel: str, number: int) -> TestRecord:
    run = 0.4 + (number * 37 % 23) / 10
    return TestRecord(
        id=f"tests/validation/test_probes.py::test_probe[{kernel}-{name}]",
        name=name,
        area=area,
        kernel=kernel,
        machine="emulator",
        seconds=run + sum(_PHASES.values()) + 0.05,
        result=ProbeResult(
            Status.PASS,
            phases={**_PHASES, "run": run},
            cases=tuple(case(n, f"case_{n}") for n in range(1, 5 + number % 9)),
            samples=samples(number * 13 % 90),
        ),
        about=f"Tags and data of {name} survive; and this text is < the first sentence. More.",
        repeat=f".venv/bin/pytest --qemu --kernel {kernel} 'tests/validation[{kernel}-{name}]'",
    )


def changed(test: TestRecord, **change: object) -> TestRecord:
    """Return ``test`` with some fields of its result changed; the first reason is its status."""
    reasons = change.get("reasons")
    if isinstance(reasons, tuple):
        change["status"] = reasons[0].status
    return replace(test, result=replace(test.result, **change))  # type: ignore[arg-type]


def console(name: str) -> str:
    return (GOLDEN / name / "console.txt").read_text(errors="replace")


def decoded_splat(name: str) -> Splat:
    (splat, *_) = find_splats(console(name))
    lines = tuple(
        f"{line} (arch/arm64/mm/mteswap.c:61)" if "+0x" in line else line for line in splat.lines
    )
    return replace(splat, lines=lines)


def sample_report() -> Report:
    kernels = (
        KernelRecord(
            "stock", "8f1e0c5ad3b94e21", "6.12.117", "linux-source-6.12", 1.31, "", "emulator"
        ),
        KernelRecord(
            "no-swap-restore",
            "27c6d1b70a443f90",
            "6.12.117",
            "stock with 1 patch",
            None,
            "tags are not in DRAM",
        ),
    )
    tests = [
        record(name, area, kernel.name, number)
        for kernel in kernels
        for number, (area, name) in enumerate((a, n) for a, names in _AREAS.items() for n in names)
    ]
    bad = len(_AREAS) + 9  # the second kernel's
    tests[bad + 6] = changed(
        tests[bad + 6],
        reasons=(
            Reason(
                Status.FAIL,
                "tags_survive_swap",
                (
                    "swap_disk.c:88: after swap-in: page 0 granule 3: expected tag 9, saw 0",
                    "swap_disk.c:88: after swap-in: of 16384 granules 15361 have a wrong tag",
                ),
            ),
            Reason(Status.FAIL, "<script>alert('not run')</script>"),
        ),
        cases=(
            case(1, "swapped_out"),
            case(2, "tags_survive_swap", "fail", "", "expected tag 9, saw 0"),
            case(3, "zswap", "skip", "CONFIG_ZSWAP is off"),
        ),
    )
    kasan, oops = decoded_splat("kasan"), decoded_splat("oops_null")
    tests[bad + 7] = changed(
        tests[bad + 7],
        reasons=(
            Reason(Status.SPLAT, f"{kasan.title} [{kasan.fingerprint}]", kasan.lines),
            Reason(Status.SPLAT, "the kernel became tainted: B (bad page referenced)"),
        ),
        splats=(kasan,),
        console=console("kasan"),
    )
    tests[bad + 8] = changed(
        tests[bad + 8],
        reasons=(
            Reason(
                Status.LOST,
                "guest lost in phase: running: ./swap_off: the kernel reset the machine",
                (
                    "registers:",
                    "CPU#0",
                    "  PC=ffff800080345b30 X0=0000000000000010",
                    "qemu-system-aarch64 -M virt",
                ),
            ),
            Reason(Status.SPLAT, f"{oops.title} [{oops.fingerprint}]", oops.lines),
        ),
        splats=(oops,),
        console=console("oops_null"),
    )
    tests[bad + 9] = changed(
        tests[bad + 9],
        reasons=(
            Reason(Status.FAIL, "not given back: SUnreclaim: 3152 before, 9900 kB after"),
            Reason(
                Status.FAIL,
                "the auditor finds pages and tag storage at odds",
                ("2 pages: it is tag storage, reserved for no page", "  frame 0x7a000"),
            ),
        ),
        samples=(
            CounterSample(0.5, {"SUnreclaim": 3152, "FreeOrCache": 990000}),
            CounterSample(4.0, {"SUnreclaim": 9900, "FreeOrCache": 983000}),
        ),
        findings=(Finding(FindingKind.LEAKED, (0x7A000, 0x7A001), ("frame 0x7a000",)),),
        stdout="KTAP version 1\n",
        stderr="swap_leak: a line of its own\n",
    )
    tests[3] = changed(
        tests[3], reasons=(Reason(Status.SKIP, "no_asymm: skipped, CONFIG_X is not set: no"),)
    )
    tests[bad + 1] = changed(
        tests[bad + 1],
        reasons=(Reason(Status.ERROR, "the program's output is no proof: no plan line"),),
    )
    return Report(
        started="2026-11-22T20:03:25Z",
        seconds=131.4,
        command="scripts/validate stock no-swap-restore",
        host={"name": "box", "cpus": "2 (Neoverse-N1)", "system": "Debian 12", "python": "3.11.2"},
        qemu="QEMU emulator version 10.0.6 (Debian 1:10.0.6+ds-1~bpo12+1)",
        machine={"name": "emulator", "memory": "1024 MiB", "cpus": "2", "accelerator": "tcg"},
        kernels=kernels,
        tests=tuple(tests),
        figures=(Figure("fault on a tagged page", "1.03", "2914", "2950", "1.012"),),
    )


def good_report() -> Report:
    report = sample_report()
    stock = tuple(test for test in report.tests if test.kernel == "stock")
    return replace(
        report, tests=stock, kernels=report.kernels[:1], command="scripts/validate stock"
    )


def record_without_kernel() -> TestRecord:
    """Return the record of a test that took no guest, as collect.py makes it."""
    return TestRecord(
        id="tests/system/test_emulator_check.py::test_old_qemu",
        name="test_old_qemu",
        area="emulator_check",
        kernel=NO_KERNEL,
        machine="",
        seconds=0.25,
        result=ProbeResult(Status.PASS),
        repeat=".venv/bin/pytest --qemu tests/system/test_emulator_check.py::test_old_qemu",
    )


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    html.write(sample_report(), directory / "bad.html")
    html.write(good_report(), directory / "good.html")
