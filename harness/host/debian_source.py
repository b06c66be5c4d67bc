# SPDX-License-Identifier: MIT
"""The source of a kernel as a tarball in the cache: of a ``linux-source-*`` package, or a file.

A package is downloaded and unpacked, not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.core.keys import content_key
from harness.core.store import Store
from harness.host.debian import Deb, DebSet, fetch, fetch_file
from harness.host.downloaded import downloaded
from harness.host.extract import PIPE, extract

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress

# The packages are the same for all architectures; the guest's image needs this one's lists too.
ARCHITECTURE = "arm64"
PRISTINE = "without Debian's patches"  # in the title of a source that is not Debian's


@dataclass(frozen=True)
class SourceTarball:
    """A ``.tar.xz`` in the cache. ``title`` says what it is, with its whole version."""

    path: Path
    title: str


def package_in_suite(
    package: str, version: str, suite: str, cache: Path, progress: Progress
) -> SourceTarball:
    """Return the source of ``package``, from a suite of Debian.

    ``version`` is the kernel's ("7.3.4"), or "" for the newest there. Raise NotThereError,
    NetworkError, SetupError, DiskFullError or ArtifactError.
    """
    # Debian's own revision follows the kernel's version: 7.3.4-1~bpo13+1.
    name = f"{package}={version}-*" if version else package
    wanted = DebSet(suite, ARCHITECTURE, (name,), dependencies=False)
    (deb,) = fetch(wanted, cache / "downloads", progress)
    return _unpacked(deb, cache, progress)


def package_in_cache(package: str, version: str, cache: Path, progress: Progress) -> SourceTarball:
    """Return the same from an earlier download; "" is the newest of these. Raise NotThereError."""
    (deb,) = downloaded(
        lambda names: (package,) if package in names else (), cache / "downloads", version
    )
    if not version:
        progress.step(f"{package} is taken from the cache: {deb.version}")
    return _unpacked(deb, cache, progress)


def file_at(url: str, cache: Path, progress: Progress) -> SourceTarball:
    """Return Linux's own source, a file ``url``. Raise as package_in_suite() does."""
    name = url.rpartition("/")[2]

    def make(directory: Path) -> None:
        progress.step(f"downloading {url}")
        fetch_file(url, directory / name, progress)

    stored = Store(cache, "tarballs", progress).obtain(content_key(url), make)
    return SourceTarball(stored / name, f"{name}, {PRISTINE}")


def _unpacked(deb: Deb, cache: Path, progress: Progress) -> SourceTarball:
    def make(directory: Path) -> None:
        script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --strip-components=3 "./usr/src/$2.tar.xz"'
        failed = extract([*PIPE, script, "unpack", str(deb.path), deb.name], directory)
        if failed is not None:
            raise ArtifactError(
                f"{deb.path} does not unpack", "remove it, then run this again", "\n".join(failed)
            )

    stored = Store(cache, "tarballs", progress).obtain(content_key(deb.sha256), make)
    return SourceTarball(stored / f"{deb.name}.tar.xz", f"{deb.name} {deb.version}")
