# SPDX-License-Identifier: MIT
"""Head comments of probes, and discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import UsageError
from harness.suite.head_comment import CaseChange, CaseNeed, Change, Probe, discover, read

if TYPE_CHECKING:
    from pathlib import Path

C_HEAD = """\
/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_disk
 * needs: CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Tags and data survive a round trip through a swap disk.
 *
 * See mte_save_tags().
 */
#include "mte.h"
"""
PY_HEAD = """\
#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# probe: smaps
# timeout: 5
#
# /proc/PID/smaps shows `mt`:
#     VmFlags: rd wr mt
import os
"""


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_c(tmp_path: Path) -> None:
    path = write(tmp_path, "swap/swap_disk.c", C_HEAD)
    assert read(path) == Probe(
        name="swap_disk",
        area="swap",
        needs=("CONFIG_SWAP", "CONFIG_PROC_PAGE_MONITOR"),
        pages=(4096, 16384, 65536),
        since=None,
        until=None,
        case_needs=(),
        newer=(),
        fixed=(),
        timeout=60,
        smoke=False,
        prose="Tags and data survive a round trip through a swap disk.\n\nSee mte_save_tags().",
        path=path,
    )


def test_a_fix_of_stable_branches(tmp_path: Path) -> None:
    fixed = " * fixed: 6.18/6.12.57/6.1.158 f620d66af316 zero\n"
    path = write(tmp_path, "swap/swap_disk.c", C_HEAD.replace(" * timeout", fixed + " * timeout"))
    change = Change((6, 18), "f620d66af316", ((6, 12, 57), (6, 1, 158)))
    assert read(path).fixed == (CaseChange(change, ("zero",)),)


@pytest.mark.parametrize("between", ["; ", "\n * cases: "], ids=["one-line", "two-lines"])
def test_needs_of_cases(tmp_path: Path, between: str) -> None:
    needs = f" * cases: CONFIG_SHMEM memfd hole{between}CONFIG_KSM merged\n"
    path = write(tmp_path, "swap/swap_disk.c", C_HEAD.replace(" * timeout", needs + " * timeout"))
    assert read(path).case_needs == (
        CaseNeed("CONFIG_SHMEM", ("memfd", "hole")),
        CaseNeed("CONFIG_KSM", ("merged",)),
    )


@pytest.mark.parametrize("needs", ["CONFIG_SHMEM", "memfd CONFIG_SHMEM", "SHMEM memfd"])
def test_needs_of_no_case(tmp_path: Path, needs: str) -> None:
    line = f" * cases: {needs}\n"
    path = write(tmp_path, "swap/swap_disk.c", C_HEAD.replace(" * timeout", line + " * timeout"))
    with pytest.raises(UsageError, match="names no case that needs a config symbol"):
        read(path)


def test_fixes_of_older_kernels(tmp_path: Path) -> None:
    fixed = " * fixed: 6.6 332c151c710a prot_none prot_read; 6.2 d77e59a8fccd race\n"
    path = write(tmp_path, "swap/swap_disk.c", C_HEAD.replace(" * timeout", fixed + " * timeout"))
    assert read(path).fixed == (
        CaseChange(Change((6, 6), "332c151c710a"), ("prot_none", "prot_read")),
        CaseChange(Change((6, 2), "d77e59a8fccd"), ("race",)),
    )


@pytest.mark.parametrize(
    ("fixed", "why"),
    [
        ("6.6 332c151c710a", "names no case"),
        ("6.6 332c151c710a ;x", "names no case"),
        ("6 332c151c710a x", "no release and commit"),
        ("6.6 x y", "no release and commit"),
    ],
)
def test_a_malformed_fix(tmp_path: Path, fixed: str, why: str) -> None:
    head = C_HEAD.replace(" * timeout", f" * fixed: {fixed}\n * timeout")
    with pytest.raises(UsageError, match=why):
        read(write(tmp_path, "swap/swap_disk.c", head))


def test_a_change_of_the_rule(tmp_path: Path) -> None:
    head = C_HEAD.replace(" * timeout", " * until: 6.13 25c17c4b55de\n * timeout")
    found = read(write(tmp_path, "swap_disk.c", head))
    assert (found.since, found.until) == (None, Change((6, 13), "25c17c4b55de"))
    assert str(found.until) == "6.13 (25c17c4b55de)"


def test_page_sizes(tmp_path: Path) -> None:
    head = C_HEAD.replace(" * timeout", " * pages: 4K 16K\n * timeout")
    assert read(write(tmp_path, "swap_disk.c", head)).pages == (4096, 16384)


def test_python(tmp_path: Path) -> None:
    probe = read(write(tmp_path, "smaps.py", PY_HEAD))
    assert (probe.name, probe.needs, probe.timeout) == ("smaps", (), 5)
    assert probe.prose == "/proc/PID/smaps shows `mt`:\n    VmFlags: rd wr mt"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("probe: swap_disk", "probe: swapdisk", "in a file named swap_disk.c"),
        (" * probe: swap_disk\n", "", "no 'probe'"),
        ("timeout: 60", "timeout: 60\n * smoke: no", "smoke 'no' is not yes"),
        (" * timeout: 60\n", "", "no 'timeout'"),
        ("timeout: 60", "timeout: 1m", "is no seconds"),
        ("timeout: 60", "timeout: 0", "is no seconds"),
        ("CONFIG_SWAP ", "SWAP ", "no config symbols"),
        (" * timeout", " * pages: 4096\n * timeout", "none of 4K 16K 64K"),
        (" * timeout", " * pages: 4K,16K\n * timeout", "none of 4K 16K 64K"),
        (" * timeout", " * pages:\n * timeout", "pages without a size"),
        ("needs:", "wants:", "is none of the keys"),
        (" * timeout", " * since: 6.13\n * timeout", "is no release and commit"),
        (" * timeout", " * until: v6.13 25c17c4b55de\n * timeout", "is no release and commit"),
        (" * timeout", " * timeout: 5\n * timeout", "'timeout' is given twice"),
        (" * timeout", " * area: zero\n * timeout", "is none of the keys"),
        (" *\n * Tags", " * Tags", "is none of the keys"),
        ("/*\n * probe", "int x; /*\n * probe", "no 'probe'"),
        ("*/\n#include", "\n#include", "no 'probe'"),
    ],
)
def test_malformed(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in C_HEAD
    path = write(tmp_path, "swap_disk.c", C_HEAD.replace(old, new))
    with pytest.raises(UsageError, match=r"swap_disk\.c: head comment") as caught:
        read(path)
    assert why in caught.value.cause
    assert caught.value.cure


def test_no_prose(tmp_path: Path) -> None:
    path = write(tmp_path, "swap_disk.c", C_HEAD.split(" *\n", maxsplit=1)[0] + " */\n")
    with pytest.raises(UsageError, match="no prose"):
        read(path)


def test_not_lower_snake_case(tmp_path: Path) -> None:
    path = write(tmp_path, "Swap-disk.c", C_HEAD.replace("swap_disk", "Swap-disk"))
    with pytest.raises(UsageError, match="lower_snake_case"):
        read(path)


def test_smoke(tmp_path: Path) -> None:
    text = C_HEAD.replace("timeout: 60", "timeout: 60\n * smoke: yes")
    assert read(write(tmp_path, "swap_disk.c", text)).smoke


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "swap_disk.c"
    path.write_bytes(b"\xff\xfe/*")
    with pytest.raises(UsageError):
        read(path)


def test_discover_orders_by_name_and_ignores_other_files(tmp_path: Path) -> None:
    write(tmp_path, "swap/swap_disk.c", C_HEAD)
    write(tmp_path, "tools/smaps.py", PY_HEAD)
    write(tmp_path, "README", "no probe")
    write(tmp_path, "swap/swap_disk/part.c", "int part;")
    found = discover(tmp_path)
    assert [(probe.area, probe.name) for probe in found] == [
        ("tools", "smaps"),
        ("swap", "swap_disk"),
    ]


def test_discover_takes_a_directory_without_areas(tmp_path: Path) -> None:
    write(tmp_path, "swap_disk.c", C_HEAD)
    assert [probe.area for probe in discover(tmp_path)] == [tmp_path.name]


def test_discover_refuses_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no probes in"):
        discover(tmp_path)


@pytest.mark.parametrize("second", ["tools/smaps.c", "swap/smaps.c"])
def test_discover_refuses_one_name_twice(second: str, tmp_path: Path) -> None:
    write(tmp_path, "tools/smaps.py", PY_HEAD)
    write(tmp_path, second, C_HEAD.replace("swap_disk", "smaps"))
    with pytest.raises(UsageError, match="are one name"):
        discover(tmp_path)
