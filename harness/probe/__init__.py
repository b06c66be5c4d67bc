# SPDX-License-Identifier: MIT
"""Probes: the programs that run in the guest, and the KTAP they speak."""
