# SPDX-License-Identifier: MIT
"""QEMU 7.2 for the emulator check: it runs with what its packages bring."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from harness.core.progress import Silent
from harness.core.store import Store
from tests.support import old_qemu

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from harness.host.debian import DebSet


def test_qemu_7_2_runs_with_the_loader_and_libraries_that_it_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(_packages: object, root: Path) -> None:
        loader = root / "lib64/ld-linux-x86-64.so.2"
        loader.parent.mkdir(parents=True)
        loader.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        loader.chmod(0o755)
        (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)

    asked: list[DebSet] = []
    monkeypatch.setattr(old_qemu, "fetch", lambda wanted, *_: asked.append(wanted))
    monkeypatch.setattr(old_qemu, "unpack", unpack)
    store = Store(tmp_path, "qemu", Silent())
    program = old_qemu.qemu_7_2(store, tmp_path, Silent())
    link = tmp_path / "link"
    link.symlink_to(program)
    said = subprocess.run([link, "-m", "a b"], capture_output=True, text=True, check=True).stdout
    root = program.parent / "root"
    assert said.splitlines() == [
        "--library-path",
        f"{root}/usr/lib/x86_64-linux-gnu",
        f"{root}/usr/bin/qemu-system-aarch64",
        "-L",
        f"{root}/usr/share/qemu",
        "-m",
        "a b",
    ]
    old_qemu.qemu_7_2(store, tmp_path, Silent())
    assert [(wanted.suite, wanted.packages) for wanted in asked] == [
        ("bookworm", ("qemu-system-arm",))
    ]
