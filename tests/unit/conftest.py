# SPDX-License-Identifier: MIT
"""Fixtures that keep unit tests from the network, the user's files and the host's settings."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No time limit per example: a shared machine is slow now and then.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")

FOREIGN = ("PIP_", "APT_", "GIT_", "MTE_", "KCONFIG_", "XDG_", "CCACHE_", "UV_")
FOREIGN_NAMES = ("ARCH", "CROSS_COMPILE", "MAKEFLAGS", "LANGUAGE", "PYTHONPATH", "CI")
# A proxy that refuses connections, for programs that use the network all the same.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home of its own, which is returned, and loopback as the only network."""
    home = tmp_path_factory.mktemp("home")
    for name in tuple(os.environ):
        if name.startswith(FOREIGN) or name in FOREIGN_NAMES:
            monkeypatch.delenv(name)
    for name, value in {
        "HOME": home,
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_STATE_HOME": home / "state",
        "MTE_HARNESS_CACHE": home / "cache/mte-harness",
        "CCACHE_DIR": home / "cache/ccache",
        "GIT_CONFIG_GLOBAL": home / "gitconfig",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
    }.items():
        monkeypatch.setenv(name, str(value))
    (home / "gitconfig").write_text("[user]\nname = Unit Test\nemail = unit@test.invalid\n")
    monkeypatch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))
    return home


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise AssertionError(f"a unit test reaches for the network: {address}")
        return connect(self, address)

    return guarded


Shim = Callable[[str, str], Path]


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shim:
    """Return ``shim(name, script)``, which puts a shell script first on PATH.

    Each call of the script leaves a line, ``name arguments``, for `calls`.
    """
    directory = tmp_path / "shims"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        path = directory / name
        log = f"{{ printf '%s' \"{name} $*\" | tr '\\n' ' '; echo; }} >> {tmp_path}/calls"
        path.write_text(f"#!/bin/sh\n{log}\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """Return the calls of the shims, in order, as ``name arguments``."""

    def read() -> list[str]:
        log = tmp_path / "calls"
        return log.read_text().splitlines() if log.exists() else []

    return read
