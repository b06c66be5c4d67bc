# SPDX-License-Identifier: MIT
"""Fetches and unpacks Debian packages of another architecture or release, without root.

The guest image is made of such packages. apt resolves the dependencies and checks signatures and
hashes, with a state directory of its own and the proxy settings of the host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import ArtifactError, NetworkError, NotThereError
from harness.core.file_lock import locked
from harness.core.keys import file_digest
from harness.host.apt import NO_SUCH_PACKAGE, failure, status_reader
from harness.host.child import Finished, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.core.errors import HarnessError
    from harness.core.progress import Progress

BACKPORTS = "-backports"
SIGNED = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org"
# apt's downloader, of the package apt; it is not on PATH.
APT_HELPER = "/usr/lib/apt/apt-helper"
LISTS_LAST_S = 24 * 3600
# How long apt waits for a server that says nothing, and how often it tries again; apt's own three
# times, after ever longer pauses, are two minutes for each file.
ANSWER_S = 30
RETRIES = 1
# What apt-get and apt-helper print of a server that answers, and has no such file.
NO_SUCH_FILE = re.compile(r" 404  ")
NO_SUCH_SUITE = re.compile(
    r"The repository '(.*) Release' (?:does not have|no longer has) a Release"
)
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
    age are used. Raise DiskFullError, NotThereError if lists that were fetched now do not have a
    package, or NetworkError.
    """
    apt = _PrivateApt(wanted, downloads)
    return _obtain(apt, lambda: apt.resolve(wanted.packages), progress)


def fetch_chosen(
    suite: DebSet,
    choose: Callable[[frozenset[str]], tuple[str, ...]],
    downloads: Path,
    progress: Progress,
) -> tuple[Deb, ...]:
    """Return the packages whose names ``choose`` picks from those of all packages of the suite.

    It picks none if the suite does not have them. Otherwise as fetch().
    """
    apt = _PrivateApt(suite, downloads)
    return _obtain(apt, lambda: apt.resolve(choose(apt.names())), progress)


def names_in(suite: DebSet, downloads: Path, progress: Progress) -> frozenset[str]:
    """Return the names of all packages of a suite, by lists that are at most a day old.

    Without a network, lists of any age are used. Raise NotThereError or NetworkError.
    """
    apt = _PrivateApt(suite, downloads)
    with apt.lock(progress):
        apt.update(progress)
        return apt.names()


def _obtain(
    apt: _PrivateApt, find: Callable[[], tuple[Deb, ...]], progress: Progress
) -> tuple[Deb, ...]:
    with apt.lock(progress):
        fresh = apt.update(progress)
        try:
            debs = find()
            apt.download(debs, progress)
        except (NotThereError, NetworkError):
            if fresh:
                raise
            # Old lists lack what is new, and name versions that the mirror has removed since.
            apt.update(progress, must=True)
            debs = find()
            apt.download(debs, progress)
    return debs


def fetch_file(url: str, into: Path, progress: Progress) -> None:
    """Download ``url`` to the file ``into``, with the proxy settings of apt.

    Raise NotThereError if the server answers that there is no such file, NetworkError, SetupError
    or DiskFullError.
    """
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=into.parent) as directory:
        configuration = Path(directory) / "apt.conf"
        configuration.write_text("\n".join([*_network_settings(), ""]))
        environment = {"APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}
        part = Path(directory) / "part"
        words = ["-qq", "-o", "APT::Status-Fd=1", "download-file", url, str(part)]
        result = run([APT_HELPER, *words], environment, status_reader(progress.count))
        if NO_SUCH_FILE.search(result.output):
            raise NotThereError(f"there is no {url}", "", result.tail())
        if result.status:
            raise failure(result, None, f"see whether {url} can be fetched")
        part.rename(into)


def unpack(debs: Sequence[Path], directory: Path) -> None:
    """Unpack all .deb files ``debs`` into ``directory``, without running their scripts.

    Raise ArtifactError (a file is truncated or altered) or DiskFullError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        result = run(["dpkg-deb", "--extract", str(deb), str(directory)], {"LC_ALL": "C"})
        if reports_disk_full(result.output):
            raise disk_full(directory)
        if result.status:
            raise ArtifactError(
                f"{deb} does not unpack", "remove it, then run this again", result.tail()
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
        self._trouble: HarnessError | None = None  # why the lists could not be fetched

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

        A failure is an error only if there are no lists yet, or if they ``must`` be new. Raise
        NotThereError if the mirror has no such suite.
        """
        try:
            updated = self._stamp.stat().st_mtime
        except FileNotFoundError:
            must = True
        else:
            if time.time() - updated < LISTS_LAST_S and not must:
                return False
        if self._trouble is None:
            progress.step(f"fetching the package lists of {self._wanted.suite}")
            # Without -qq, which would leave out why a file cannot be fetched.
            result = self._run("apt-get", "update", "-o", "APT::Update::Error-Mode=any")
            if result.status == 0:
                self._stamp.touch()
                return True
            self._trouble = self._why_no_lists(result)
        if must:
            raise self._trouble
        day = time.strftime("%Y-%m-%d", time.localtime(updated))
        progress.step(f"they cannot be fetched: those of {day} are used ({self._trouble.cause})")
        return False

    def _why_no_lists(self, result: Finished) -> HarnessError:
        lacking = NO_SUCH_SUITE.findall(result.output)
        answered = NO_SUCH_FILE.search(result.output) and "Failed to fetch" not in result.output
        if answered and f"{MIRROR}/debian {self._wanted.suite}" in lacking:
            return NotThereError(f"the mirror has no suite {self._wanted.suite}", "", result.tail())
        return failure(result, None, f"see {self._state}/apt.conf")

    def names(self) -> frozenset[str]:
        """Return the names of all packages in the lists."""
        result = self._run("apt-cache", "pkgnames")
        if result.status:
            raise failure(result, None, f"see {self._state}/apt.conf")
        return frozenset(result.output.split())

    def resolve(self, packages: tuple[str, ...]) -> tuple[Deb, ...]:
        """Return ``packages``, as the lists have them. Raise NotThereError."""
        if not packages:
            raise NotThereError(f"{self._wanted.suite} has none of these packages")
        what = "install" if self._wanted.dependencies else "download"
        result = self._run("apt-get", what, "--print-uris", "-qq", "-y", *packages)
        if any(word in result.output for word in NO_SUCH_PACKAGE):
            names = " ".join(packages)
            raise NotThereError(f"{self._wanted.suite} has no {names}", "", result.tail())
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
        options = f"[arch={self._wanted.architecture} {SIGNED}]"
        suite = self._wanted.suite
        lines = [f"deb {options} {MIRROR}/debian {suite} main\n"]
        stable = suite.removesuffix(BACKPORTS)
        if self._whole:
            lines.append(f"deb {options} {MIRROR}/debian {stable} main\n")
        if self._whole or suite == stable:
            lines.append(f"deb {options} {MIRROR}/debian-security {stable}-security main\n")
        return "".join(lines)

    def _configuration(self) -> str:
        """Return the text of apt.conf: of the host's settings, only those of the network."""
        return "\n".join(
            [
                *_network_settings(),
                f'APT::Architecture "{self._wanted.architecture}";',
                f'APT::Architectures {{ "{self._wanted.architecture}"; }};',
                'APT::Install-Recommends "false";',
                f'Dir::State "{self._state}";',
                f'Dir::State::status "{self._state}/status";',
                f'Dir::Cache "{self._state}";',
                'Dir::Cache::pkgcache "";',
                'Dir::Cache::srcpkgcache "";',
                f'Dir::Etc::sourcelist "{self._state}/sources.list";',
                'Dir::Etc::sourceparts "/dev/null";',
                'Dir::Etc::preferences "/dev/null";',
                'Dir::Etc::preferencesparts "/dev/null";',
                'Acquire::Languages "none";',
                'Acquire::GzipIndexes "true";',
                'Acquire::ForceHash "SHA256";',  # the hash that --print-uris prints
                'Debug::NoLocking "true";',
                *([f'APT::Default-Release "{self._wanted.suite}";'] if self._whole else []),
                "",
            ]
        )


def _network_settings() -> list[str]:
    """Return lines of apt.conf: the host's settings of the network, and the time limits.

    Dir::Etc::parts names no file, so that the host's hooks, which are for its own packages, do not
    run; apt reads APT_CONFIG before it (apt.conf(5)).
    """
    host = subprocess.run(
        ["apt-config", "dump", "--format", '%F "%v";%n'],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout
    return [
        *(
            line
            for line in host.splitlines()
            if line.startswith("Acquire::") and "IndexTargets" not in line
        ),
        f'Acquire::http::Timeout "{ANSWER_S}";',
        f'Acquire::https::Timeout "{ANSWER_S}";',
        f'Acquire::Retries "{RETRIES}";',
        # The cache may be where the user _apt cannot write.
        'APT::Sandbox::User "root";',
        'Dir::Etc::main "/dev/null";',
        'Dir::Etc::parts "/dev/null";',
    ]


def _is_there(deb: Deb) -> bool:
    """Return whether the file of ``deb`` exists and has the right hash."""
    try:
        return file_digest(deb.path) == deb.sha256
    except FileNotFoundError:
        return False
