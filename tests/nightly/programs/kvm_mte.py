# SPDX-License-Identifier: MIT
"""Prints what KVM answers to KVM_CHECK_EXTENSION, KVM_CAP_ARM_MTE (linux/kvm.h)."""

import fcntl
import os

KVM_CHECK_EXTENSION, KVM_CAP_ARM_MTE = 0xAE03, 205

print(fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), KVM_CHECK_EXTENSION, KVM_CAP_ARM_MTE))
