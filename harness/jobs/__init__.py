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
  ``night_run``: runs them, and goes on after an interruption;
* ``history_commands``: history and compare.

Reported bugs:

* ``reproduce``: how often a program shows a bug on a kernel; ``bisect``: with which change it came;
  ``report_options``: how the program is run; ``bug_commands``: the catalogue;
  ``bisect_proof``: searches whose right answer is known.

Many machines:

* ``shard_commands``: plan, bundle, shard and merge; ``slurm_command``: a plan on a cluster.

Host and checkout:

* ``host_commands``: doctor, build, clean; ``checkout_commands``: test, lock.

Measurements:

* ``bench``: the command; ``speeds``: of the harness itself; ``costs``: of reusing tag storage;
* ``records``: the file of one measurement in ``docs/records/``; ``measuring``: makes one;
  ``record_sums``: adds them up; ``record_commands``: the command ``record``;
* ``figures``: docs/figures.md from the records; ``code_figures``: measures the source code itself;
  ``fresh``: a command of the README on a fresh Debian; ``cluster_figures``: the suite on Slurm's
  nodes; ``scale_figures``: plan and merge of very many shards; ``site_speed``: a year of nights;
  ``night_speed``: a night beside ``validate``;
* ``pressure``: runs the pressure program, and computes the tags that DRAM must hold after it.

A series of patches:

* ``series_commands``: tree, refresh, check; ``series_edit``: patches as git commits and back;
* ``series_check``: each patch on its own; ``series_prefix``: the kernels between two patches;
* ``series_style``: checkpatch.pl; ``series_binding``: dt_binding_check.
* ``fix_commands``: record and show; ``fix_runs``: a cure's selftest without and with it;
  ``fix_mails``: a cure as mails.

What all commands share:

* ``command_line``: the list of them;
* ``options``: arguments, options and progress; ``exit_status``: how each command ends;
  ``output_stream``: standard output that is closed, full or slow.
"""
