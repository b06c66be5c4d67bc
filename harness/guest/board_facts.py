# SPDX-License-Identifier: MIT
"""What a board is: CPU, hwcaps, page size, kernel and .config, and what it lacks of a guest."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import PAGE_SIZES
from harness.core.errors import BoardLoginError, BoardUnfitError
from harness.kernel.releases import parse_release

if TYPE_CHECKING:
    from harness.kernel import BoardKernel

_FILES = (
    "/proc/sys/kernel/osrelease", "/proc/sys/kernel/version", "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/tainted", "/proc/cpuinfo", "/proc/meminfo",
)  # fmt: skip
# What a kernel shows of a feature, by the symbol; where it is not there, neither is the feature,
# whatever the .config says: a module may not be loaded.
_SHOWN = {
    "CONFIG_PROC_PAGE_MONITOR": "/proc/kpageflags",
    "CONFIG_ZRAM": "/sys/class/zram-control/hot_add",
    "CONFIG_KSM": "/sys/kernel/mm/ksm/run",
    "CONFIG_TRANSPARENT_HUGEPAGE": "/sys/kernel/mm/transparent_hugepage/enabled",
    "CONFIG_SWAP": "/proc/swaps",
    "CONFIG_FUSE_FS": "/dev/fuse",
}
_MODEL = "/proc/device-tree/model"
_CONFIG = "/proc/config.gz /boot/config-$(uname -r) /lib/modules/$(uname -r)/config"
# Each fact is a line NAME:VALUE; busybox and dash know all that is used here. The pages of the
# first mapping of a process have the kernel's size.
READ = (
    f"tail -n +1 {' '.join(_FILES)}; echo '==> facts <=='; "
    f'echo "uid:$(id -u)"; echo "model:$(tr -d "\\000" < {_MODEL} 2>/dev/null)"; '
    'echo "page:$(grep -m 1 "^KernelPageSize:" /proc/self/smaps)"; '
    f"for f in {' '.join(_SHOWN.values())}; do [ -e $f ] && echo shown:$f; done; "
    'grep -q "\\bmemory\\b" /sys/fs/cgroup/cgroup.controllers 2>/dev/null && echo shown:memcg; '
    'grep -q "debugfs$" /proc/filesystems && echo shown:debugfs; '
    'grep -q " /dev/shm tmpfs " /proc/mounts && echo shown:shm; true'
)
READ_CONFIG = (
    f"for f in {_CONFIG}; do [ -r $f ] && {{ case $f in *.gz) cat $f;; *) gzip -c $f;; esac "
    "| base64; exit; }; done; true"
)
_HEAD = re.compile(r"^==> (\S+) <==\n", re.MULTILINE)
_FEATURES = re.compile(r"^Features\s*:(.*)$", re.MULTILINE)
_PART = re.compile(r"^CPU (implementer|part)\s*:\s*(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself; ``page_size`` in bytes, ``memory_mib`` what its kernel has.

    ``cpus`` are implementer and part of each CPU; ``hwcaps`` are those of every CPU, ``lacking``
    the config symbols that it shows not to have.
    """

    release: str
    version: str
    boot_id: str
    taint: int
    model: str
    cpus: tuple[str, ...]
    hwcaps: frozenset[str]
    page_size: int
    memory_mib: int
    lacking: frozenset[str]

    def table(self) -> dict[str, str]:
        """Return the facts as the report shows them, label to text."""
        kinds = {cpu: self.cpus.count(cpu) for cpu in self.cpus}
        mte = sorted(word for word in self.hwcaps if word.startswith("mte"))
        return {
            "board": self.model or "it does not say what it is",
            "CPUs of the board": ", ".join(f"{count} of {cpu}" for cpu, count in kinds.items()),
            "MTE of the board": " ".join(mte),
            "hwcaps of the board": " ".join(sorted(self.hwcaps)),
            "pages of the board": f"{self.page_size >> 10} KiB",
            "memory of the board": f"{self.memory_mib} MiB",
            "the board lacks": ", ".join(sorted(self.lacking)) or "nothing that is asked for",
            "on the board, unlike QEMU": (
                "caches and weakly ordered memory are real; IRG may be random; ESR_ELx and async "
                "faults are the CPU's; no emulator check, no audit, no clones"
            ),
        }


def parse_facts(text: str, board: BoardKernel) -> BoardFacts:
    """Return the facts of the output of READ.

    Raise BoardLoginError unless the user is root, BoardUnfitError where MTE, the page size or a
    tmpfs for the programs is not there.
    """
    _, *pieces = _HEAD.split(text)
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    try:
        release, version, boot_id, taint, cpuinfo, meminfo = (parts[name] for name in _FILES)
        said = [line.partition(":")[::2] for line in parts["facts"].splitlines()]
        known = dict(said)
        memory = int(re.findall(r"^MemTotal:\s+(\d+)", meminfo, re.MULTILINE)[0]) >> 10
        if known["uid"] != "0":
            raise BoardLoginError(
                f"on {board} this user is not root, but {known['uid']}", "name root: ssh://root@…"
            )
        pages = int((re.findall(r"\d+", known["page"]) or ["0"])[0]) << 10
    except (KeyError, IndexError, ValueError) as error:
        raise BoardUnfitError(
            f"{board} does not say what it is: {text[-200:]!r}",
            "it must run Linux, with /proc mounted and a shell for root",
        ) from error
    shown = {value for name, value in said if name == "shown"}
    features = [frozenset(line.split()) for line in _FEATURES.findall(cpuinfo)]
    facts = BoardFacts(
        release=release.strip(),
        version=version.strip(),
        boot_id=boot_id.strip(),
        taint=int(taint),
        model=known["model"],
        cpus=_cpus(cpuinfo),
        hwcaps=frozenset.intersection(*features) if features else frozenset(),
        page_size=pages,
        memory_mib=memory,
        lacking=_lacking(shown),
    )
    _require_fit(facts, board, shm="shm" in shown)
    return facts


def _lacking(shown: set[str]) -> frozenset[str]:
    lacking = {symbol for symbol, path in _SHOWN.items() if path not in shown}
    if "memcg" not in shown:
        lacking.add("CONFIG_MEMCG")
    if "debugfs" not in shown:
        lacking.add("CONFIG_DEBUG_FS")
    return frozenset(lacking)


def _cpus(cpuinfo: str) -> tuple[str, ...]:
    found = _PART.findall(cpuinfo)
    pairs = zip(found[::2], found[1::2], strict=False)
    return tuple(f"implementer {one[1]} part {two[1]}" for one, two in pairs)


def _require_fit(facts: BoardFacts, board: BoardKernel, *, shm: bool) -> None:
    if "mte" not in facts.hwcaps:
        raise BoardUnfitError(
            f"{board} has no MTE: hwcap mte is missing on a CPU of its kernel {facts.release}",
            "its CPU, its firmware (which must set up tag memory), CONFIG_ARM64_MTE, or "
            "arm64.nomte on the kernel's command line",
        )
    if facts.page_size not in PAGE_SIZES:
        raise BoardUnfitError(f"{board} has pages of {facts.page_size} bytes", "4, 16 or 64 KiB")
    if not shm:
        raise BoardUnfitError(
            f"{board} has no tmpfs at /dev/shm, where the programs would go",
            "mount -t tmpfs shm /dev/shm",
        )
    try:
        parse_release(facts.release)
    except ValueError as error:
        raise BoardUnfitError(
            f"{board}: {facts.release!r} is no release of Linux", "such as 7.3.4"
        ) from error


def parse_config(text: str, facts: BoardFacts, board: BoardKernel) -> str:
    """Return the .config of the output of READ_CONFIG, with what the board lacks as unset.

    Raise BoardUnfitError if it shows none, and the user gives none.
    """
    if board.config is not None:
        found = board.config.read_text(encoding="utf-8", errors="replace")
    else:
        try:
            found = gzip.decompress(base64.b64decode(text)).decode("utf-8", "replace")
        except (binascii.Error, EOFError, OSError):
            found = ""
    places = _CONFIG.replace("$(uname -r)", facts.release).replace(" ", ", ")
    if "CONFIG_ARM64=y" not in found:
        raise BoardUnfitError(
            f"{board} does not show its kernel's .config at {places}",
            "without it no probe can be skipped that the kernel is not built for: --config FILE",
        )
    lines = [line for line in found.splitlines() if line.partition("=")[0] not in facts.lacking]
    # A module that is there serves as well as what is built in.
    loaded = {f"{symbol}=m" for symbol in _SHOWN if symbol not in facts.lacking}
    lines = [f"{line[:-1]}y" if line in loaded else line for line in lines]
    return "\n".join(lines) + "\n"
