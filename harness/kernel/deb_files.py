# SPDX-License-Identifier: MIT
"""A kernel in .deb files on disk: which files belong together, and how they become a kernel.

Package names: scripts/package/mkdebian (``make bindeb-pkg``), and those of Debian and Ubuntu.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError, ImageError, UsageError
from harness.core.keys import file_digest, key_of
from harness.core.store import Store
from harness.host.debian import unpack
from harness.kernel.adopt import fingerprint, read_kernel
from harness.kernel.artifact import load_kernel
from harness.kernel.debug_symbols import with_symbols
from harness.kernel.initramfs import compile_init
from harness.kernel.installed import installed_images
from harness.kernel.modules import MODULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.adopt import ReadyKernel
    from harness.kernel.artifact import Kernel

ARCHITECTURE = "arm64"
_FILES = "linux-*.deb"
_MAGIC = b"!<arch>\n"  # ar(5), which deb(5) is
# linux-image-6.12.118+deb13-arm64: what it holds, and what the packages of one kernel share.
_NAME = re.compile(
    r"linux-(?P<kind>image(?:-unsigned)?|binary|modules(?:-extra)?|base)"
    r"-(?P<end>\d.*?)(?P<unsigned>-unsigned)?(?P<symbols>-dbg(?:sym)?)?"
)
_BOOTED = ("image", "image-unsigned", "binary")  # the kinds that hold a vmlinuz
_CURE = "give the package that holds vmlinuz: linux-image-…, or linux-binary-… since Debian's 7.0"


@dataclass(frozen=True)
class DebFile:
    """A .deb file, by its control file."""

    path: Path
    package: str
    version: str
    architecture: str

    @property
    def kind(self) -> str:
        """What it holds of a kernel: "image", "symbols", …; "" for no part of a kernel."""
        name = _NAME.fullmatch(self.package)
        if name is None or self.architecture != ARCHITECTURE:
            return ""
        return "symbols" if name["symbols"] else name["kind"]

    @property
    def kernel(self) -> tuple[str, str]:
        """What all packages of one kernel share: the end of their names, and their version."""
        name = _NAME.fullmatch(self.package)
        return (name["end"] if name else "", self.version)


@dataclass(frozen=True)
class DebKernel:
    """A kernel in .deb files: the first of ``packages`` is the one that was named or found.

    ``symbols`` is the kernel's -dbg package, if it is there.
    """

    packages: tuple[DebFile, ...]
    symbols: Path | None = None

    @property
    def path(self) -> Path:
        """The package that was named or found."""
        return self.packages[0].path

    def lacks(self, kind: str, what: str) -> ImageError:
        """Return the error for a missing package, which Debian calls linux-KIND-…"""
        main = self.packages[0]
        version = main.version.rpartition(":")[2]  # without the epoch
        name = f"linux-{kind}-{main.kernel[0]}_{version}_{ARCHITECTURE}.deb"
        return ImageError(
            f"{self.path} holds no {what}, and {name} is not beside it", "put that file there"
        )


def is_deb(path: Path) -> bool:
    """Return whether a file is a .deb, or is named like one."""
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_MAGIC))
    except OSError:
        head = b""
    return path.suffix == ".deb" or head == _MAGIC


def holds_debs(directory: Path) -> bool:
    """Return whether ``directory`` has packages of a kernel, by their files' names."""
    return any(directory.glob(_FILES))


def kernel_of(path: Path) -> DebKernel:
    """Return the kernel of the package ``path``, with what lies beside it. Raise ImageError."""
    main = read_control(path)
    if main.architecture not in (ARCHITECTURE, "all"):
        raise ImageError(f"{path} is a package for {main.architecture}, not {ARCHITECTURE}", _CURE)
    if main.kind not in _BOOTED:
        raise ImageError(f"{path} is {main.package}, which holds no kernel", _CURE)
    end, version = main.kernel
    near = [
        deb
        for file in sorted(path.parent.glob(_FILES))
        # The name says enough to leave files of other kernels unread.
        if end in file.name and file != path
        for deb in [read_control(file)]
        if deb.kernel == (end, version)
    ]
    return _assemble(main, near)


def kernel_in(directory: Path) -> DebKernel:
    """Return the one kernel whose packages are in ``directory``.

    Raise UsageError where there are several, ImageError for a package that cannot be read.
    """
    debs = [read_control(file) for file in sorted(directory.glob(_FILES))]
    mains: dict[tuple[str, str], DebFile] = {}
    for deb in sorted(debs, key=lambda deb: len(deb.package)):  # signed before -unsigned
        # Debian's 7.0 and later have an empty linux-image beside linux-binary.
        if deb.kind in _BOOTED and (deb.kind == "binary" or deb.kernel not in mains):
            mains[deb.kernel] = deb
    if not mains:
        raise UsageError(
            f"{directory} has no kernel for {ARCHITECTURE} among its {len(debs)} {_FILES}", _CURE
        )
    if len(mains) > 1:
        names = ", ".join(str(deb.path) for deb in mains.values())
        raise UsageError(f"{directory} has {len(mains)} kernels: {names}", "give one of these")
    (main,) = mains.values()
    return _assemble(main, [deb for deb in debs if deb.kernel == main.kernel and deb != main])


def _assemble(main: DebFile, near: Sequence[DebFile]) -> DebKernel:
    """Return the kernel of ``main`` and of what is ``near``: other packages of the same kernel.

    A second one with a vmlinuz (signed beside unsigned) is left out, unless it is linux-binary.
    """
    symbols = [deb.path for deb in near if deb.kind == "symbols"]
    parts = [deb for deb in near if deb.kind and deb.kind not in ("symbols", *_BOOTED)]
    parts += [deb for deb in near if deb.kind == "binary"]
    return DebKernel((main, *parts), symbols[0] if symbols else None)


def read_control(path: Path) -> DebFile:
    """Return what a .deb file says of itself. Raise ImageError."""
    form = "${Package}\n${Version}\n${Architecture}\n"
    done = subprocess.run(
        ["dpkg-deb", "--show", f"--showformat={form}", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    if done.returncode:
        raise ImageError(f"{path} is damaged, or no .deb: {_reason(done.stderr)}", "copy it again")
    package, version, architecture = done.stdout.splitlines()[:3]
    return DebFile(path, package, version, architecture)


def _reason(output: str) -> str:
    """Return the first error in the output of dpkg-deb."""
    lines = [line.partition("error: ")[2] for line in output.splitlines() if "error: " in line]
    return lines[0] if lines else "dpkg-deb cannot read it"


def obtain_debs(source: DebKernel, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel, unpacked into the cache. The key is that of the packages' content.

    Raise ImageError for a package that is damaged, or lacks what another one has.
    """
    init = compile_init(Store(cache, "programs", progress))
    parts = {
        "debs": sorted(file_digest(deb.path) for deb in source.packages),
        "init": file_digest(init),
        "modules": MODULES,
    }

    def make(into: Path) -> None:
        progress.step(f"unpacking {source.path.name}")
        tree = into / "tree"
        ready = _unpack(source, tree)
        ready.write(into, init if ready.modules else None)
        shutil.rmtree(tree)

    directory = Store(cache, "builds", progress).obtain(key_of(parts), make)
    names = ", ".join(f"{deb.package} {deb.version}" for deb in source.packages)
    package = source.packages[0].package
    kernel = load_kernel(directory, package, f"{source.path.parent}: {names}")
    symbols = source.symbols
    if symbols is None:
        return kernel
    there = contextlib.nullcontext(symbols)
    return with_symbols(kernel, fingerprint(symbols), lambda: there, cache, progress)


def _unpack(source: DebKernel, tree: Path) -> ReadyKernel:
    """Unpack the packages into ``tree``, and return the kernel in it. Raise ImageError."""
    try:
        unpack([deb.path for deb in source.packages], tree)
    except ArtifactError as error:
        raise ImageError(error.cause, "copy or build it again", error.details) from error
    images = list(installed_images(tree).values())
    if len(images) > 1:
        names = ", ".join(str(image.relative_to(tree)) for image in images)
        raise ImageError(f"{source.path} has more than one kernel: {names}", "give one of them")
    if not images:
        raise source.lacks("binary", "vmlinuz")
    ready = read_kernel(images[0])
    if ready.config is None:
        raise source.lacks("base" if source.packages[0].kind == "binary" else "modules", ".config")
    if ready.missing:
        raise source.lacks("modules", "modules")
    return ready
