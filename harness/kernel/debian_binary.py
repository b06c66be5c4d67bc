# SPDX-License-Identifier: MIT
"""A kernel that Debian built: fetched as packages, and booted with an initramfs of its modules."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from harness.core.errors import NetworkError, NotThereError, SetupError, UsageError
from harness.host.debian import Deb, DebSet, fetch, fetch_chosen, names_in
from harness.host.debian_source import ARCHITECTURE
from harness.host.downloaded import downloaded
from harness.host.places import first_that_has
from harness.kernel.deb_files import DebFile, DebKernel, obtain_debs
from harness.kernel.debian_pool import with_parts_of_the_pool
from harness.kernel.debug_symbols import with_symbols
from harness.kernel.recipe import SOURCE_PACKAGE, DebianBase
from harness.kernel.releases import parse_point_release, parse_release
from harness.kernel.sources import SOURCES, binary_suites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.artifact import Kernel

PREFIX = "debian:"
_ARGUMENT = re.compile(
    r"debian:(?P<version>\d+\.\d+(?:\.\d+)?)(?:-(?P<flavour>rt|cloud|16k))?(?P<symbols>-dbg)?"
)
# Image, modules and .config are three packages since this release, in which linux-image is empty.
# Before, all are in linux-image.
FIRST_IN_PARTS = (6, 19)
PARTS = ("binary", "modules", "base")
_FLAVOURS = {"": "arm64", "rt": "rt-arm64", "cloud": "cloud-arm64", "16k": "arm64-16k"}


@dataclass(frozen=True)
class DebianKernel:
    """A release as ``debian:7.3.4`` names it; ``flavour`` is "", "rt", "cloud" or "16k".

    ``symbols``: with the vmlinux of its -dbg package (``debian:7.3.4-dbg``).
    """

    version: str
    flavour: str
    symbols: bool = False

    @property
    def name(self) -> str:
        """Return the argument that names it."""
        words = [self.version, self.flavour, "dbg" if self.symbols else ""]
        return PREFIX + "-".join(filter(None, words))

    @property
    def is_series(self) -> bool:
        """Return whether it names the newest release of a series: 7.3."""
        return self.version.count(".") == 1


def parse_debian(argument: str) -> DebianKernel:
    """Return the kernel that ``debian:VERSION[-FLAVOUR][-dbg]`` names. Raise UsageError."""
    found = _ARGUMENT.fullmatch(argument)
    if not found:
        raise UsageError(
            f"{argument!r} names no kernel of Debian",
            "debian:7.3.4, or with -rt, -cloud, -16k, and last -dbg for debug symbols",
        )
    return DebianKernel(found["version"], found["flavour"] or "", bool(found["symbols"]))


def obtain_debian(source: DebianKernel, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel, from the packages of a suite that has it.

    Raise BaseGoneError if every suite answers that it is gone, NetworkError if that cannot be told,
    DiskFullError, ArtifactError or ImageError.
    """
    downloads = cache / "downloads"
    debs = _fetch(source, downloads, progress)
    files = tuple(DebFile(deb.path, deb.name, deb.version, ARCHITECTURE) for deb in debs)
    packages = ", ".join(f"{deb.name} {deb.version}" for deb in debs)
    kernel = dataclasses.replace(
        obtain_debs(DebKernel(files), cache, progress),
        name=source.name,
        description=f"Debian's own build: {packages}",
        unmodified=True,
        source=_source(debs[0].version),
    )
    if not source.symbols:
        return kernel
    end, version = files[0].kernel
    name = f"linux-image-{end}-dbg={version}"
    package = functools.partial(_fetch_symbols, name, downloads, progress)
    return with_symbols(kernel, name, package, cache, progress)


def _source(version: str) -> DebianBase:
    """Return the package with the source of Debian's ``version`` "7.3.4-1~bpo13+1"."""
    release = version.partition("-")[0]
    return DebianBase(f"{SOURCE_PACKAGE}{'.'.join(release.split('.')[:2])}", release)


@contextlib.contextmanager
def _fetch_symbols(name: str, downloads: Path, progress: Progress) -> Iterator[Path]:
    """Download the package ``name`` ("linux-image-…-dbg=VERSION"), and remove it after its use.

    It has up to a gigabyte, of which nothing but the vmlinux is used.
    """

    def in_suite(suite: str) -> Path:
        wanted = DebSet(suite, ARCHITECTURE, (name,), dependencies=False)
        (deb,) = fetch(wanted, downloads, progress)
        return deb.path

    places = [(suite, functools.partial(in_suite, suite)) for suite in binary_suites()]
    path = first_that_has(name, places, f"the suites are in {SOURCES}")
    yield path
    path.unlink()


def _fetch(source: DebianKernel, downloads: Path, progress: Progress) -> tuple[Deb, ...]:
    """Return the packages of the first suite that has the kernel, or those of an earlier run.

    The one with the vmlinuz comes first.
    """
    choose = functools.partial(_packages, source)

    def in_suite(suite: str) -> tuple[Deb, ...]:
        wanted = DebSet(suite, ARCHITECTURE, (), dependencies=False)
        return fetch_chosen(wanted, choose, downloads, progress)

    def in_pool(suite: str) -> tuple[Deb, ...]:
        first = functools.partial(_packages, source, parts=PARTS[:1])
        return with_parts_of_the_pool(suite, first, _other_parts, downloads, progress)

    def in_cache() -> tuple[Deb, ...]:
        debs = downloaded(choose, downloads)
        if source.is_series:
            progress.step(f"{source.name} is taken from the cache: {debs[0].version}")
        return debs

    places: list[tuple[str, Callable[[], tuple[Deb, ...]]]] = [
        (suite, functools.partial(in_suite, suite)) for suite in binary_suites()
    ]
    if not source.is_series and parse_release(source.version) >= FIRST_IN_PARTS:
        places += [
            (f"{suite} and the pool", functools.partial(in_pool, suite))
            for suite in binary_suites()
        ]
    # A point release does not change; of a series, a suite may have a newer one than the cache.
    places.insert(len(places) if source.is_series else 0, ("the cache", in_cache))
    debs = first_that_has(source.name, places, f"the suites are in {SOURCES}")
    order = choose(frozenset(deb.name for deb in debs))
    return tuple(sorted(debs, key=lambda deb: order.index(deb.name)))


def released_kernels(flavour: str, cache: Path, progress: Progress) -> tuple[str, ...]:
    """Return the versions ("6.16.12") of all kernels that Debian built and that may be had, sorted.

    They are those in the lists of the suites, and those in the cache. Whether the mirror still has
    all packages of one shows when it is fetched. A suite that does not answer is left out, and
    ``progress`` told.
    """
    downloads = cache / "downloads"
    names = {unquote(path.name).partition("_")[0] for path in downloads.glob("linux-*.deb")}
    for suite in binary_suites():
        try:
            names |= names_in(
                DebSet(suite, ARCHITECTURE, (), dependencies=False), downloads, progress
            )
        except (NotThereError, NetworkError, SetupError) as error:
            progress.step(f"{suite} is left out: {error.cause}")
    end = _FLAVOURS[flavour]
    pattern = re.compile(rf"linux-(?:image|binary)-(\d+\.\d+\.\d+)(?:\+deb\d+)?-{end}")
    versions = {match[1] for name in names if (match := pattern.fullmatch(name))}
    return tuple(sorted(versions, key=parse_point_release))


def _other_parts(binary: str) -> tuple[str, ...]:
    """Return the names of the packages that belong to linux-binary-…"""
    end = binary.removeprefix(f"linux-{PARTS[0]}-")
    return tuple(f"linux-{part}-{end}" for part in PARTS[1:])


def _packages(
    source: DebianKernel, known: frozenset[str], parts: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the names of the packages of ``source`` if all of them are ``known``, else none.

    Of a series (7.3) the newest release counts. A name has Debian's suffix: 7.3.4+deb13-arm64.
    ``parts`` are the kinds of packages that count, by default all that the kernel is in.
    """
    if not parts:
        parts = PARTS if parse_release(source.version) >= FIRST_IN_PARTS else ("image",)
    release = re.escape(source.version) + (r"\.(\d+)" if source.is_series else r"()")
    end = _FLAVOURS[source.flavour]
    pattern = re.compile(rf"linux-{parts[0]}-({release}(?:\+deb\d+)?)-{end}")
    found = [match for name in known if (match := pattern.fullmatch(name))]
    for match in sorted(found, key=lambda match: int(match[2] or 0), reverse=True):
        names = tuple(f"linux-{part}-{match[1]}-{end}" for part in parts)
        if known.issuperset(names):
            return names
    return ()
