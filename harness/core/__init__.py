# SPDX-License-Identifier: MIT
"""core"""
