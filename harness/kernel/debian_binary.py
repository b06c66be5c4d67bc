# SPDX-License-Identifier: MIT
"""A kernel that Debian built: fetched as packages, and booted with an initramfs of its modules."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import AGENT_FLAGS, compile_program
from harness.core.errors import ArtifactError, SourceError, UsageError
from harness.core.keys import file_digest, key_of
from harness.core.paths import resources
from harness.core.store import Store
from harness.host.debian import Deb, DebSet, fetch, names_in, unpack
from harness.kernel.artifact import CONFIG, IMAGE, INITRAMFS, load_kernel, write_meta
from harness.kernel.debian_source import ARCHITECTURE, SOURCES
from harness.kernel.initramfs import build_initramfs, find_modules, load_order
from harness.kernel.linux_image import inspect_image
from harness.kernel.packed_image import unpack_image

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.artifact import Kernel

PREFIX = "debian:"
_ARGUMENT = re.compile(r"debian:(?P<version>\d+\.\d+(?:\.\d+)?)(?:-(?P<flavour>rt|cloud|16k))?")
# Image, modules and .config are three packages, or (before 6.19) all in linux-image, which is
# empty where there are three.
_PARTS = (("binary", "modules", "base"), ("image",))
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

    Raise SourceError if no suite has it, NetworkError, DiskFullError, ArtifactError or ImageError.
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
    """Return the packages of the first suite that has the kernel."""
    table = tomllib.loads((resources() / SOURCES).read_text(encoding="utf-8"))
    for suite in table["binaries"]:
        wanted = DebSet(suite, ARCHITECTURE, (), dependencies=False)
        names = _packages(source, names_in(wanted, downloads, progress))
        if names:
            return fetch(DebSet(suite, ARCHITECTURE, names, False), downloads, progress)
    raise SourceError(
        f"no suite of Debian has {source.name}",
        f"suites are in {SOURCES}: {', '.join(table['binaries'])}",
    )


def _packages(source: DebianKernel, known: frozenset[str]) -> tuple[str, ...]:
    """Return the names of the packages of ``source`` among those that are ``known``.

    Of a series (7.3) the newest release counts. A name has Debian's suffix: 7.3.4+deb13-arm64.
    """
    series = source.version.count(".") == 1
    release = re.escape(source.version) + (r"\.(\d+)" if series else r"()")
    for parts in _PARTS:
        pattern = re.compile(rf"linux-{parts[0]}-({release}\S*?)-{_FLAVOURS[source.flavour]}")
        found = [match for name in known if (match := pattern.fullmatch(name))]
        found = [match for match in found if re.fullmatch(r"[\d.]+(\+deb\d+)?", match[1])]
        if found:
            newest = max(found, key=lambda match: int(match[2] or 0))
            end = f"{newest[1]}-{_FLAVOURS[source.flavour]}"
            return tuple(f"linux-{part}-{end}" for part in parts)
    return ()


def _file(tree: Path, name: str) -> Path:
    """Return /boot/NAME-VERSION or, since 7.0, /usr/lib/modules/VERSION/NAME."""
    found = [*tree.glob(f"boot/{name}-*"), *tree.glob(f"usr/lib/modules/*/{name}")]
    if len(found) != 1:
        raise ArtifactError(f"the packages have {len(found)} files {name}", "report this")
    return found[0]
