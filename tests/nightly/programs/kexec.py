# SPDX-License-Identifier: MIT
"""Loads /root/Image as the next kernel, or (`kexec.py go`) starts it: kexec_file_load(2)."""

import ctypes
import os
import sys
from pathlib import Path

SYS_REBOOT, SYS_KEXEC_FILE_LOAD = 142, 294  # include/uapi/asm-generic/unistd.h
KEXEC_FILE_NO_INITRAMFS = 4
MAGIC, MAGIC2, REBOOT_CMD_KEXEC = 0xFEE1DEAD, 672274793, 0x45584543  # linux/reboot.h

libc = ctypes.CDLL(None, use_errno=True)
if sys.argv[1:] == ["go"]:
    libc.syscall(
        ctypes.c_long(SYS_REBOOT), ctypes.c_uint(MAGIC), ctypes.c_uint(MAGIC2),
        ctypes.c_uint(REBOOT_CMD_KEXEC), None,
    )  # fmt: skip
    sys.exit(f"reboot: {os.strerror(ctypes.get_errno())}")
line = Path("/proc/cmdline").read_bytes().strip() + b"\0"
image = os.open("/root/Image", os.O_RDONLY)
status = libc.syscall(
    ctypes.c_long(SYS_KEXEC_FILE_LOAD), image, -1, ctypes.c_ulong(len(line)), line,
    ctypes.c_ulong(KEXEC_FILE_NO_INITRAMFS),
)  # fmt: skip
if status:
    sys.exit(f"kexec_file_load: {os.strerror(ctypes.get_errno())}")
