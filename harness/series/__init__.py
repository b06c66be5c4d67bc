# SPDX-License-Identifier: MIT
"""A series of patches, and the cures of single bugs.

* ``edit``: patches as git commits and back; ``prefix``: the kernels between two patches;
* ``style``: checkpatch.pl; ``binding``: dt_binding_check;
* ``cure_runs``: a cure's selftest without and with it; ``cure_mails``: a cure as mails.
"""
