# SPDX-License-Identifier: MIT
"""Reported bugs: reproduce one, bisect it, and keep it in a catalogue.

* ``reproducer``: a program of a report, and how it is run; ``report_qemu``: the machine of a
  report's QEMU command line; ``signs``: how a failure looks, so that another one is not taken for
  it; ``tally``: the counts of runs on one kernel; ``reproduction``: some runs, told and kept;
* ``chance``: how many runs say how much; ``search``: the walk over a history; ``journal``: its
  file, with which it goes on; ``answer``: what is said at the end;
* ``points``: what a history is, and one that is a line; ``git_history``, ``series_history`` and
  ``release_history``: commits, patches, and kernels that Debian built;
* ``kernel_trial``: the runs on the kernel of a point;
* ``catalogue``: the bugs of guest/bugs.
"""
