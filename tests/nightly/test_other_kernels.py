# SPDX-License-Identifier: MIT
"""Where tag storage is not reused, and what is refused where it is.

``arm64.nomte``, a machine that describes none, the option off, a kernel that tags its own
memory; hibernation and KVM guests. And reuse on a kernel without NUMA, its tracepoints, kexec.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from harness.core.deadline import Deadline
from harness.core.paths import resources
from harness.suite.head_comment import discover
from harness.verdict.splat import find_splats
from harness.vm.spec import find_machine
from tests.support.held_pressure import hold_and_complain

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

STORAGE_KB = 32 * 1024
# What reading /proc/meminfo twice may differ by.
SLACK_KB = 1024
PROGRAMS = resources() / "tests" / "nightly" / "programs"
PROBES = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}
REUSE = sorted(probe.name for probe in PROBES.values() if probe.area == "reuse")
SMOKE = sorted(probe.name for probe in PROBES.values() if probe.smoke and probe.area != "reuse")
OTHER = "tag-storage-other"


def start(launch: Launcher, kernel: str, name: str, append: str = "", option: str = "") -> Guest:
    """Return a guest of ``kernel`` on machine ``name``; ``option`` extends QEMU's -machine."""
    spec = find_machine(name)
    if option:
        spec = dataclasses.replace(
            spec, name=f"{name} ({option})", qemu_machine=f"{spec.qemu_machine},{option}"
        )
    return launch(kernel, spec, append)


def meminfo(guest: Guest) -> dict[str, int]:
    """/proc/meminfo, in kB."""
    text = guest.exec("cat /proc/meminfo").stdout
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}


def said(guest: Guest) -> str:
    """Return the kernel's log lines about tag storage; fail for a splat or taint."""
    log = guest.exec("dmesg").stdout
    assert not find_splats(log)
    assert guest.exec("cat /proc/sys/kernel/tainted").stdout.split() == ["0"]
    return "\n".join(line for line in log.splitlines() if "mte: tag storage:" in line)


def run_python(guest: Guest, name: str) -> str:
    """Run a program of programs/ and return its output."""
    guest.push(PROGRAMS / name, name)
    done = guest.exec(f"python3 {name}")
    assert done.status == 0, done
    return done.stdout


@pytest.fixture
def carved_out(launch: Launcher) -> dict[str, int]:
    """Stock's memory, where tag storage is not its."""
    with start(launch, "stock-6.12", "dram/carveout") as guest:
        return meminfo(guest)


def test_without_mte_storage_is_memory(launch: Launcher, carved_out: dict[str, int]) -> None:
    """There is as much more of it as there is storage, and a program can fill it."""
    with start(launch, "tag-storage", "dram/tag-storage", "arm64.nomte") as guest:
        assert f"{STORAGE_KB}K used as ordinary memory" in said(guest)
        now = meminfo(guest)
        assert now["MetadataTotal"] == 0
        more = now["MemTotal"] - carved_out["MemTotal"]
        assert abs(more - STORAGE_KB) < SLACK_KB, (now, carved_out)
        assert run_python(guest, "fill.py").endswith(" 0 of them wrong\n")
        said(guest)


@pytest.mark.parametrize("name", ["emulator", "dram/carveout"])
def test_none_is_described(name: str, launch: Launcher) -> None:
    with start(launch, "tag-storage", name) as guest:
        assert "none is described" in said(guest)
        assert meminfo(guest)["MetadataTotal"] == 0


@pytest.mark.parametrize("probe", SMOKE)
def test_none_is_described_and_tags_work(probe: str, launch: Launcher) -> None:
    with start(launch, "tag-storage", "dram/carveout") as guest:
        launch.runner(guest)(PROBES[probe])


def test_option_off(launch: Launcher, carved_out: dict[str, int]) -> None:
    """Storage remains reserved, and nothing tells of reuse."""
    with start(launch, "tag-storage-off", "dram/tag-storage") as guest:
        now = meminfo(guest)
        assert not [name for name in now if name.startswith("Metadata")]
        assert abs(now["MemTotal"] - carved_out["MemTotal"]) < SLACK_KB, (now, carved_out)
        assert said(guest) == ""
        told = guest.exec("cat /proc/zoneinfo /proc/vmstat /proc/pagetypeinfo").stdout
        assert "protection:" in told
        assert "metadata" not in told.lower()


@pytest.mark.parametrize("probe", SMOKE)
def test_option_off_and_tags_work(probe: str, launch: Launcher) -> None:
    with start(launch, "tag-storage-off", "dram/tag-storage") as guest:
        launch.runner(guest)(PROBES[probe])


def test_a_kernel_that_tags_its_own_memory(launch: Launcher) -> None:
    """KASAN with hardware tags: the storage of all its memory is in use."""
    with start(launch, OTHER, "dram/tag-storage") as guest:
        assert "not reused: the kernel tags its own memory" in said(guest)
        assert meminfo(guest)["MetadataTotal"] == 0
        run_python(guest, "fill.py")
        said(guest)


@pytest.mark.parametrize("probe", [*SMOKE, *REUSE])
def test_reuse_without_numa(probe: str, launch: Launcher) -> None:
    with start(launch, OTHER, "dram/tag-storage", "kasan=off") as guest:
        assert meminfo(guest)["MetadataTotal"] == STORAGE_KB
        launch.runner(guest)(PROBES[probe])


def test_pressure_without_numa(launch: Launcher, harness_session: Session) -> None:
    with start(launch, OTHER, "dram/tag-storage", "kasan=off") as guest:
        assert hold_and_complain(guest, harness_session.programs, seed=1, seconds=10) == []


def sleeps_to_disk(guest: Guest) -> bool:
    """Whether the kernel offers hibernation (kernel/power/hibernate.c, disk_show())."""
    ways = guest.exec("cat /sys/power/disk").stdout.split()
    assert ways, "there is no /sys/power/disk: the kernel has no hibernation"
    states = guest.exec("cat /sys/power/state").stdout.split()
    assert ("disk" in states) == (ways != ["[disabled]"]), (states, ways)
    return "disk" in states


def test_no_hibernation_where_storage_is_reused(launch: Launcher) -> None:
    with start(launch, OTHER, "dram/carveout", "kasan=off") as guest:
        assert sleeps_to_disk(guest)
    with start(launch, OTHER, "dram/tag-storage", "kasan=off") as guest:
        assert not sleeps_to_disk(guest)
        done = guest.exec("echo disk > /sys/power/state")
        assert done.status != 0, done


def test_no_tags_for_kvm_guests_where_storage_is_reused(launch: Launcher) -> None:
    """KVM_CAP_ARM_MTE, asked of a host that boots at EL2."""
    for name, offered in (("dram/carveout", "1"), ("dram/tag-storage", "0")):
        with start(launch, OTHER, name, "kasan=off", "virtualization=on") as guest:
            assert run_python(guest, "kvm_mte.py").split() == [offered], name


def test_tracepoints_tell_of_each_block(launch: Launcher) -> None:
    """As many pages as the counters of /proc/vmstat say, reserved and given back."""
    with start(launch, OTHER, "dram/tag-storage", "kasan=off") as guest:
        words = dict(line.split(" ", 1) for line in run_python(guest, "trace.py").splitlines())
        assert int(words["reserved"]) > 0
        assert words["reserved"] == words["metadata_reserve_success"]
        assert words["freed"] == words["metadata_reserve_free"]


def test_kexec_into_the_same_kernel(launch: Launcher) -> None:
    """While memory is tagged; it comes up, finds the storage, and has nothing to complain of.

    Without an ITS: its tables outlive a kernel only where EFI says so
    (drivers/irqchip/irq-gic-v3-its.c, gic_reserve_range()), and the next one hangs.
    """
    with start(launch, OTHER, "dram/tag-storage", "kasan=off", "its=off") as guest:
        image = guest.template.kernel.image
        guest.push(image, "/root/Image", mode=0o644)
        run_python(guest, "kexec.py")
        guest.exec("frames samples > /dev/null 2>&1 &")  # has tagged pages, and stays
        guest.exec("(sleep 0.5; python3 kexec.py go) > /dev/null 2>&1 &")
        deadline = Deadline.after(60)
        for words in ("Starting new kernel", f"{STORAGE_KB}K in 1 regions used", "harness: init"):
            guest.console.expect_exact(words, timeout=deadline.left())
        assert not find_splats(guest.console.text())
