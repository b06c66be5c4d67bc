# SPDX-License-Identifier: MIT
"""The tarball of a ``linux-source-*`` package, downloaded into the cache and not installed."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError, NoSuchPackageError, SourceError
from harness.core.keys import content_key
from harness.core.paths import resources
from harness.core.store import Store
from harness.host.debian import Deb, DebSet, fetch
from harness.kernel.extract import PIPE, extract

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress

SOURCES = "kernel-configs/sources.toml"
# The packages are the same for all architectures; the guest's image needs this one's lists too.
ARCHITECTURE = "arm64"


def obtain_tarball(package: str, version: str, cache: Path, progress: Progress) -> Path:
    """Return the source of ``package``, as ``NAME.tar.xz`` in the cache.

    ``version`` is the kernel's ("7.3.4"), or "" for the newest that a suite has. Raise SourceError
    if no suite has it, NetworkError, DiskFullError or ArtifactError.
    """
    deb = _find(package, version, cache / "downloads", progress)

    def make(directory: Path) -> None:
        script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --strip-components=3 "./usr/src/$2.tar.xz"'
        failed = extract([*PIPE, script, "unpack", str(deb.path), package], directory)
        if failed is not None:
            raise ArtifactError(
                f"{deb.path} does not unpack", "remove it, then run this again", "\n".join(failed)
            )

    stored = Store(cache, "tarballs", progress).obtain(content_key(deb.sha256), make)
    return stored / f"{package}.tar.xz"


def _find(package: str, version: str, downloads: Path, progress: Progress) -> Deb:
    suites = tomllib.loads((resources() / SOURCES).read_text(encoding="utf-8")).get(package, [])
    lacking = []
    # Debian's own revision follows the kernel's version: 7.3.4-1~bpo13+1.
    name = f"{package}={version}-*" if version else package
    for suite in suites:
        wanted = DebSet(suite, ARCHITECTURE, (name,), dependencies=False)
        try:
            (deb,) = fetch(wanted, downloads, progress)
        except NoSuchPackageError as error:
            lacking.append(str(error))
        else:
            return deb
    raise SourceError(
        f"no suite of Debian has {name.removesuffix('-*')}",
        f"suites are in {SOURCES}",
        "\n".join(lacking),
    )
