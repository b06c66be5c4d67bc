# SPDX-License-Identifier: MIT
"""A kernel that Debian built: fetched as packages, and booted with an initramfs of its modules."""

from __future__ import annotations

import functools
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import AGENT_FLAGS, compile_program
from harness.core.errors import ArtifactError, UsageError
from harness.core.keys import file_digest, key_of
from harness.core.paths import resources
from harness.core.store import Store
from harness.host.debian import Deb, DebSet, fetch_chosen, unpack
from harness.host.debian_source import ARCHITECTURE
from harness.host.downloaded import downloaded
from harness.host.places import first_that_has
from harness.kernel.artifact import CONFIG, IMAGE, INITRAMFS, load_kernel, write_meta
from harness.kernel.initramfs import build_initramfs, find_modules, load_order
from harness.kernel.linux_image import inspect_image
from harness.kernel.packed_image import unpack_image
from harness.kernel.releases import parse_release
from harness.kernel.sources import SOURCES, binary_suites

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.artifact import Kernel

PREFIX = "debian:"
_ARGUMENT = re.compile(r"debian:(?P<version>\d+\.\d+(?:\.\d+)?)(?:-(?P<flavour>rt|cloud|16k))?")
# Image, modules and .config are three packages since this release, in which linux-image is empty.
# Before, all are in linux-image.
FIRST_IN_PARTS = (6, 19)
PARTS = ("binary", "modules", "base")
_FLAVOURS = {"": "arm64", "rt": "rt-arm64", "cloud": "cloud-arm64", "16k": "arm64-16k"}
# What the guest needs before it has a root file system, and what probes need (CONFIG_ZRAM). ext4
# asks for a crypto algorithm by its name, which no `depends` says (MODULE_SOFTDEP, 6.12).
MODULES = (
    "virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "ext4",
    "zram",
)  # fmt: skip
INIT = resources() / "guest" / "initramfs.c"


@dataclass(frozen=True)
class DebianKernel:
    """A release as ``debian:7.3.4`` names it; ``flavour`` is "", "rt", "cloud" or "16k"."""

    version: str
    flavour: str

    @property
    def name(self) -> str:
        """Return the argument that names it."""
        return f"{PREFIX}{self.version}{f'-{self.flavour}' if self.flavour else ''}"

    @property
    def is_series(self) -> bool:
        """Return whether it names the newest release of a series: 7.3."""
        return self.version.count(".") == 1


def parse_debian(argument: str) -> DebianKernel:
    """Return the kernel that ``debian:VERSION[-FLAVOUR]`` names. Raise UsageError."""
    found = _ARGUMENT.fullmatch(argument)
    if not found:
        raise UsageError(
            f"{argument!r} names no kernel of Debian", "debian:7.3.4, or with -rt, -cloud, -16k"
        )
    return DebianKernel(found["version"], found["flavour"] or "")


def obtain_debian(source: DebianKernel, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel, from the packages of a suite that has it.

    Raise BaseGoneError if every suite answers that it is gone, NetworkError if that cannot be told,
    DiskFullError, ArtifactError or ImageError.
    """
    debs = _fetch(source, cache / "downloads", progress)
    init = compile_program(Store(cache, "programs", progress), [INIT], AGENT_FLAGS)
    key = key_of(
        {
            "packages": sorted(deb.sha256 for deb in debs),
            "init": file_digest(init),
            "modules": MODULES,
        }
    )

    def make(into: Path) -> None:
        progress.step(f"unpacking {source.name}")
        tree = into / "tree"
        unpack(debs, tree)
        image, config = _file(tree, "vmlinuz"), _file(tree, "config")
        data = unpack_image(image)
        facts = inspect_image(data, image)
        (into / IMAGE).write_bytes(data)
        shutil.copyfile(config, into / CONFIG)
        modules = load_order(MODULES, find_modules(tree))
        (into / INITRAMFS).write_bytes(build_initramfs(init.read_bytes(), modules))
        shutil.rmtree(tree)
        write_meta(into, {"release": facts.release, "lacking": []})

    directory = Store(cache, "builds", progress).obtain(key, make)
    packages = ", ".join(f"{deb.name} {deb.version}" for deb in debs)
    about = f"Debian's own build: {packages}"
    return load_kernel(directory, source.name, about, unmodified=True)


def _fetch(source: DebianKernel, downloads: Path, progress: Progress) -> tuple[Deb, ...]:
    """Return the packages of the first suite that has the kernel, or those of an earlier run."""
    choose = functools.partial(_packages, source)

    def in_suite(suite: str) -> tuple[Deb, ...]:
        wanted = DebSet(suite, ARCHITECTURE, (), dependencies=False)
        return fetch_chosen(wanted, choose, downloads, progress)

    def in_cache() -> tuple[Deb, ...]:
        debs = downloaded(choose, downloads)
        if source.is_series:
            progress.step(f"{source.name} is taken from the cache: {debs[0].version}")
        return debs

    places: list[tuple[str, Callable[[], tuple[Deb, ...]]]] = [
        (suite, functools.partial(in_suite, suite)) for suite in binary_suites()
    ]
    # A point release does not change; of a series, a suite may have a newer one than the cache.
    places.insert(len(places) if source.is_series else 0, ("the cache", in_cache))
    return first_that_has(source.name, places, f"the suites are in {SOURCES}")


def _packages(source: DebianKernel, known: frozenset[str]) -> tuple[str, ...]:
    """Return the names of the packages of ``source`` if all of them are ``known``, else none.

    Of a series (7.3) the newest release counts. A name has Debian's suffix: 7.3.4+deb13-arm64.
    """
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


def _file(tree: Path, name: str) -> Path:
    """Return /boot/NAME-VERSION or, since 7.0, /usr/lib/modules/VERSION/NAME."""
    found = [*tree.glob(f"boot/{name}-*"), *tree.glob(f"usr/lib/modules/*/{name}")]
    if len(found) != 1:
        raise ArtifactError(f"the packages have {len(found)} files {name}", "report this")
    return found[0]
