# SPDX-License-Identifier: MIT
"""The table of packages, and what a look at the host finds."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import SetupError
from harness.host import needs

Shim = Callable[[str, str], Path]
Calls = Callable[[], list[str]]

DEBIAN = needs.distribution("debian-12")
PACKAGES = [package for need in DEBIAN.needs for package in need.packages]


def installed(*lines: str) -> str:
    """Make a dpkg-query that prints ``lines`` and, as the real one, fails if one is missing."""
    return "cat <<'E'\n" + "".join(f"{line}\n" for line in lines) + "E\nexit 1"


@pytest.fixture(autouse=True)
def host(shim: Shim) -> None:
    """Make a Debian 12 host on which everything is installed."""
    shim("dpkg", "echo amd64")
    shim("dpkg-query", installed(*(f"{package} amd64 installed" for package in PACKAGES)))
    shim("qemu-system-aarch64", "echo 'QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)'")


def missing() -> tuple[str, ...]:
    return needs.survey(DEBIAN).packages


def test_every_row_names_packages_for_every_distribution() -> None:
    table = tomllib.loads(needs.TABLE.read_text())
    keys = set(table["distribution"])
    assert {"debian-12", "debian-13", "ubuntu-24.04"} <= keys
    for name, row in table["need"].items():
        assert set(row) - {"option", "programs"} == keys | {"why"}, name


@pytest.mark.parametrize("key", ["debian-12", "debian-13", "ubuntu-24.04"])
def test_no_package_is_named_twice(key: str) -> None:
    packages = [package for need in needs.distribution(key).needs for package in need.packages]
    assert len(set(packages)) == len(packages)


def test_qemu_comes_from_backports_on_debian_12_only() -> None:
    assert DEBIAN.extra is not None
    assert (DEBIAN.extra.need, DEBIAN.extra.suite) == ("qemu", "bookworm-backports")
    assert DEBIAN.extra.suite in DEBIAN.extra.source.split()
    assert needs.distribution("debian-13").extra is None


def test_unknown_distribution_names_the_known_ones() -> None:
    with pytest.raises(SetupError, match=r"distribution fedora-41 .*Debian 12 \(bookworm\)"):
        needs.distribution("fedora-41")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('PRETTY_NAME="Debian 12"\nVERSION_ID="12"\nID=debian\n', "debian-12"),
        ("ID=ubuntu\nVERSION_ID='24.04'\n", "ubuntu-24.04"),
        ("ID=arch\n", "arch-"),
    ],
)
def test_os_id(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "os-release").write_text(text)
    assert needs.os_id(tmp_path / "os-release") == key


def test_os_id_without_the_file(tmp_path: Path) -> None:
    assert needs.os_id(tmp_path / "none") == "unknown"


def test_nothing_missing_is_found_in_three_short_calls(calls: Calls) -> None:
    found = needs.survey(DEBIAN)
    assert found.missing == ()
    assert found.qemu == (10, 0)
    assert [call.split()[0] for call in calls()] == ["dpkg", "dpkg-query", "qemu-system-aarch64"]


def test_packages_that_do_not_count_as_installed(shim: Shim) -> None:
    lines = [f"{package} all installed" for package in PACKAGES if package[0] not in "bf"]
    # Removed but configured; for another architecture; known to dpkg, no more.
    shim(
        "dpkg-query",
        installed(*lines, "bc amd64 config-files", "bison arm64 installed", "flex  not-installed"),
    )
    assert missing() == ("bc", "bison", "flex")


def test_old_qemu_is_replaced_whole(shim: Shim) -> None:
    shim("qemu-system-aarch64", "echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)'")
    assert missing() == ("qemu-system-arm", "qemu-system-common", "qemu-system-data")


def test_qemu_of_ones_own_needs_no_package(shim: Shim) -> None:
    lines = [f"{package} amd64 installed" for package in PACKAGES if "qemu" not in package]
    shim("dpkg-query", installed(*lines))
    assert missing() == ()


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, shim: Shim) -> None:
    shim("qemu-system-aarch64", "").unlink()
    monkeypatch.setenv("PATH", str(shim("true", "").parent) + ":/nowhere")
    for name in ("dpkg", "dpkg-query"):
        path = shim(name, "").parent / name
        path.write_text(f"#!/bin/sh\necho {'amd64' if name == 'dpkg' else 'bc amd64 installed'}\n")
    found = needs.survey(DEBIAN)
    assert (found.qemu_path, found.qemu) == (None, None)
    assert "qemu-system-arm" in found.packages


def test_qemu_that_does_not_run(shim: Shim) -> None:
    shim("qemu-system-aarch64", "echo 'error while loading shared libraries' >&2; exit 127")
    assert needs.survey(DEBIAN).qemu is None
    assert "qemu-system-arm" in missing()


def test_clang_is_missing_only_for_a_command_that_wants_it(shim: Shim) -> None:
    without = [f"{package} amd64 installed" for package in PACKAGES if "19" not in package]
    shim("dpkg-query", installed(*without))
    found = needs.survey(DEBIAN)
    assert found.missing == found.with_options(["mte-harness", "build", "7.3"]).missing == ()
    wanted = found.with_options(["mte-harness", "build", "7.3", "--llvm"])
    assert wanted.packages == ("clang-19", "lld-19", "llvm-19")
    shim("clang", "")
    assert needs.survey(DEBIAN).optional == found.optional
    shim("ld.lld", "")
    assert needs.survey(DEBIAN).optional == ()


def test_version_needs_one() -> None:
    with pytest.raises(ValueError, match="no version"):
        needs.version("QEMU")
