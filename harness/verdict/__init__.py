# SPDX-License-Identifier: MIT
"""From what was seen of a program and its guest to one result.

* ``evidence``: all that was seen; ``judge``: the verdict on it; ``result``: what judge() returns;
* ``splat`` (with ``patterns``): reports of the kernel on its console; ``decode``: their file and
  line; ``taint``: the kernel's taint bits; ``counters``: the leak check; ``grown``: what holds the
  memory that is missing;
* ``audit``: struct pages against tag storage, read from DRAM by ``vmcore`` and ``flag_bits``;
  ``audit_rules``: what must hold; ``finding``: what does not; ``auditable``: of which guests.
"""
