# SPDX-License-Identifier: MIT
"""mte-harness: validates arm64 memory tagging (MTE) in Linux kernels under QEMU."""
