# SPDX-License-Identifier: MIT
"""Machines as data, the QEMU that plays them, templates and clones."""
