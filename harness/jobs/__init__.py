# SPDX-License-Identifier: MIT
"""What the commands do.

``records`` defines the JSON file that a measurement leaves in ``docs/records/`` and adds such
files up; ``figures`` makes ``docs/figures.md`` from them and measures the source code itself.
"""
