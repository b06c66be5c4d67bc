# SPDX-License-Identifier: MIT
"""Parts of a kernel that Debian built, of which a suite lists only the one with the vmlinuz.

trixie-backports lists linux-binary of 6.19 to 7.1, which is signed apart, and no longer
linux-modules and linux-base; some are still in the pool. They come by https, since no list has
their hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import NotThereError
from harness.core.keys import file_digest
from harness.host.debian import Deb, DebSet, fetch_chosen, fetch_file
from harness.host.debian_source import ARCHITECTURE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.progress import Progress

POOL = "https://deb.debian.org/debian/pool/main/l/linux"


def with_parts_of_the_pool(
    suite: str,
    choose: Callable[[frozenset[str]], tuple[str, ...]],
    parts: Callable[[str], tuple[str, ...]],
    downloads: Path,
    progress: Progress,
) -> tuple[Deb, ...]:
    """Return the package that ``choose`` picks from a suite, and its ``parts`` from the pool.

    ``parts`` gives their names from that of the package. Raise NotThereError or NetworkError.
    """
    wanted = DebSet(suite, ARCHITECTURE, (), dependencies=False)
    (first,) = fetch_chosen(wanted, choose, downloads, progress)
    return (first, *(_part(name, first.version, downloads, progress) for name in parts(first.name)))


def _part(name: str, version: str, downloads: Path, progress: Progress) -> Deb:
    """Return a package of the pool, downloaded if it is not there yet."""
    file = f"{name}_{version}_{ARCHITECTURE}.deb"
    path, url = downloads / file, f"{POOL}/{file}"
    if not path.exists():
        progress.step(f"downloading {name} from Debian's pool")
        try:
            fetch_file(url, path, progress)
        except NotThereError as error:
            raise NotThereError(f"the pool has no {file}") from error
    return Deb(name, version, url, file_digest(path), path.stat().st_size, path)
