# SPDX-License-Identifier: MIT
"""What this host needs, what it has, and what is missing.

Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import SetupError

TABLE = Path(__file__).with_name("packages.toml")
OS_RELEASE = Path("/etc/os-release")

# Debian keeps mke2fs in a directory that is not on an ordinary user's PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Need:
    """One row of the table: the packages that one purpose asks for here."""

    name: str
    why: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class ExtraSuite:
    """A suite beside the distribution's own, and the need that comes from it.

    ``source`` is the line for sources.list.d (sources.list(5)).
    """

    need: str
    suite: str
    source: str


@dataclass(frozen=True)
class QemuRule:
    """The program, the lowest version that is let in, and the one to have."""

    program: str
    minimum: tuple[int, int]
    wanted: tuple[int, int]


@dataclass(frozen=True)
class Distribution:
    """The table's view of one distribution."""

    name: str
    needs: tuple[Need, ...]
    extra: ExtraSuite | None
    qemu: QemuRule


@dataclass(frozen=True)
class Survey:
    """What was found: ``missing`` needs hold only the packages that lack.

    ``qemu`` is the version of the program on PATH, None if there is none.
    """

    distribution: Distribution
    missing: tuple[Need, ...]
    qemu_path: Path | None
    qemu: tuple[int, int] | None

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of all missing packages, without a suite."""
        return tuple(package for need in self.missing for package in need.packages)


def version(text: str) -> tuple[int, int]:
    """``10.0`` and ``QEMU emulator version 10.0.2 (...)`` are both (10, 0)."""
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"no version in {text!r}")
    return int(found[1]), int(found[2])


def os_id(os_release: Path = OS_RELEASE) -> str:
    """``<ID>-<VERSION_ID>`` (os-release(5)), the table's key."""
    try:
        text = os_release.read_text()
    except FileNotFoundError:
        return "unknown"
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return "-".join(fields.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))


def distribution(key: str) -> Distribution:
    """The table's entry; SetupError for a distribution that it does not know."""
    table = tomllib.loads(TABLE.read_text())
    entry = table["distribution"].get(key)
    if entry is None:
        known = ", ".join(item["name"] for item in table["distribution"].values())
        raise SetupError(
            f"{key} is not a distribution that packages.toml knows ({known})",
            "add it there, beside the others",
        )
    extra = entry.get("extra-suite")
    return Distribution(
        name=entry["name"],
        needs=tuple(Need(name, row["why"], tuple(row[key])) for name, row in table["need"].items()),
        extra=ExtraSuite(**extra) if extra else None,
        qemu=QemuRule(
            table["qemu"]["program"],
            version(table["qemu"]["minimum"]),
            version(table["qemu"]["wanted"]),
        ),
    )


def survey(where: Distribution) -> Survey:
    """Look at the host: one dpkg-query, and QEMU's own word for its version.

    A QEMU that is new enough meets its need without the package: many kernel
    engineers build their own.
    """
    installed = _installed({package for need in where.needs for package in need.packages})
    path, found = qemu_version(where.qemu.program)
    missing = []
    for need in where.needs:
        lacking = tuple(package for package in need.packages if package not in installed)
        if need.name == "qemu":
            old = found is None or found < where.qemu.minimum
            # An old QEMU's packages are there, and must all be replaced.
            lacking = need.packages if old else ()
        if lacking:
            missing.append(Need(need.name, need.why, lacking))
    return Survey(where, tuple(missing), path, found)


def qemu_version(program: str) -> tuple[Path | None, tuple[int, int] | None]:
    """Where ``program`` is on PATH, and the version it says it has."""
    where = shutil.which(program)
    if where is None:
        return None, None
    said = subprocess.run([where, "--version"], capture_output=True, text=True, check=False)
    try:
        return Path(where), version(said.stdout)
    except ValueError:
        return Path(where), None


def _installed(packages: set[str]) -> set[str]:
    """Those of ``packages`` that are installed for this machine's architecture."""
    native = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # dpkg-query exits 1 if it does not know a package, and still lists the rest.
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
        check=False,
    ).stdout
    lines = set(listed.splitlines())
    return {
        package
        for package in packages
        for architecture in (native, "all")
        if f"{package} {architecture} installed" in lines
    }
