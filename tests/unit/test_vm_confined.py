# SPDX-License-Identifier: MIT
"""What QEMU runs without, and how its sandbox's verdict is told."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.vm import confined as confined_module
from harness.vm.confined import NOBODY, Confined, killed_by_sandbox

# The number of execve on this host: arch/x86/entry/syscalls/syscall_64.tbl, and
# include/uapi/asm-generic/unistd.h of Linux.
EXECVE = {"x86_64": 59, "aarch64": 221}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the text that dmesg prints."""
    text = tmp_path / "log"
    text.touch()
    dmesg = tmp_path / "dmesg"
    dmesg.write_text(f"#!/bin/sh\ncat {text}\n")
    dmesg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return text


def audit(pid: int, number: int) -> str:
    return f'[9.1] audit: type=1326 audit(1.1:2): auid=1 uid=0 pid={pid} comm="q" sig=31 arch=c000003e syscall={number} compat=0\n'  # noqa: E501


def test_what_the_sandbox_killed_qemu_for(log: Path) -> None:
    number = EXECVE[platform.machine()]
    log.write_text(audit(90, 1) + "[9.2] other\n" + audit(102, number))
    assert killed_by_sandbox(100, -signal.SIGSYS).endswith("for the system call execve")


def test_a_number_without_a_name(log: Path) -> None:
    log.write_text(audit(100, 99999))
    assert killed_by_sandbox(100, -signal.SIGSYS).endswith("number 99999")


def test_a_log_that_does_not_say(log: Path) -> None:
    log.write_text(audit(90, 59))
    assert "does not name" in killed_by_sandbox(100, -signal.SIGSYS)


@pytest.mark.parametrize("status", [0, 1, 31, -signal.SIGKILL])
def test_another_end(log: Path, status: int) -> None:
    log.write_text(audit(100, 59))
    assert killed_by_sandbox(100, status) == ""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache with a file, as root has it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(confined_module, "_may_change_user", lambda: True)
    (tmp_path / "cache" / "builds").mkdir(parents=True)
    (tmp_path / "cache" / "builds" / "Image").write_text("kernel")
    return tmp_path / "cache"


def test_names_of_files_of_the_cache(cache: Path) -> None:
    """QEMU opens them by a descriptor: the directories above may be closed to it."""
    image = cache / "builds" / "Image"
    cache.parent.chmod(0o700)
    with Confined(cache, [image, Path("/bin/cat")]) as confined:
        (fd,) = confined.descriptors()
        name = f"/proc/self/fd/{fd}/builds/Image"
        words = ["/bin/cat", str(image), f"x,file={image},y", f"{cache}-other/z"]
        assert confined.command(words)[-4:] == [
            "/bin/cat", name, f"x,file={name},y", f"{cache}-other/z"
        ]  # fmt: skip
        assert confined.environment({"A": f"{image}:1"}) == {"A": f"{name}:1"}
        assert Path(name).read_text() == "kernel"
        assert f"--reuid={NOBODY}" in confined.command([])
    assert confined.descriptors() == ()


@pytest.mark.parametrize(
    ("name", "mode"), [("builds/Image", 0o640), ("builds", 0o750), (".", 0o700)]
)
def test_a_file_that_is_not_for_everybody(cache: Path, name: str, mode: int) -> None:
    """Where root's umask is 077, QEMU stays root, and opens files by their names."""
    (cache / name).chmod(mode)
    with Confined(cache, [cache / "builds" / "Image"]) as confined:
        assert confined.descriptors() == ()
        assert confined.name(str(cache / "x")) == str(cache / "x")
        assert not [word for word in confined.command([]) if "uid" in word]


def test_a_directory_of_one_user_only(cache: Path) -> None:
    """QEMU could not open what give() makes there; tempfile's are so, which bench boots in."""
    with (
        tempfile.TemporaryDirectory(dir=cache) as directory,
        Confined(cache, [Path(directory)]) as confined,
    ):
        assert confined.descriptors() == ()
    with Confined(cache, [cache / "builds"]) as confined:
        assert len(confined.descriptors()) == 1


def test_a_part_of_the_cache_on_another_disk(cache: Path) -> None:
    """A link leads through directories that may be closed to QEMU, as pytest's own are."""
    (cache / "images").symlink_to(cache / "builds")
    with Confined(cache, [cache / "images" / "Image"]) as confined:
        assert confined.descriptors() == ()


def test_a_program_that_only_its_owner_runs(cache: Path) -> None:
    program = cache.parent / "qemu"
    program.touch(mode=0o744)
    cache.parent.chmod(0o755)
    with Confined(cache, [program]) as confined:
        assert confined.descriptors() == ()  # also: pytest's directories are closed to others


def test_another_user_keeps_its_rights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with Confined(cache, [cache / "builds" / "Image"]) as confined:
        assert confined.descriptors() == ()
        assert not [word for word in confined.command([]) if "uid" in word or "bound" in word]


ALL = "         0          0 4294967295\n"
ROOT = {
    "status": "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n",
    "uid_map": ALL,
    "gid_map": ALL,
    "setgroups": "allow\n",
}


@pytest.mark.parametrize(
    ("changed", "may"),
    [
        ({}, True),
        ({"uid_map": "0 1000 1\n1 100000 65536\n"}, True),  # podman as another user
        ({"uid_map": "         0          0          1\n"}, False),  # unshare --map-root-user
        ({"gid_map": ""}, False),
        ({"setgroups": "deny\n"}, False),
        ({"status": "CapEff:\t00000000a80425fb\n"}, False),  # Docker: no CAP_SYS_PTRACE
        ({"status": "CapEff:\t000001ffffffff7f\n"}, False),  # no CAP_SETUID
        ({"status": ""}, False),
    ],
)
def test_a_root_that_may_change_users(changed: dict[str, str], may: bool, tmp_path: Path) -> None:
    for name, text in {**ROOT, **changed}.items():
        (tmp_path / name).write_text(text)
    assert confined_module._may_change_user(tmp_path) is may


def test_no_proc(tmp_path: Path) -> None:
    assert confined_module._may_change_user(tmp_path) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_for_qemu_to_write(cache: Path) -> None:
    path = cache / "state"
    with Confined(cache, []) as confined:
        confined.give(path)
        assert path.stat().st_uid == NOBODY
        confined.take(path)
        assert path.stat().st_uid == 0


def test_rights(tmp_path: Path) -> None:
    with Confined(tmp_path, [Path("/bin/cat")]) as confined:
        lines = subprocess.run(
            confined.command(["cat", "/proc/self/status"]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    fields = dict(line.split(":\t", 1) for line in lines)
    assert int(fields["CapEff"], 16) == 0
    assert int(fields["CapPrm"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert int(fields["CapBnd"], 16) == 0
        assert fields["Uid"].split() == fields["Gid"].split() == [str(NOBODY)] * 4
        assert fields["Groups"].strip() == ""
