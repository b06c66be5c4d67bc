# SPDX-License-Identifier: MIT
"""The host: what must be installed on it, how it gets there, what is missing."""
