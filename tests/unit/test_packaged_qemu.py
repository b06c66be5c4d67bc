# SPDX-License-Identifier: MIT
"""A release of QEMU runs with what its packages bring."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.progress import Silent
from harness.vm import packaged_qemu
from harness.vm.packaged_qemu import obtain_qemu

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.debian import Deb, DebSet


@pytest.mark.parametrize("lib", ["lib", "usr/lib"])
def test_it_runs_with_the_loader_and_libraries_that_it_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lib: str
) -> None:
    def unpack(_packages: object, root: Path) -> None:
        loader = root / lib / "x86_64-linux-gnu" / "ld-linux-x86-64.so.2"
        loader.parent.mkdir(parents=True)
        loader.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        loader.chmod(0o755)
        # As in bookworm: on a host, this is the host's loader.
        (root / "lib64").mkdir()
        (root / "lib64" / loader.name).symlink_to(f"/lib/x86_64-linux-gnu/{loader.name}")

    asked: list[DebSet] = []

    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        asked.append(wanted)
        return ()

    monkeypatch.setattr(packaged_qemu, "fetch", fetch)
    monkeypatch.setattr(packaged_qemu, "unpack", unpack)
    program = obtain_qemu("11.1", tmp_path, Silent())
    link = tmp_path / "link"
    link.symlink_to(program)
    said = subprocess.run([link, "-m", "a b"], capture_output=True, text=True, check=True).stdout
    root = program.parent / "root"
    assert said.splitlines() == [
        "--library-path",
        f"{root}/{lib}/x86_64-linux-gnu",
        f"{root}/usr/bin/qemu-system-aarch64",
        "-L",
        f"{root}/usr/share/qemu",
        "-m",
        "a b",
    ]
    assert obtain_qemu("11.1", tmp_path, Silent()) == program
    assert {(wanted.suite, wanted.packages) for wanted in asked} == {
        ("trixie-backports", ("qemu-system-arm",))
    }
