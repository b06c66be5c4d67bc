# SPDX-License-Identifier: MIT
"""The guest's root file system: Debian's arm64 packages in an ext4 image, made without root.

``dpkg -x`` unpacks the packages, ``mke2fs -d`` copies the tree into the image. Package
scripts do not run: probes need nothing that these would set up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import AGENT_FLAGS, PAGE_SIZES, compile_program, probe_flags
from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import HarnessError
from harness.core.keys import file_digest, key_of
from harness.core.paths import resources
from harness.host import debian as debs

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.core.store import Store

# Part of the image's key: raise it when _finish_tree or _make_file_system change.
FORMAT = 1
PACKAGES = ("busybox", "dropbear-bin", "python3")
SUITE = "bookworm"
SIZE_MIB = 160
# busybox commands that the guest's init, the harness and the probes call.
APPLETS = (
    "[", "awk", "base64", "blkid", "cat", "chmod", "cp", "cut", "date", "dd", "df", "dmesg", "du",
    "echo", "env", "expr", "false", "find", "free", "grep", "gunzip", "gzip", "head", "hexdump",
    "hostname", "id", "ifconfig", "ip", "kill", "less", "ln", "losetup", "ls", "mkdir", "mkfifo",
    "mknod", "mkswap", "mktemp", "mount", "mv", "nice", "od", "pgrep", "pidof", "poweroff", "ps",
    "reboot", "rm", "rmdir", "sed", "seq", "setsid", "sh", "sleep", "sort", "stat", "stty",
    "swapoff", "swapon", "sync", "sysctl", "tail", "tar", "taskset", "tee", "test", "timeout",
    "top", "touch", "tr", "true", "truncate", "tty", "umount", "uname", "uniq", "uptime", "vi",
    "wc", "which", "xargs", "yes", "zcat",
)  # fmt: skip
# Never read in the guest, and a third of the packages' size.
USELESS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")
MOUNT_POINTS = ("proc", "sys", "dev", "tmp", "run", "root", "mnt")


@dataclass(frozen=True)
class GuestImage:
    """``disk`` is a raw ext4 image, only ever opened read-only."""

    key: str
    disk: Path


GUEST = resources() / "guest"
# Our own programs: source, compiler flags, and path in the guest. One image is for all kernels:
# these programs, and what they use of the probe library, ask the kernel for its page size.
PROGRAMS = (
    (GUEST / "agent.c", AGENT_FLAGS, "sbin/mte-agent"),
    (GUEST / "programs" / "frames.c", probe_flags(PAGE_SIZES[0]), "bin/frames"),
)


def _key(programs: dict[str, Path]) -> str:
    return key_of(
        {
            "format": FORMAT,
            "suite": SUITE,
            "packages": PACKAGES,
            "applets": APPLETS,
            "size": SIZE_MIB,
            "init": file_digest(GUEST / "init"),
            # A program's directory is named by its key.
            "programs": {place: program.parent.name for place, program in programs.items()},
        }
    )


def obtain_image(store: Store, programs: Store, downloads: Path, progress: Progress) -> GuestImage:
    """Return the image, made if need be. Raise NetworkError, DiskFullError or BuildError."""
    own = {place: compile_program(programs, [source], flags) for source, flags, place in PROGRAMS}

    def make(directory: Path) -> None:
        progress.step("making the guest image")
        tree = directory / "tree"
        packages = debs.fetch(debs.DebSet(SUITE, "arm64", PACKAGES), downloads, progress)
        debs.unpack([deb.path for deb in packages], tree)
        _finish_tree(tree, own)
        _make_file_system(tree, directory / "root.ext4")
        shutil.rmtree(tree)
        versions = {deb.name: deb.version for deb in packages}
        (directory / "meta.json").write_text(json.dumps(versions, indent=1))

    key = _key(own)
    return GuestImage(key, store.obtain(key, make) / "root.ext4")


def _finish_tree(tree: Path, programs: dict[str, Path]) -> None:
    for name in USELESS:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in MOUNT_POINTS:
        (tree / name).mkdir(exist_ok=True)
    for name in APPLETS:
        link = tree / "bin" / name
        if not link.exists():
            link.symlink_to("busybox")
    (tree / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc" / "group").write_text("root:x:0:\n")
    (tree / "etc" / "shells").write_text("/bin/sh\n")
    shutil.copy2(GUEST / "init", tree / "init")
    for place, program in programs.items():
        shutil.copy2(program, tree / place)


def _make_file_system(tree: Path, disk: Path) -> None:
    # No journal: the image is never written to. root_owner: the builder is not root.
    command = [
        "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", "mte-guest",
        "-E", "root_owner=0:0", "-d", str(tree), str(disk), f"{SIZE_MIB}M",
    ]  # fmt: skip
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    )
    if result.returncode == 0:
        return
    if reports_disk_full(result.stderr):
        raise disk_full(disk.parent)
    # It prints several lines, the cause first. That of 1.47.2 (Debian 13) does not name the tree.
    lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
    cause = f"mke2fs could not copy {tree} into an image: {lines[0]}"
    raise HarnessError(cause, details=result.stderr)
