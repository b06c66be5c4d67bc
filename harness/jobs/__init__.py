# SPDX-License-Identifier: MIT
"""The commands of ``mte-harness``, and the work that they do.

A verdict on kernels:

* ``validate``: the command; ``run_suite``: guests prepared, then pytest in a child process;
* ``known_bad``: kernels that must fail the probes that their recipes name;
* ``guest_commands``: run, shell and tags, on one guest;
* ``tries_command``: which cases needed more than one guest;
* ``rate``: how often the suite is wrong about a healthy kernel; ``host_load``: what the host does
  beside it; ``rate_page``: what docs/figures.md says of it;
* ``by_hand``: the QEMU commands that --dry-run prints.

Nights:

* ``nightly``: the command; ``matrix``: what is to be run; ``night_suites``: the kinds of suites;
  ``night_run``: runs them, and goes on after an interruption; ``night_cluster``: on Slurm;
* ``history_commands``: history and compare.

Reported bugs:

* ``explore``: sequences that nobody wrote;
* ``reproduce``: how often a program shows a bug on a kernel; ``bisect``: with which change it came;
  ``report_options``: how the program is run; ``bug_commands``: the catalogue;
  ``bisect_proof``: searches whose right answer is known.

Many machines:

* ``shard_commands``: plan, bundle, shard and merge; ``slurm_command``: a plan on a cluster.

Host and checkout:

* ``host_commands``: doctor, build, clean; ``checkout_commands``: test, lock.

Measurements:

* ``bench``: the command; ``record_commands``: the command ``record``; ``figures``: docs/figures.md
  from the records.

A series of patches:

* ``series_commands``: tree, refresh, check; ``series_check``: each patch on its own;
* ``fix_commands``: cures of single bugs.

What all commands share:

* ``command_line``: the list of them;
* ``options``: arguments, options and progress; ``exit_status``: how each command ends;
  ``output_stream``: standard output that is closed, full or slow.
"""
