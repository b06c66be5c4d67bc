# SPDX-License-Identifier: MIT
"""A run with one of everything, for the tests of the reports (and to look at one).

``python -m tests.unit.report_sample DIRECTORY`` writes its page, and a good run's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from harness.report import html
from harness.report.model import (
    Case,
    Figure,
    Item,
    KernelRecord,
    ReasonRecord,
    Run,
    Sample,
    SplatRecord,
)
from harness.verdict.splat import find_splats

GOLDEN = Path(__file__).parent / "golden" / "splat"
_AREAS = {
    "faults": ("fault_instructions", "fault_siginfo", "mode_gcr_switch", "uaccess_out"),
    "zero": ("zero_anon", "zero_large"),
    "swap": ("swap_disk", "swap_zram", "swap_off", "swap_leak"),
    "copy": ("cow_fork", "cow_pinned"),
    "selftests": ("check_buffer_fill", "check_gcr_el1_cswitch"),
}
_PHASES = {"clone": 0.12, "before": 0.45, "push": 0.09, "after": 0.4}


def samples(growth: int) -> tuple[Sample, ...]:
    start = {"FreeOrCache": 1000164, "SUnreclaim": 3152, "AnonPages": 448, "PageTables": 184}
    end = {**start, "FreeOrCache": 1000164 - 700 - growth, "SUnreclaim": 3152 + growth}
    return (Sample(0.5, start), Sample(2.5, end))


def item(name: str, area: str, kernel: str, number: int) -> Item:
    run = 0.4 + (number * 37 % 23) / 10
    return Item(
        id=f"tests/validation/test_probes.py::test_probe[{kernel}-{name}]",
        name=name,
        area=area,
        kernel=kernel,
        machine="emulator",
        status="pass",
        seconds=run + sum(_PHASES.values()) + 0.05,
        phases={**_PHASES, "run": run},
        about=f"Tags and data of {name} survive; and this text is < the first sentence. More.",
        cases=tuple(Case(n, f"case_{n}", "pass") for n in range(1, 5 + number % 9)),
        repeat=f".venv/bin/pytest --qemu --kernel {kernel} 'tests/validation[{kernel}-{name}]'",
        counters=samples(number * 13 % 90),
    )


def splat_record(case: str) -> SplatRecord:
    (splat, *_) = find_splats((GOLDEN / case / "console.txt").read_text(errors="replace"))
    lines = tuple(
        f"{line} (arch/arm64/mm/mteswap.c:61)" if "+0x" in line else line for line in splat.lines
    )
    return SplatRecord(
        splat.kind, splat.title, splat.fingerprint, lines, tuple(map(str, splat.culprits))
    )


def sample_run() -> Run:
    kernels = (
        KernelRecord(
            "stock",
            "8f1e0c5ad3b94e21",
            "6.12.117",
            "linux-source-6.12",
            None,
            1.31,
            (0.11, 0.12, 0.19),
        ),
        KernelRecord(
            "no-swap-restore",
            "27c6d1b70a443f90",
            "6.12.117",
            "stock with 1 patch",
            41.2,
            1.28,
            (0.13,),
        ),
    )
    items = [
        item(name, area, kernel.name, number)
        for kernel in kernels
        for number, (area, name) in enumerate((a, n) for a, names in _AREAS.items() for n in names)
    ]
    bad = len(_AREAS) + 9  # the second kernel's
    items[bad + 6] = replace(
        items[bad + 6],
        status="fail",
        reasons=(
            ReasonRecord(
                "fail",
                "tags_survive_swap",
                (
                    "swap_disk.c:88: after swap-in: page 0 granule 3: expected tag 9, saw 0",
                    "swap_disk.c:88: after swap-in: of 16384 granules 15361 have a wrong tag",
                ),
            ),
            ReasonRecord("fail", "<script>alert('not run')</script>"),
        ),
        cases=(
            Case(1, "swapped_out", "pass"),
            Case(2, "tags_survive_swap", "fail", "", ("expected tag 9, saw 0",)),
            Case(3, "zswap", "skip", "CONFIG_ZSWAP is off"),
        ),
    )
    items[bad + 7] = replace(
        items[bad + 7],
        status="splat",
        reasons=(
            ReasonRecord("splat", "BUG: KASAN: invalid-access in mte_restore_tags+0x44/0x90"),
            ReasonRecord("splat", "the kernel became tainted: B (bad page referenced)"),
        ),
        splats=(splat_record("kasan"),),
        console=(GOLDEN / "kasan" / "console.txt").read_text(),
    )
    items[bad + 8] = replace(
        items[bad + 8],
        status="lost",
        reasons=(
            ReasonRecord(
                "lost",
                "guest lost in phase: running: ./swap_off: the kernel reset the machine",
                (
                    "registers:",
                    "CPU#0",
                    "  PC=ffff800080345b30 X0=0000000000000010",
                    "qemu-system-aarch64 -M virt",
                ),
            ),
        ),
        splats=(splat_record("oops_null"),),
        console=(GOLDEN / "oops_null" / "console.txt").read_text(),
    )
    items[bad + 9] = replace(
        items[bad + 9],
        status="fail",
        reasons=(ReasonRecord("fail", "not given back: SUnreclaim: 3152 before, 9900 kB after"),),
        counters=tuple(
            Sample(
                0.5 + step / 4,
                {"SUnreclaim": 3152 + 500 * step, "FreeOrCache": 990000 - 510 * step},
            )
            for step in range(14)
        ),
    )
    items[3] = replace(
        items[3],
        status="skip",
        reasons=(ReasonRecord("skip", "no_asymm: skipped, CONFIG_X is not set: no"),),
    )
    items[bad + 1] = replace(
        items[bad + 1],
        status="error",
        reasons=(ReasonRecord("error", "the program's output is no proof: no plan line"),),
    )
    return Run(
        started="2026-11-22T20:03:25Z",
        seconds=131.4,
        command="scripts/validate stock no-swap-restore",
        host={"name": "box", "cpus": "2 (Neoverse-N1)", "system": "Debian 12", "python": "3.11.2"},
        qemu="QEMU emulator version 10.0.6 (Debian 1:10.0.6+ds-1~bpo12+1)",
        machine={"name": "emulator", "memory": "1024 MiB", "cpus": "2", "accelerator": "tcg"},
        kernels=kernels,
        items=tuple(items),
        figures=(Figure("fault on a tagged page", "1.03", "2914", "2950", "1.012"),),
    )


def good_run() -> Run:
    run = sample_run()
    stock = tuple(item for item in run.items if item.kernel == "stock")
    return replace(run, items=stock, kernels=run.kernels[:1], command="scripts/validate stock")


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    html.write(sample_run(), directory / "bad.html")
    html.write(good_run(), directory / "good.html")
