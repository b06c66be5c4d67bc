# SPDX-License-Identifier: MIT
"""Fetching and unpacking packages, against an apt that is a shell script."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import ArtifactError, NetworkError, NotThereError
from harness.core.progress import Silent
from harness.host import debian as debs

Shim = Callable[[str, str], Path]
Calls = Callable[[], list[str]]

WANTED = debs.DebSet("bookworm", "arm64", ("tool",))

APT_GET = """
case "$*" in
  update*) if [ -e "$MIRROR/down" ]; then
      echo "E: Failed to fetch http://x/InRelease  Temporary failure resolving"; exit 100; fi
    if [ -e "$MIRROR/next" ]; then mv "$MIRROR/next" "$MIRROR/uris"; fi;;
  *--print-uris*) cat "$MIRROR/uris" || { echo "E: Unable to locate package tool"; exit 100; };;
esac
"""
# Called as: -qq -o X download-file URL FILE HASH [URL FILE HASH ...]
APT_HELPER = """
shift 4
while [ $# -gt 0 ]; do
  if [ -e "$MIRROR/down" ] || ! cp "$MIRROR/${1##*/}" "$2" 2>/dev/null; then
    echo "E: Failed to fetch $1  404  Not Found"; exit 100; fi
  echo "dlstatus:1:50.0:Retrieving"
  shift 3
done
"""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shim: Shim) -> Path:
    """Make a mirror with one package, ``tool`` 1:1.0, that depends on ``libtool``."""
    directory = tmp_path / "mirror"
    directory.mkdir()
    monkeypatch.setenv("MIRROR", str(directory))
    shim("apt-get", APT_GET)
    shim("apt-config", """echo 'Acquire::http::Proxy "http://proxy:3128";'; echo 'APT::X "1";'""")
    monkeypatch.setattr(debs, "APT_HELPER", str(shim("apt-helper", APT_HELPER)))
    publish(directory, "uris", "1.0")
    return directory


def publish(mirror: Path, index: str, version: str) -> None:
    """Put both packages on the mirror, and their ``apt-get --print-uris`` into ``index``."""
    lines = []
    for name in ("libtool", "tool"):
        file = mirror / f"{name}_{version}_arm64.deb"
        file.write_bytes(f"{name} {version}".encode())
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        kept = f"{name}_1%3a{version}_arm64.deb"
        size = file.stat().st_size
        lines.append(f"'http://x/pool/{file.name}' {kept} {size} SHA256:{digest}\n")
    (mirror / index).write_text("".join(lines))


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Return the directory for downloads."""
    return tmp_path / "downloads"


def fetch(downloads: Path) -> tuple[debs.Deb, ...]:
    return debs.fetch(WANTED, downloads, Silent())


def count(calls: Calls, text: str) -> int:
    return sum(text in call for call in calls())


def age_lists(downloads: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(downloads / "apt/bookworm-arm64/updated", (then, then))


def test_fetches_the_closure(mirror: Path, downloads: Path) -> None:
    library, tool = fetch(downloads)
    assert (tool.name, tool.version, tool.size) == ("tool", "1:1.0", 8)
    assert tool.url == "http://x/pool/tool_1.0_arm64.deb"
    assert tool.path == downloads / "tool_1%3a1.0_arm64.deb"
    assert tool.path.read_text() == "tool 1.0"
    assert library.path.read_text() == "libtool 1.0"
    assert list(downloads.glob("*.part")) == []


def test_second_time_asks_no_network(mirror: Path, downloads: Path, calls: Calls) -> None:
    first = fetch(downloads)
    assert fetch(downloads) == first
    assert count(calls, "apt-get update") == 1
    assert count(calls, "download-file") == 1


def test_altered_file_is_fetched_again(mirror: Path, downloads: Path) -> None:
    (_library, tool) = fetch(downloads)
    tool.path.write_text("tool 1.x")
    fetch(downloads)
    assert tool.path.read_text() == "tool 1.0"


def test_lists_last_a_day(mirror: Path, downloads: Path, calls: Calls) -> None:
    fetch(downloads)
    age_lists(downloads, 23 * 3600)
    fetch(downloads)
    assert count(calls, "apt-get update") == 1
    age_lists(downloads, 25 * 3600)
    fetch(downloads)
    assert count(calls, "apt-get update") == 2


def test_old_lists_will_do_without_a_network(mirror: Path, downloads: Path) -> None:
    first = fetch(downloads)
    age_lists(downloads, 1e6)
    (mirror / "down").touch()
    assert fetch(downloads) == first


def test_no_network_and_no_lists(mirror: Path, downloads: Path) -> None:
    (mirror / "down").touch()
    with pytest.raises(NetworkError, match="http://x/InRelease"):
        fetch(downloads)


def test_version_that_the_mirror_dropped(mirror: Path, downloads: Path, calls: Calls) -> None:
    for deb in fetch(downloads):
        deb.path.unlink()
    for file in mirror.glob("*.deb"):
        file.unlink()
    publish(mirror, "next", "2.0")
    assert {deb.version for deb in fetch(downloads)} == {"1:2.0"}
    assert count(calls, "apt-get update") == 2


def test_no_such_package(mirror: Path, downloads: Path) -> None:
    (mirror / "uris").unlink()
    with pytest.raises(NotThereError, match="bookworm has no tool"):
        fetch(downloads)


def test_state_is_private_and_keeps_the_hosts_proxy(mirror: Path, downloads: Path) -> None:
    fetch(downloads)
    state = downloads / "apt/bookworm-arm64"
    configuration = (state / "apt.conf").read_text()
    assert 'Acquire::http::Proxy "http://proxy:3128";' in configuration
    assert "APT::X" not in configuration
    assert f'Dir::State "{state}";' in configuration
    sources = (state / "sources.list").read_text()
    assert "arch=arm64" in sources
    assert sources.count("signed-by=/usr/share/keyrings/debian-archive-keyring.gpg") == 2


def a_real_deb(directory: Path, name: str) -> debs.Deb:
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin" / name).write_text(name)
    path = directory / f"{name}.deb"
    subprocess.run(["dpkg-deb", "-b", tree, path], check=True, capture_output=True)
    return debs.Deb(name, "1", "", "", path.stat().st_size, path)


def test_unpack(tmp_path: Path) -> None:
    packages = [a_real_deb(tmp_path, name) for name in ("one", "two")]
    debs.unpack([deb.path for deb in packages], tmp_path / "tree")
    assert (tmp_path / "tree/usr/bin/one").read_text() == "one"
    assert (tmp_path / "tree/usr/bin/two").read_text() == "two"


def test_unpack_a_truncated_file(tmp_path: Path) -> None:
    package = a_real_deb(tmp_path, "one")
    package.path.write_bytes(package.path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="does not unpack"):
        debs.unpack([package.path], tmp_path / "tree")
