# SPDX-License-Identifier: MIT
"""suite"""
