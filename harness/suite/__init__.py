# SPDX-License-Identifier: MIT
"""From a probe's file to its result on pytest's report.

* ``session``: the steps from a kernel to a clone, on one cache; ``target``: KERNEL[@MACHINE];
* ``head_comment``: what a probe's head comment says; ``program``: what is run in a guest,
  ``program_kind``: and what a user's file is; ``board_probes``: which cases a board cannot have;
* ``gather``: the one way in which a program is run and its evidence gathered; ``tries``: in
  another guest for cases that chance did not give what they need, and ``precondition_record``:
  how often that was;
* ``plugin``: pytest's hooks; ``fixtures``: what tests use; ``collect``: from a test to the entry
  that travels on pytest's report; ``report_files``: the report's directory; ``listing``: which
  tests would run.
"""
