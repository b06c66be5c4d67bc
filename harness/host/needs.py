# SPDX-License-Identifier: MIT
"""The packages that this host needs (packages.toml), and those that are missing.

Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = Path(__file__).with_name("packages.toml")
OS_RELEASE = Path("/etc/os-release")

# Debian keeps mke2fs in a directory that is not on an ordinary user's PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Need:
    """One row of the table: a purpose, and the packages that it needs on this distribution.

    ``option``: only a command with this option needs it; ``""`` for what each one needs.
    ``programs``: where all of these are on PATH, no package is needed.
    """

    name: str
    why: str
    packages: tuple[str, ...]
    option: str = ""
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtraSuite:
    """A suite beside the distribution's own; the packages of ``need`` come from it.

    ``source`` is its line in sources.list.d (sources.list(5)).
    """

    need: str
    suite: str
    source: str


@dataclass(frozen=True)
class QemuRule:
    """QEMU's program, the lowest version that is accepted, and the recommended one."""

    program: str
    minimum: tuple[int, int]
    wanted: tuple[int, int]


@dataclass(frozen=True)
class Distribution:
    """The rows of the table for one distribution."""

    name: str
    needs: tuple[Need, ...]
    extra: ExtraSuite | None
    qemu: QemuRule


@dataclass(frozen=True)
class Survey:
    """The state of the host. ``missing`` are needs with only the packages that are missing.

    ``qemu`` is the version of QEMU on PATH, or None. ``optional`` are such needs of which only
    commands with an option are in want.
    """

    distribution: Distribution
    missing: tuple[Need, ...]
    qemu_path: Path | None
    qemu: tuple[int, int] | None
    optional: tuple[Need, ...] = ()

    def with_options(self, words: Sequence[str]) -> Survey:
        """Return the survey for a command of ``words``: what its options need is missing, too."""
        wanted = [need for need in self.optional if need.option in words]
        return dataclasses.replace(self, missing=(*self.missing, *wanted))

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of all missing packages, without a suite."""
        return tuple(package for need in self.missing for package in need.packages)


def version(text: str) -> tuple[int, int]:
    """Return (10, 0) for ``10.0`` as for ``QEMU emulator version 10.0.2 (...)``."""
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"no version in {text!r}")
    return int(found[1]), int(found[2])


def os_id(os_release: Path = OS_RELEASE) -> str:
    """Return ``<ID>-<VERSION_ID>`` of os-release(5), the key of a distribution in the table."""
    try:
        text = os_release.read_text()
    except FileNotFoundError:
        return "unknown"
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return "-".join(fields.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))


def distribution(key: str) -> Distribution:
    """Return the distribution of ``key``. Raise SetupError if the table does not have it."""
    table = tomllib.loads(TABLE.read_text())
    entry = table["distribution"].get(key)
    if entry is None:
        known = ", ".join(item["name"] for item in table["distribution"].values())
        raise SetupError(
            f"packages.toml does not list the distribution {key} (only {known})",
            "add it to harness/host/packages.toml",
        )
    extra = entry.get("extra-suite")
    return Distribution(
        name=entry["name"],
        needs=tuple(
            Need(
                name,
                row["why"],
                tuple(row[key]),
                row.get("option", ""),
                tuple(row.get("programs", ())),
            )
            for name, row in table["need"].items()
        ),
        extra=ExtraSuite(**extra) if extra else None,
        qemu=QemuRule(
            table["qemu"]["program"],
            version(table["qemu"]["minimum"]),
            version(table["qemu"]["wanted"]),
        ),
    )


def survey(where: Distribution) -> Survey:
    """Return the state of the host, by one dpkg-query and ``qemu --version``.

    A QEMU that is new enough needs no package: many kernel engineers build their own.
    """
    installed = _installed({package for need in where.needs for package in need.packages})
    path, found = qemu_version(where.qemu.program)
    missing: list[Need] = []
    optional: list[Need] = []
    for need in where.needs:
        lacking = tuple(package for package in need.packages if package not in installed)
        if need.name == "qemu":
            old = found is None or found < where.qemu.minimum
            # The packages of an old QEMU are installed, and must all be replaced.
            lacking = need.packages if old else ()
        if need.programs and all(map(shutil.which, need.programs)):
            lacking = ()
        if lacking:
            found_need = dataclasses.replace(need, packages=lacking)
            (optional if need.option else missing).append(found_need)
    return Survey(where, tuple(missing), path, found, tuple(optional))


def qemu_version(program: str) -> tuple[Path | None, tuple[int, int] | None]:
    """Return the path of ``program`` and the version that it reports; None for what is unknown."""
    where = shutil.which(program)
    if where is None:
        return None, None
    done = subprocess.run(
        [where, "--version"], capture_output=True, text=True, errors="replace", check=False
    )
    try:
        return Path(where), version(done.stdout)
    except ValueError:
        return Path(where), None


def _installed(packages: set[str]) -> set[str]:
    """Return those of ``packages`` that are installed for this host's architecture."""
    native = subprocess.run(
        ["dpkg", "--print-architecture"],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout.strip()
    # dpkg-query exits with 1 if it does not know a package, but lists the others.
    listed = subprocess.run(
        [
            "dpkg-query",
            "--show",
            "--showformat",
            "${Package} ${Architecture} ${db:Status-Status}\n",
            *sorted(packages),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    ).stdout
    lines = set(listed.splitlines())
    return {
        package
        for package in packages
        for architecture in (native, "all")
        if f"{package} {architecture} installed" in lines
    }
