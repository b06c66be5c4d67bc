# SPDX-License-Identifier: MIT
"""What a series of kernel patches must pass before it is posted: scripts/check-series."""
