# SPDX-License-Identifier: MIT
"""Debian 12's own QEMU 7.2, which the emulator check must refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.host.child import run
from harness.host.debian import DebSet, fetch, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.core.store import Store


def qemu_7_2(store: Store, downloads: Path, progress: Progress) -> Path:
    """Return a ``qemu-system-aarch64`` that runs Debian 12's own QEMU 7.2.

    Its C library and loader come with it, so that it runs on a host of another release too.
    Raises what fetch() and unpack() raise.
    """

    def make(directory: Path) -> None:
        progress.step("unpacking Debian 12's QEMU 7.2")
        native = run(["dpkg", "--print-architecture"]).output.strip()
        debs = fetch(DebSet("bookworm", native, ("qemu-system-arm",)), downloads, progress)
        unpack(debs, directory / "root")
        _write_wrapper(directory)

    return store.obtain("bookworm", make) / "qemu-system-aarch64"


def _write_wrapper(directory: Path) -> None:
    root = directory / "root"
    loaders = sorted(root.glob("lib*/ld-linux*.so.*"))
    if not loaders:
        raise ArtifactError(f"the packages in {root} have no dynamic loader", "mte-harness clean")
    libraries = [
        f"$root/{found.relative_to(root)}"
        for found in sorted({*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")})
    ]
    wrapper = directory / "qemu-system-aarch64"
    wrapper.write_text(
        "#!/bin/sh\n"
        'root=$(dirname "$(readlink -f "$0")")/root\n'
        f'exec "$root/{loaders[0].relative_to(root)}" --library-path "{":".join(libraries)}" '
        '"$root/usr/bin/qemu-system-aarch64" -L "$root/usr/share/qemu" "$@"\n'
    )
    wrapper.chmod(0o755)
