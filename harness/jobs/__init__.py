# SPDX-License-Identifier: MIT
"""jobs"""
