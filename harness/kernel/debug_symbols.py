# SPDX-License-Identifier: MIT
"""The vmlinux of a -dbg package, which gives splats their file and line."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

from harness.core.errors import ImageError
from harness.core.keys import key_of
from harness.core.store import Store
from harness.kernel.adopt import is_vmlinux
from harness.kernel.artifact import VMLINUX
from harness.kernel.linux_image import inspect_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.artifact import Kernel

# Debian's packages, and those of scripts/package/builddeb; in the latter, boot/ has a symlink.
_MEMBER = re.compile(r"\./usr/lib/debug/(?:boot/vmlinux-[^/]+|(?:usr/)?lib/modules/[^/]+/vmlinux)")
_CHUNK = 1 << 20  # bytes


def with_symbols(
    kernel: Kernel,
    identity: str,
    package: Callable[[], AbstractContextManager[Path]],
    cache: Path,
    progress: Progress,
) -> Kernel:
    """Return ``kernel`` with the vmlinux of its -dbg package, which is read only once.

    ``identity`` tells the package from others; ``package`` is called if the cache lacks the
    vmlinux, and gives a context in which the package's file is there. Raise ImageError for a
    damaged package, or one of another build.
    """

    def make(into: Path) -> None:
        with package() as deb:
            size = deb.stat().st_size / 1e6
            progress.step(f"unpacking the vmlinux of {deb.name} ({size:.0f} MB)")
            _extract(deb, into / VMLINUX)
            banner = inspect_image(kernel.image.read_bytes(), kernel.image).banner
            if not is_vmlinux(into / VMLINUX, banner):
                raise ImageError(f"{deb} is of another build than {kernel.name}", "remove it")

    key = key_of({"package": identity, "kernel": kernel.key})
    directory = Store(cache, "symbols", progress).obtain(key, make)
    return dataclasses.replace(kernel, vmlinux=directory / VMLINUX)


def _extract(deb: Path, into: Path) -> None:
    """Write the vmlinux of a package to ``into``; what follows it in the package is not read."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        try:
            with tarfile.open(fileobj=child.stdout, mode="r|", bufsize=_CHUNK) as archive:
                for member in archive:
                    if member.isfile() and _MEMBER.fullmatch(member.name):
                        source = archive.extractfile(member)
                        assert source is not None
                        with into.open("wb") as target:
                            shutil.copyfileobj(source, target, _CHUNK)
                        return
        except tarfile.TarError as error:
            raise ImageError(f"{deb} is damaged: {error}", "copy it again, or remove it") from error
        finally:
            child.kill()  # it would unpack gigabytes of modules
    raise ImageError(f"{deb} holds no vmlinux", "remove it")
