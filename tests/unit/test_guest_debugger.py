# SPDX-License-Identifier: MIT
"""What a person is told to attach gdb, and the directory of the socket."""

from __future__ import annotations

import dataclasses
import socket
import stat
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.core.errors import UsageError
from harness.core.limits import UNLIMITED, Limits
from harness.guest.debugger import describe, gdb_socket, wait_attached
from harness.vm.channels import Channels
from tests.support.scripted_guest import fake_machine, template_on

if TYPE_CHECKING:
    from pathlib import Path


def test_only_this_user_reaches_the_socket_and_nothing_of_it_stays() -> None:
    with gdb_socket() as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with Channels(1, b"", path.parent, path) as channels:
            assert channels.descriptors.gdb in channels.descriptors.all()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
    assert not path.parent.exists()


def test_without_a_debugger_there_is_no_socket(tmp_path: Path) -> None:
    with Channels(1, b"", tmp_path) as channels:
        assert channels.descriptors.gdb is None
        assert None not in channels.descriptors.all()


def test_a_path_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(UsageError, match="too long for a socket"), gdb_socket():
        pass
    assert list(long.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "append", "note"),
    [
        ("# CONFIG_RANDOMIZE_BASE is not set", "", False),
        ("CONFIG_RANDOMIZE_BASE=y", "", True),
        ("CONFIG_RANDOMIZE_BASE=y", "quiet nokaslr", False),
        (None, "", True),
    ],
)
def test_addresses_that_may_differ_are_told(
    tmp_path: Path, config: str | None, append: str, note: bool
) -> None:
    template = template_on(fake_machine(), tmp_path, config or "")
    kernel = dataclasses.replace(template.kernel, vmlinux=tmp_path / "vm linux")
    if config is None:
        kernel = dataclasses.replace(kernel, config=None)
    template = dataclasses.replace(template, kernel=kernel, append=append)
    first, *rest = describe(template, tmp_path / "gdb").splitlines()
    assert first == f"gdb-multiarch '{tmp_path}/vm linux' -ex 'target remote {tmp_path}/gdb'"
    assert ["--append nokaslr" in line for line in rest] == [True] * note


def test_a_kernel_without_a_vmlinux(tmp_path: Path) -> None:
    text = describe(template_on(fake_machine(), tmp_path), tmp_path / "gdb")
    assert text.splitlines()[0] == f"gdb-multiarch -ex 'target remote {tmp_path}/gdb'"
    assert "came without a vmlinux" in text


def test_waits_until_gdb_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are those that QEMU 10.0 gives."""
    names = ["disconnected:unix:/t/gdb,server=on", "unix:/t/gdb,server=on"]

    class Process:
        def qmp(self, command: str) -> object:
            assert command == "query-chardev"
            other = {"label": "console", "filename": "unix:"}
            return [other, {"label": "gdb", "filename": names.pop(0)}]

    class Guest:
        process = Process()

    monkeypatch.setattr("harness.guest.debugger.ASK_SECONDS", 0)
    wait_attached(cast("Any", Guest()))
    assert names == []


def test_what_the_guest_must_end_has_no_limit() -> None:
    limits = Limits().for_debugger()
    assert limits.exec == limits.counters == limits.ssh_connect == UNLIMITED
    assert limits.scaled(1) == limits
    assert UNLIMITED * 1000 < 2**31  # poll(2)
    assert (limits.panic, limits.qmp, limits.exit) == (1.0, Limits().qmp, Limits().exit)
