# SPDX-License-Identifier: MIT
#
# probe: proc_hwcaps
# needs: CONFIG_ARM64_MTE
# timeout: 30
#
# The kernel reports MTE to programs in agreeing ways: the auxiliary vector,
# /proc/cpuinfo of each CPU, the ID register that user space may read, and one
# mte_tcf_preferred file for each CPU, with the documented default.
# arch/arm64/kernel/cpufeature.c arm64_elf_hwcaps[], ftr_id_aa64pfr1[],
# cpu_enable_mte(); cpuinfo.c hwcap_str[]; mte.c register_mte_tcf_preferred_sysctl().

# ruff: noqa: ERA001 - the keys above look like code

import ctypes
import mmap
import os
import struct

from probe import case, check, check_eq, main, must

AT_HWCAP, AT_HWCAP2 = 16, 26
HWCAP_CPUID = 1 << 11  # arch/arm64/include/uapi/asm/hwcap.h
HWCAP2_MTE, HWCAP2_MTE3 = 1 << 18, 1 << 22
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def auxv() -> dict[int, int]:
    words = struct.iter_unpack("QQ", read("/proc/self/auxv"))
    return dict(words)


def cpu_features() -> list[list[str]]:
    """Return the words of the "Features" line of each CPU."""
    lines = read("/proc/cpuinfo").decode().splitlines()
    return [line.split(":")[1].split() for line in lines if line.startswith("Features")]


def read_id_aa64pfr1() -> int:
    """Run MRS x0, ID_AA64PFR1_EL1, which the kernel emulates (HWCAP_CPUID)."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(struct.pack("<II", 0xD5380420, 0xD65F03C0))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_uint64)(address)()


@case()
def auxiliary_vector() -> None:
    hwcap2 = auxv()[AT_HWCAP2]
    check(hwcap2 & HWCAP2_MTE, f"HWCAP2_MTE in AT_HWCAP2 {hwcap2:#x}")
    # QEMU's -cpu max has FEAT_MTE3; a machine without it has neither of the two.
    check_eq(
        bool(hwcap2 & HWCAP2_MTE3),
        (read_id_aa64pfr1() >> 8 & 15) >= 3,
        "HWCAP2_MTE3 by ID_AA64PFR1_EL1",
    )


@case()
def cpuinfo_of_every_cpu() -> None:
    features = cpu_features()
    hwcap2 = auxv()[AT_HWCAP2]
    check_eq(len(features), CPUS, "Features lines in /proc/cpuinfo")
    for cpu, words in enumerate(features):
        check_eq(words.count("mte"), 1, f"mte in the features of CPU {cpu}")
        check_eq(
            words.count("mte3"),
            int(bool(hwcap2 & HWCAP2_MTE3)),
            f"mte3 in the features of CPU {cpu}",
        )


@case()
def id_register_of_every_cpu() -> None:
    must(auxv()[AT_HWCAP] & HWCAP_CPUID, "HWCAP_CPUID: ID registers can be read")
    expected = 3 if auxv()[AT_HWCAP2] & HWCAP2_MTE3 else 2
    for cpu in range(CPUS):
        os.sched_setaffinity(0, {cpu})
        register = read_id_aa64pfr1()
        check_eq(register >> 8 & 15, expected, f"ID_AA64PFR1_EL1.MTE {register:#x} on CPU {cpu}")


@case()
def tcf_preferred_files() -> None:
    for cpu in range(CPUS):
        path = f"/sys/devices/system/cpu/cpu{cpu}/mte_tcf_preferred"
        check_eq(read(path), b"async\n", path)
        check_eq(os.stat(path).st_mode & 0o777, 0o644, f"mode of {path}")


main()
