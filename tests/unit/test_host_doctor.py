# SPDX-License-Identifier: MIT
"""The doctor finds what is missing, and each finding has a cure."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.host import apt, doctor, needs, venv
from harness.host.doctor import Finding, Level
from harness.host.needs import Need, Survey

DEBIAN = needs.distribution("debian-12")
COMPLETE = Survey(DEBIAN, (), Path("/usr/bin/qemu-system-aarch64"), (10, 0))


class Usage(NamedTuple):
    """What shutil.disk_usage() gives."""

    total: int
    used: int
    free: int


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Make a host: a Debian 12 that lacks nothing."""
    monkeypatch.setattr(needs, "os_id", lambda: "debian-12")
    see(monkeypatch, COMPLETE)
    monkeypatch.setattr(apt, "_is_configured", lambda _: True)
    monkeypatch.setattr(venv, "is_current", lambda _: True)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 10**11))
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n")
    monkeypatch.setattr(doctor, "MEMINFO", meminfo)
    return monkeypatch


def see(monkeypatch: pytest.MonkeyPatch, survey: Survey) -> None:
    monkeypatch.setattr(needs, "survey", lambda _: survey)


def finding(subject: str) -> Finding:
    (found,) = [found for found in doctor.diagnose() if found.subject == subject]
    return found


def test_healthy_host(host: pytest.MonkeyPatch) -> None:
    findings = doctor.diagnose()
    assert {found.level for found in findings} == {Level.OK}
    assert {found.cure for found in findings} == {""}
    assert {"distribution", "QEMU", "accelerator", "virtual environment", "disk", "memory"} <= {
        found.subject for found in findings
    }
    assert "TCG" in finding("accelerator").found


def test_missing_package_and_the_command(host: pytest.MonkeyPatch) -> None:
    see(host, dataclasses.replace(COMPLETE, missing=(Need("ccache", "why", ("ccache",)),)))
    found = finding("ccache")
    assert found.level is Level.MISSING
    assert found.cure.endswith(
        "as root: apt-get update && apt-get install -y --no-install-recommends ccache"
    )
    assert finding("git").level is Level.OK


@pytest.mark.parametrize(
    ("path", "version", "level", "words"),
    [
        (None, None, Level.MISSING, "no qemu-system-aarch64"),
        (Path("/q"), None, Level.MISSING, "/q --version prints no version"),
        (Path("/q"), (7, 2), Level.MISSING, "7.2 (/q); 8.2 or newer"),
        (Path("/q"), (9, 2), Level.WARNING, "9.2 (/q)"),
        (Path("/q"), (10, 0), Level.OK, "10.0 (/q)"),
        (Path("/q"), (11, 1), Level.OK, "11.1 (/q)"),
    ],
)
def test_qemu(
    host: pytest.MonkeyPatch,
    path: Path | None,
    version: tuple[int, int] | None,
    level: Level,
    words: str,
) -> None:
    missing = (Need("qemu", "", ("qemu-system-arm",)),) if level is Level.MISSING else ()
    see(host, Survey(DEBIAN, missing, path, version))
    found = finding("QEMU")
    assert (found.level, found.cure == "") == (level, level is Level.OK)
    assert words in found.found
    if level is Level.MISSING:
        assert "qemu-system-arm/bookworm-backports" in found.cure


def test_unknown_distribution_does_not_hide_the_rest(host: pytest.MonkeyPatch) -> None:
    host.setattr(needs, "os_id", lambda: "gentoo-")
    assert finding("distribution").level is Level.MISSING
    assert finding("memory").level is Level.OK


def test_stale_environment(host: pytest.MonkeyPatch) -> None:
    host.setattr(venv, "is_current", lambda _: False)
    assert finding("virtual environment").level is Level.MISSING


def test_little_room(host: pytest.MonkeyPatch) -> None:
    host.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 5 * 10**9))
    found = finding("disk")
    assert found.level is Level.WARNING
    assert found.found.startswith("5.0 GB free")


def test_cache_that_cannot_be_written(host: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.setattr("os.access", lambda *_: False)
    host.setenv("MTE_HARNESS_CACHE", str(tmp_path / "not/yet/there"))
    found = finding("cache")
    assert found.level is Level.MISSING
    assert found.found == f"{tmp_path} cannot be written to"


def test_little_memory_and_one_core(host: pytest.MonkeyPatch) -> None:
    doctor.MEMINFO.write_text("MemAvailable: 1000000 kB\n")
    host.setattr("os.sched_getaffinity", lambda _: {0})
    assert finding("memory").level is Level.WARNING
    assert finding("accelerator").level is Level.WARNING


def test_what_only_an_option_needs_is_no_fault(host: pytest.MonkeyPatch) -> None:
    clang = Need("llvm", "for clang", ("clang-19", "lld-19"), "--llvm")
    see(host, dataclasses.replace(COMPLETE, optional=(clang,)))
    found = finding("llvm")
    assert found.level is Level.WARNING
    assert "not installed: clang-19 lld-19" in found.found
    assert found.cure.startswith("for --llvm, as root: apt-get update && apt-get install")
    assert found.cure.endswith("clang-19 lld-19")
