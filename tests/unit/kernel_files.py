# SPDX-License-Identifier: MIT
"""Made-up kernels as packages and root file systems hold them, and the packages."""

from __future__ import annotations

import functools
import lzma
import subprocess
import tempfile
from pathlib import Path

from tests.unit.test_kernel_image import image

RELEASE = "6.18.15+deb13-arm64"
VERSION = "6.18.15-1~bpo13+1"
BANNER = f"Linux version {RELEASE} (a@b) (gcc) #1 SMP\n".encode()
IMAGE = image(config=None, banner=BANNER)
VMLINUX = b"\x7fELF" + BANNER
WITH_MODULES = "CONFIG_ARM64_MTE=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_EXT4_FS=y\nCONFIG_CRYPTO_CRC32C=m\n"
BUILT_IN = WITH_MODULES.replace("BLK=m", "BLK=y")
ARM = "aarch64-linux-gnu-gcc"


def module(directory: Path, name: str, depends: str = "", *, packed: bool = False) -> bytes:
    """Make a module whose .modinfo has what modpost writes there, and return its bytes."""
    path = directory / f"{name}.ko"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"depends={depends}"
    info = f'static const char a[] __attribute__((used, section(".modinfo"))) = "{text}";'
    data = _compiled(info)
    if packed:
        path.with_name(f"{name}.ko.xz").write_bytes(lzma.compress(data))
    else:
        path.write_bytes(data)
    return data


@functools.cache
def _compiled(source: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".o") as object_file:
        command = [ARM, "-c", "-x", "c", "-", "-o", object_file.name]
        subprocess.run(command, input=source.encode(), check=True)
        return Path(object_file.name).read_bytes()


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def boot_files(root: Path, release: str = RELEASE, config: str = WITH_MODULES) -> Path:
    """Write /boot as Debian has it up to 6.18, and return the path of the vmlinuz."""
    write(root / f"boot/config-{release}", config)
    data = IMAGE.replace(RELEASE.encode(), release.encode())
    return write(root / f"boot/vmlinuz-{release}", data)


def modules(root: Path, below: str = "lib/modules") -> bytes:
    """Write the modules of the kernel; return the bytes of virtio_blk."""
    kernel = root / below / RELEASE / "kernel"
    module(kernel / "fs", "ext4")
    return module(kernel / "drivers/block", "virtio_blk", packed=True)


def deb(
    directory: Path,
    root: Path,
    package: str,
    version: str = VERSION,
    architecture: str = "arm64",
) -> Path:
    """Pack what is below ``root`` as a .deb in ``directory``, named as Debian names it."""
    control = f"Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n"
    write(root / "DEBIAN/control", f"{control}Maintainer: x\nDescription: x\n")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{package}_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "-b", "-Znone", root, path], check=True, capture_output=True)
    return path
