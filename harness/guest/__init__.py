# SPDX-License-Identifier: MIT
"""What runs inside the emulated machine, and the channels to it."""
