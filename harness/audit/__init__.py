# SPDX-License-Identifier: MIT
"""The host's view of a guest's DRAM: its tags, its page frames, and whether they agree."""
