# SPDX-License-Identifier: MIT
"""Splats: each golden directory holds a console log and what must be found in it.

The logs bug, bad_page, atomic_sched, oom, oops_*, panic_*, soft_lockup and
warn_refcount came from 6.12 kernels that were made to fail; *_rt, *_debian_* and *_7_3
from kernels of these kinds and releases. The others are written after the kernel's own
print code.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdict.splat import find_splats

GOLDEN = Path(__file__).parent / "golden" / "splat"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def console(case: str) -> str:
    return (GOLDEN / case / "console.txt").read_text(errors="replace")


def describe(text: str) -> dict[str, object]:
    return {
        "splats": [
            {
                "kind": splat.kind.value,
                "title": splat.title,
                "seconds": splat.seconds,
                "lines": len(splat.lines),
                "last": splat.lines[-1],
                "fatal": any(line.startswith("Kernel panic - ") for line in splat.lines),
                "task": splat.task,
                "cpu": splat.cpu,
                "pc": str(splat.pc) if splat.pc else None,
                "registers": len(splat.registers),
                "frames": len(splat.frames),
                "culprits": [str(frame) for frame in splat.culprits],
                "fingerprint": splat.fingerprint,
            }
            for splat in find_splats(text)
        ],
    }


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    assert describe(console(case)) == json.loads((GOLDEN / case / "expected.json").read_text())


def test_there_are_golden_cases() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize("case", [case for case in CASES if case != "oops_then_reboot"])
def test_fingerprint_outlives_another_boot(case: str) -> None:
    text = console(case)
    other = re.sub(r"ffff[0-9a-f]{12}", "ffff0000deadbee0", text)
    other = re.sub(r"\+0x(?!0/)[0-9a-f]+/0x[0-9a-f]+", "+0x48/0x4c0", other)
    other = re.sub(r"\.(constprop|isra)\.0\+", "+", other)
    other = re.sub(r"PID: \d+", "PID: 4711", other)
    other = re.sub(r"CPU: \d", "CPU: 3", other)
    other = re.sub(r"pfn:\w+", "pfn:77", other)
    other = re.sub(r"stuck for \d+s", "stuck for 44s", other)
    other = other.replace("0000002a", "0000003b").replace("val:3", "val:-12")
    before, after = find_splats(text), find_splats(other)
    assert [s.fingerprint for s in before] == [s.fingerprint for s in after]


def test_a_call_that_never_returns_is_no_place() -> None:
    """What stands behind panic() in memory is chance, and would change the fingerprint."""
    text = console("panic_rt")
    (one,) = find_splats(text)
    (two,) = find_splats(text.replace("trace_suspend_resume+0x0", "another_neighbour+0x0"))
    assert one.fingerprint == two.fingerprint


def test_fingerprint_tells_places_apart() -> None:
    text = console("oops_null")
    (one,) = find_splats(text)
    (two,) = find_splats(text.replace("vfs_write+", "vfs_writev+"))
    assert one.fingerprint != two.fingerprint


def test_log_without_time_stamps() -> None:
    text = re.sub(r"^\[ *\d+\.\d{6}\] ", "", console("kasan"), flags=re.MULTILINE)
    (splat,) = find_splats(text)
    (stamped,) = find_splats(console("kasan"))
    assert splat.lines == stamped.lines
    assert splat.fingerprint == stamped.fingerprint
    assert splat.seconds is None


def test_stamp_after_a_program_s_unfinished_line() -> None:
    text = "counting: 1 2 3[    2.000100] Unable to handle kernel paging request at virtual X\n"
    (splat,) = find_splats(text)
    assert splat.kind == "oops"
    assert splat.seconds == 2.0001


def test_clean_boot_has_no_splat() -> None:
    text = "[    0.000000] Booting Linux\n[    0.100000] CPU features: detected: MTE\nREADY\n"
    assert find_splats(text) == ()


def test_every_trigger_is_found_alone() -> None:
    """A splat cut short after its first line is still a splat."""
    first_lines = {
        "panic": "Kernel panic - not syncing: corrupted stack end detected inside scheduler",
        "serror": "SError Interrupt on CPU0, code 0x00000000be000011 -- SError",
        "oops": "Internal error: synchronous external abort: 0000000096000010 [#1] SMP",
        "bug": "BUG: spinlock bad magic on CPU#0, probe/60",
        "kfence": "BUG: KFENCE: use-after-free read in mte_restore_tags+0x44/0x90",
        "ubsan": "UBSAN: array-index-out-of-bounds in arch/arm64/mm/mteswap.c:31:9",
        "lockdep": "WARNING: suspicious RCU usage",
        "lockup": "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!",
        "warning": "WARNING: CPU: 0 PID: 60 at mm/rmap.c:1440 folio_add_anon_rmap_ptes+0x1c/0x20",
        "page": "pagealloc: memory corruption",
    }
    for kind, line in first_lines.items():
        (splat,) = find_splats(f"[    1.000000] {line}\n")
        assert splat.kind == kind
        assert splat.title == line


def test_sleeping_in_atomic_is_a_bug_with_its_lines() -> None:
    text = (
        "[    3.0] noise of no kernel\n"
        "[    3.000001] BUG: sleeping function called from invalid context at mm/mempool.c:390\n"
        "[    3.000002] in_atomic(): 1, irqs_disabled(): 0, pid: 61, name: probe\n"
        "[    3.000003] CPU: 0 UID: 0 PID: 61 Comm: probe Not tainted 6.12.117 #1\n"
        "[    3.000004] Call trace:\n"
        "[    3.000005]  dump_stack_lvl+0x70/0x84\n"
        "[    3.000006]  __might_resched+0x170/0x1a8\n"
        "[    3.000007]  mte_save_tags+0x2c/0xd8\n"
        "[    3.000008] next line\n"
    )
    (splat,) = find_splats(text)
    assert len(splat.lines) == 7
    assert [frame.symbol for frame in splat.culprits] == ["mte_save_tags"]


@given(st.text())
def test_never_raises(text: str) -> None:
    find_splats(text)


@given(
    st.lists(
        st.sampled_from(console("lockdep_circular").splitlines() + console("slab").splitlines())
    )
)
def test_never_raises_on_shuffled_splats(lines: list[str]) -> None:
    for splat in find_splats("\n".join(lines)):
        assert splat.fingerprint.startswith(splat.kind)
