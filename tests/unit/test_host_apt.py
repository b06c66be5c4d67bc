# SPDX-License-Identifier: MIT
"""Installing packages, against an apt-get that is a shell script."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import DiskFullError, HarnessError, NetworkError, SetupError
from harness.core.progress import PlainProgress
from harness.host import apt
from harness.host.needs import Need, Survey, distribution

Shim = Callable[[str, str], Path]
Calls = Callable[[], list[str]]

DEBIAN = distribution("debian-12")
MISSING = Survey(
    DEBIAN,
    (Need("qemu", "", ("qemu-system-arm", "qemu-system-data")), Need("ccache", "", ("ccache",))),
    None,
    None,
)
TARGETS = "qemu-system-arm/bookworm-backports qemu-system-data/bookworm-backports ccache"

# $STATE is a directory of files: what the fake apt-get is to print, and what it has done.
APT_GET = """
case "$*" in
  *--print-uris*) cat "$STATE/uris" 2>/dev/null; exit 0;;
  update*) : >"$STATE/updated"; cat "$STATE/update-says" 2>/dev/null; exit 0;;
  *--simulate*) test -e "$STATE/lists";;
  *--fix-broken*) rm "$STATE/broken";;
  install*)
    if [ -e "$STATE/broken" ]; then
      echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"; exit 100; fi
    if [ -e "$STATE/stale" ] && [ ! -e "$STATE/updated" ]; then
      echo "E: Failed to fetch http://x/ccache.deb  404  Not Found"; exit 100; fi
    if [ -e "$STATE/install-says" ]; then cat "$STATE/install-says"; exit 100; fi
    echo "dlstatus:1:50.0:Retrieving";;
esac
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shim: Shim) -> Path:
    """Make a host with root, apt's lists, and an apt-get that succeeds."""
    directory = tmp_path / "state"
    directory.mkdir()
    (directory / "lists").touch()
    monkeypatch.setenv("STATE", str(directory))
    monkeypatch.setattr(apt, "SOURCE_LIST", tmp_path / "sources.list")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    shim("apt-get", APT_GET)
    shim("dpkg", "")
    return directory


def install() -> str:
    stream = io.StringIO()
    apt.install(MISSING, PlainProgress(stream))
    return stream.getvalue()


def fails_with(kind: type[HarnessError]) -> HarnessError:
    with pytest.raises(kind) as caught:
        install()
    return caught.value


def apt_calls(calls: Calls) -> list[str]:
    """Return the calls that change something, shortened."""
    return [
        call.split(" -qq")[0].split(" -o")[0]
        + (" --download-only" if call.endswith("--download-only") else "")
        for call in calls()
        if "--simulate" not in call and "--print-uris" not in call
    ]


def test_installs_with_the_suite_only_where_it_is_meant(state: Path, calls: Calls) -> None:
    said = install()
    assert apt_calls(calls) == ["apt-get install --download-only", "apt-get install"]
    assert calls()[-1].endswith(f"--force-confold {TARGETS}")
    assert "--no-install-recommends" in calls()[-1]
    assert apt.SOURCE_LIST.read_text() == f"{DEBIAN.extra and DEBIAN.extra.source}\n"
    assert "installing qemu-system-arm qemu-system-data ccache\n" in said


def test_no_update_when_the_lists_do(state: Path, calls: Calls) -> None:
    install()
    assert not (state / "updated").exists()


def test_update_when_the_lists_do_not(state: Path, calls: Calls) -> None:
    (state / "lists").unlink()
    install()
    assert apt_calls(calls)[0] == "apt-get update"


def test_suite_that_is_configured_elsewhere_is_not_added(state: Path) -> None:
    (state / "uris").write_text("'http://x/debian/dists/bookworm-backports/InRelease' y 0\n")
    install()
    assert not apt.SOURCE_LIST.exists()


def test_stale_lists_are_fetched_anew(state: Path, calls: Calls) -> None:
    (state / "stale").touch()
    install()
    assert apt_calls(calls) == [
        "apt-get install --download-only",
        "apt-get update",
        "apt-get install --download-only",
        "apt-get install",
    ]


def test_interrupted_dpkg_is_repaired(state: Path, calls: Calls) -> None:
    (state / "broken").touch()
    install()
    assert apt_calls(calls)[1:3] == ["dpkg --configure -a", "apt-get install --fix-broken"]
    assert apt_calls(calls)[-1] == "apt-get install"


def test_no_network(state: Path) -> None:
    (state / "lists").unlink()
    (state / "update-says").write_text("W: Failed to fetch http://x/InRelease  Temporary failure\n")
    (state / "install-says").write_text("E: Unable to locate package ccache\n")
    error = fails_with(NetworkError)
    assert error.status == 162
    assert "http://x/InRelease" in str(error)
    assert "\n" not in str(error)
    assert not apt.SOURCE_LIST.exists()


def test_foreign_source_that_fails_does_no_harm(state: Path) -> None:
    (state / "lists").unlink()
    (state / "update-says").write_text("W: Failed to fetch http://foreign/InRelease\n")
    install()


def test_disk_full(state: Path) -> None:
    (state / "install-says").write_text(
        "E: You don't have enough free space in /var/cache/apt/archives/.\n"
    )
    assert fails_with(DiskFullError).status == 169


def test_other_failure_shows_the_command_and_the_words(state: Path) -> None:
    (state / "install-says").write_text("some words\nE: held broken packages\n")
    error = fails_with(SetupError)
    assert "held broken packages" in error.cause
    assert f"apt-get install -y --no-install-recommends {TARGETS}" in error.cure
    assert "some words" in error.details


def test_neither_root_nor_sudo(state: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: None)
    error = fails_with(SetupError)
    assert error.status == 161
    assert error.cure == (
        "run as root: echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://deb.debian.org/debian bookworm-backports main' "
        f"> {apt.SOURCE_LIST} && apt-get update && "
        f"apt-get install -y --no-install-recommends {TARGETS}"
    )
    assert apt_calls(calls) == []
    assert not apt.SOURCE_LIST.exists()


def test_sudo_without_password(
    state: Path, calls: Calls, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    shim("sudo", 'test "$1" = -n || exit 9; shift; exec "$@"')
    install()
    changing = [call for call in calls() if call.startswith("sudo") and call != "sudo -n true"]
    assert changing[0] == f"sudo -n tee {apt.SOURCE_LIST}"
    assert all("DEBIAN_FRONTEND=noninteractive" in call for call in changing[1:])
    assert len(changing) == 3


def test_sudo_that_would_ask_where_nobody_answers(
    state: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    shim("sudo", "exit 1")
    assert fails_with(SetupError).status == 161


def test_sudo_asks_once_at_the_terminal(
    state: Path, calls: Calls, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    shim(
        "sudo",
        'if [ "$1" = -v ]; then exec touch "$STATE/asked"; fi\n'
        'test -e "$STATE/asked" && [ "$1" = -n ] && shift && exec "$@"',
    )
    install()
    sudo = [call.split()[1] for call in calls() if call.startswith("sudo")]
    assert sudo == ["-n", "-v", "-n", "-n", "-n"]


def test_status_reader() -> None:
    seen: list[tuple[int, int]] = []
    read = apt.status_reader(lambda done, total: seen.append((done, total)))
    assert read("dlstatus:1:50.0000:Retrieving file 1 of 1")
    assert read("pmstatus:qemu:40.0:Unpacking")
    assert read("pmstatus:odd")
    assert not read("E: dlstatus is only a word here")
    assert seen == [(25, 100), (70, 100)]
