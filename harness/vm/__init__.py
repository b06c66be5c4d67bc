# SPDX-License-Identifier: MIT
"""vm"""
