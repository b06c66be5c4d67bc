# SPDX-License-Identifier: MIT
"""Fetches and unpacks Debian packages of another architecture or release, without root.

The guest image is made of such packages. apt resolves the dependencies and checks signatures and
hashes, with a state directory of its own and the proxy settings of the host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import ArtifactError, NetworkError, NoSuchPackageError
from harness.core.file_lock import locked
from harness.core.keys import file_digest
from harness.host.apt import NO_SUCH_PACKAGE, failure, status_reader
from harness.host.child import Finished, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.core.progress import Progress

BACKPORTS = "-backports"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org"
# apt's downloader, of the package apt; it is not on PATH.
APT_HELPER = "/usr/lib/apt/apt-helper"
LISTS_LAST_S = 24 * 3600
LINE = re.compile(r"'(?P<url>\S+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True)
class DebSet:
    """Packages of one suite ("bookworm", with its security updates) and architecture.

    A package may be "name=version", where the version may end in "*". Without
    ``dependencies``, what they depend on is left out.
    """

    suite: str
    architecture: str
    packages: tuple[str, ...]
    dependencies: bool = True


@dataclass(frozen=True)
class Deb:
    """One package file. ``size`` is in bytes; ``path`` is the file after the download."""

    name: str
    version: str
    url: str
    sha256: str
    size: int
    path: Path


def fetch(wanted: DebSet, downloads: Path, progress: Progress) -> tuple[Deb, ...]:
    """Return ``wanted`` and its dependencies (without Recommends), downloaded to ``downloads``.

    Only missing packages are downloaded, and the lists once a day; without a network, lists of any
    age are used. Raise NetworkError, DiskFullError, or NoSuchPackageError.
    """
    apt = _PrivateApt(wanted, downloads)
    with apt.lock(progress):
        fresh = apt.update(progress)
        debs = apt.resolve()
        try:
            apt.download(debs, progress)
        except NetworkError:
            if fresh:
                raise
            # The mirror removes a version after its successor has come: fetch new lists.
            apt.update(progress, must=True)
            debs = apt.resolve()
            apt.download(debs, progress)
    return debs


def names_in(suite: DebSet, downloads: Path, progress: Progress) -> frozenset[str]:
    """Return the names of all packages of the suite and architecture. Errors as of fetch()."""
    apt = _PrivateApt(suite, downloads)
    with apt.lock(progress):
        apt.update(progress)
        return apt.names()


def unpack(debs: Sequence[Deb], directory: Path) -> None:
    """Unpack all ``debs`` into ``directory``, without running their scripts.

    Raise ArtifactError (a file is truncated or altered) or DiskFullError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        result = run(["dpkg-deb", "--extract", str(deb.path), str(directory)], {"LC_ALL": "C"})
        if reports_disk_full(result.output):
            raise disk_full(directory)
        if result.status:
            raise ArtifactError(
                f"{deb.path} does not unpack", "remove it, then run this again", result.tail()
            )


class _PrivateApt:
    """apt with a state directory of its own: one suite as its source, no package installed."""

    def __init__(self, wanted: DebSet, downloads: Path) -> None:
        self._wanted = wanted
        self._downloads = downloads
        # Backports depend on packages of the suite that they are for.
        self._whole = wanted.dependencies and wanted.suite.endswith(BACKPORTS)
        name = f"{wanted.suite}-{wanted.architecture}"
        self._state = downloads / "apt" / (f"{name}-whole" if self._whole else name)
        self._stamp = self._state / "updated"

    @contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Keep a second run out, and make the directories and files that apt expects."""
        for name in ("lists/partial", "archives/partial"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        waiting = "another run is fetching Debian packages; waiting for it"
        with locked(self._state / "lock", waiting, progress):
            (self._state / "status").touch()
            (self._state / "sources.list").write_text(self._sources())
            (self._state / "apt.conf").write_text(self._configuration())
            yield

    def update(self, progress: Progress, *, must: bool = False) -> bool:
        """Fetch the lists if they are older than a day; return whether they were fetched.

        A failure is an error only if there are no lists yet, or if they ``must`` be new.
        """
        try:
            age = time.time() - self._stamp.stat().st_mtime
        except FileNotFoundError:
            must = True
        else:
            if age < LISTS_LAST_S and not must:
                return False
        progress.step(f"fetching the package lists of {self._wanted.suite}")
        result = self._run("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")
        if result.status == 0:
            self._stamp.touch()
            return True
        if must:
            raise failure(result, None, f"see {self._state}/apt.conf")
        return False

    def names(self) -> frozenset[str]:
        """Return the names of all packages in the lists."""
        result = self._run("apt-cache", "pkgnames")
        if result.status:
            raise failure(result, None, f"see {self._state}/apt.conf")
        return frozenset(result.output.split())

    def resolve(self) -> tuple[Deb, ...]:
        """Return the wanted packages, as the lists have them."""
        what = "install" if self._wanted.dependencies else "download"
        result = self._run("apt-get", what, "--print-uris", "-qq", "-y", *self._wanted.packages)
        if any(word in result.output for word in NO_SUCH_PACKAGE):
            names = " ".join(self._wanted.packages)
            raise NoSuchPackageError(f"{self._wanted.suite} has no {names}", "", result.tail())
        if result.status:
            raise failure(result, None, f"see {self._state}/apt.conf")
        return tuple(self._deb(found) for found in LINE.finditer(result.output))

    def _deb(self, found: re.Match[str]) -> Deb:
        # NAME_VERSION_ARCHITECTURE.deb, where a colon is written %3a.
        name, version, _ = unquote(found["file"]).split("_")
        return Deb(
            name=name,
            version=version,
            url=found["url"],
            sha256=found["sha256"],
            size=int(found["size"]),
            path=self._downloads / found["file"],
        )

    def download(self, debs: Sequence[Deb], progress: Progress) -> None:
        """Download those of ``debs`` that are missing or damaged.

        apt-helper checks each hash, and continues partial files.
        """
        missing = [deb for deb in debs if not _is_there(deb)]
        if not missing:
            return
        size = sum(deb.size for deb in missing) / 1e6
        progress.step(f"downloading {len(missing)} Debian packages ({size:.0f} MB)")
        if size * 1e6 > shutil.disk_usage(self._downloads).free:
            raise disk_full(self._downloads, f"the packages take {size:.0f} MB")
        words = [
            word
            for deb in missing
            for word in (deb.url, f"{deb.path}.part", f"SHA256:{deb.sha256}")
        ]
        result = self._run(
            APT_HELPER, "-qq", "-o", "APT::Status-Fd=1", "download-file", *words, progress=progress
        )
        if result.status:
            for failed in self._downloads.glob("*.FAILED"):
                failed.unlink()
            raise failure(result, None, f"see {self._state}/apt.conf")
        for deb in missing:
            deb.path.with_name(f"{deb.path.name}.part").rename(deb.path)

    def _run(self, *argv: str, progress: Progress | None = None) -> Finished:
        environment = {"APT_CONFIG": str(self._state / "apt.conf"), "LC_ALL": "C.UTF-8"}
        if progress is None:
            return run(argv, environment)
        return run(argv, environment, status_reader(progress.count))

    def _sources(self) -> str:
        options = f"[arch={self._wanted.architecture} signed-by={KEYRING}]"
        suite = self._wanted.suite
        lines = [f"deb {options} {MIRROR}/debian {suite} main\n"]
        stable = suite.removesuffix(BACKPORTS)
        if self._whole:
            lines.append(f"deb {options} {MIRROR}/debian {stable} main\n")
        if self._whole or suite == stable:
            lines.append(f"deb {options} {MIRROR}/debian-security {stable}-security main\n")
        return "".join(lines)

    def _configuration(self) -> str:
        """Return the text of apt.conf: of the host's settings, only those of the network.

        Dir::Etc::parts names no file, so that the host's hooks, which are for its own packages, do
        not run; apt reads APT_CONFIG before it (apt.conf(5)).
        """
        host = subprocess.run(
            ["apt-config", "dump", "--format", '%F "%v";%n'],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        network = [
            line
            for line in host.splitlines()
            if line.startswith("Acquire::") and "IndexTargets" not in line
        ]
        return "\n".join(
            [
                *network,
                f'APT::Architecture "{self._wanted.architecture}";',
                f'APT::Architectures {{ "{self._wanted.architecture}"; }};',
                'APT::Install-Recommends "false";',
                # The cache may be where the user _apt cannot write.
                'APT::Sandbox::User "root";',
                f'Dir::State "{self._state}";',
                f'Dir::State::status "{self._state}/status";',
                f'Dir::Cache "{self._state}";',
                'Dir::Cache::pkgcache "";',
                'Dir::Cache::srcpkgcache "";',
                f'Dir::Etc::sourcelist "{self._state}/sources.list";',
                'Dir::Etc::sourceparts "/dev/null";',
                'Dir::Etc::preferences "/dev/null";',
                'Dir::Etc::preferencesparts "/dev/null";',
                'Dir::Etc::main "/dev/null";',
                'Dir::Etc::parts "/dev/null";',
                'Acquire::Languages "none";',
                'Acquire::GzipIndexes "true";',
                'Acquire::ForceHash "SHA256";',  # the hash that --print-uris prints
                'Debug::NoLocking "true";',
                *([f'APT::Default-Release "{self._wanted.suite}";'] if self._whole else []),
                "",
            ]
        )


def _is_there(deb: Deb) -> bool:
    """Return whether the file of ``deb`` exists and has the right hash."""
    try:
        return file_digest(deb.path) == deb.sha256
    except FileNotFoundError:
        return False
