# SPDX-License-Identifier: MIT
"""A release of QEMU that Debian packaged, run from the cache with its own libraries and loader.

It is not installed, and wants no other C library of the host than its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.core.keys import key_of
from harness.core.store import Store
from harness.host.child import run
from harness.host.debian import DebSet, fetch, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress

# Release -> the suite that has it. 7.2 is what the emulator check must refuse.
RELEASES = {"7.2": "bookworm", "10.0": "bookworm-backports", "11.1": "trixie-backports"}
PROGRAM = "qemu-system-aarch64"
# The file itself, beside its C library, which works with no other loader: bookworm's
# lib64/ld-linux-x86-64.so.2 is a link to /lib, and so leads to the host's.
WRAPPER = 2  # the form of what _write_wrapper() writes
LOADERS = ("lib/*-linux-gnu/ld-linux*.so.*", "usr/lib/*-linux-gnu/ld-linux*.so.*")


def obtain_qemu(release: str, cache: Path, progress: Progress) -> Path:
    """Return a ``qemu-system-aarch64`` of ``release``, one of RELEASES.

    Raise NetworkError, DiskFullError, ArtifactError or NotThereError.
    """
    native = run(["dpkg", "--print-architecture"]).output.strip()
    wanted = DebSet(RELEASES[release], native, ("qemu-system-arm",))
    debs = fetch(wanted, cache / "downloads", progress)

    def make(directory: Path) -> None:
        progress.step(f"unpacking QEMU {release}")
        unpack([deb.path for deb in debs], directory / "root")
        _write_wrapper(directory)

    key = key_of(
        {"packages": sorted(deb.sha256 for deb in debs), "loaders": LOADERS, "wrapper": WRAPPER}
    )
    return Store(cache, "qemu", progress).obtain(key, make) / PROGRAM


def _write_wrapper(directory: Path) -> None:
    root = directory / "root"
    loaders = sorted(found for pattern in LOADERS for found in root.glob(pattern))
    if not loaders:
        raise ArtifactError(f"the packages in {root} have no dynamic loader", "mte-harness clean")
    libraries = [
        f"$root/{found.relative_to(root)}"
        for found in sorted({*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")})
    ]
    wrapper = directory / PROGRAM
    wrapper.write_text(
        "#!/bin/sh\n"
        # The path that it was called by: another may lead through directories that are closed to
        # the user that QEMU runs as (confined.py).
        "program=$0\n"
        '[ ! -L "$0" ] || program=$(readlink -f "$0")\n'
        "root=${program%/*}/root\n"
        f'exec "$root/{loaders[0].relative_to(root)}" --library-path "{":".join(libraries)}" '
        f'"$root/usr/bin/{PROGRAM}" -L "$root/usr/share/qemu" "$@"\n'
    )
    wrapper.chmod(0o755)
