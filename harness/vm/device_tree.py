# SPDX-License-Identifier: MIT
"""The device tree of a machine whose tags lie in DRAM: QEMU's own, with overlays applied.

The overlays, ``*.dtso`` in this directory, describe tag storage, each in one binding;
``Description`` has their names.
"""

from __future__ import annotations

import shlex
import string
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import MachineError
from harness.core.keys import content_key, key_of
from harness.vm.qemu_args import dump_command
from harness.vm.spec import Description

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.limits import Limits
    from harness.core.store import Store
    from harness.vm.geometry import TagRegion
    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec

BLOB = "machine.dtb"
CURE = "run scripts/validate, which installs device-tree-compiler"


def obtain_device_tree(store: Store, qemu: Qemu, spec: MachineSpec, limits: Limits) -> Path | None:
    """Return the device tree blob of this machine; None where QEMU's own serves.

    Raise MachineError if QEMU, dtc or fdtoverlay fail.
    """
    if not spec.tags or spec.describe is Description.UNAWARE:
        return None
    seconds = limits.host_tool
    # Kept, because QEMU puts new random seeds into each dump, and a template's clones have
    # to see the tree with which it was booted.
    dump = store.obtain(
        key_of({"qemu": qemu.identity, "machine": spec.key()}),
        lambda directory: _dump(qemu, spec, directory / BLOB, seconds),
    )
    base = (dump / BLOB).read_bytes()
    overlays = [overlay(spec.describe, region) for region in spec.tags]

    def make(directory: Path) -> None:
        (directory / BLOB).write_bytes(apply_overlays(base, overlays, seconds))

    key = key_of({"base": content_key(base), "overlays": overlays})
    return store.obtain(key, make) / BLOB


def _dump(qemu: Qemu, spec: MachineSpec, blob: Path, seconds: float) -> None:
    _run(dump_command(qemu, spec, blob), seconds)
    if not blob.exists():
        raise MachineError(f"{qemu.path} wrote no device tree")


def overlay(describe: Description, region: TagRegion) -> str:
    """Return the source of the overlay that describes one region."""
    source = Path(__file__).with_name(f"{describe}.dtso").read_text(encoding="utf-8")
    numbers = ("base", "size", "storage", "storage_size", "block_size")
    return string.Template(source).substitute(
        {name: f"{getattr(region, name):x}" for name in numbers}
    )


def apply_overlays(base: bytes, overlays: Sequence[str], seconds: float) -> bytes:
    """Return the blob ``base`` with the overlays applied, given as source.

    fdtoverlay gives the labels of an overlay phandles that ``base`` does not use.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "base.dtb").write_bytes(base)
        compiled = []
        for number, source in enumerate(overlays):
            compiled.append(directory / f"{number}.dtbo")
            compiled[-1].write_bytes(compile_source(source, seconds))
        result = directory / BLOB
        command = ["fdtoverlay", "-i", str(directory / "base.dtb"), "-o", str(result)]
        _run([*command, *map(str, compiled)], seconds)
        return result.read_bytes()


def compile_source(source: str, seconds: float) -> bytes:
    """Return the blob of a device tree or overlay, compiled by dtc without its warnings."""
    return _run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-"], seconds, source.encode())


def decompile(blob: bytes, seconds: float) -> str:
    """Return the source of a blob."""
    return _run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-"], seconds, blob).decode()


def _run(command: list[str], seconds: float, stdin: bytes = b"") -> bytes:
    line = shlex.join(command)
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=seconds, check=False
        )
    except FileNotFoundError:
        raise MachineError(f"there is no {command[0]} on this host", CURE, line) from None
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"{command[0]} did not end within {seconds:.0f} s", details=line
        ) from None
    if done.returncode != 0:
        errors = done.stderr.decode("utf-8", "replace").strip()
        raise MachineError(f"{command[0]} failed: {errors}", details=line)
    return done.stdout
