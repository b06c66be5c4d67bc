# SPDX-License-Identifier: MIT
"""The guest's file system: what is put into the tree, and that the image holds it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError
from harness.guest import root_image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a finished tree that began as dpkg -x leaves it, with manual pages."""
    made = tmp_path / "tree"
    for name in ("bin", "sbin", "etc", "usr/share/man/man1"):
        (made / name).mkdir(parents=True)
    (made / "bin" / "ls").write_text("coreutils")
    program = tmp_path / "agent"
    program.write_text("agent")
    program.chmod(0o755)
    root_image._finish_tree(made, {"sbin/mte-agent": program})
    return made


def test_tree(tree: Path) -> None:
    assert (tree / "init").read_bytes() == (root_image.GUEST / "init").read_bytes()
    assert (tree / "bin" / "swapon").readlink().name == "busybox"
    assert (tree / "bin" / "ls").read_text() == "coreutils", "a package's own program stays"
    assert not (tree / "usr/share/man").exists()
    assert all((tree / name).is_dir() for name in root_image.MOUNT_POINTS)


def test_image_belongs_to_root(tree: Path, tmp_path: Path) -> None:
    disk = tmp_path / "root.ext4"
    root_image._make_file_system(tree, disk)
    shown = subprocess.run(
        ["/usr/sbin/debugfs", "-R", "stat /", str(disk)], capture_output=True, text=True, check=True
    ).stdout
    assert "User:     0" in shown
    names = subprocess.run(
        ["/usr/sbin/debugfs", "-R", "ls /sbin", str(disk)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "mte-agent" in names


def test_a_failure_of_mke2fs_is_reported(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"mke2fs .*no-such-tree") as caught:
        root_image._make_file_system(tmp_path / "no-such-tree", tmp_path / "root.ext4")
    assert "\n" not in str(caught.value)
    assert "No such file or directory" in caught.value.details


def test_key_changes_with_each_program(tmp_path: Path) -> None:
    def key(directory: str) -> str:
        return root_image._key({"bin/frames": tmp_path / directory / "frames"})

    assert key("one") != key("two")
    assert key("one") == key("one")
