# SPDX-License-Identifier: MIT
"""Measurements: what is measured, and the record that each one leaves in ``docs/records/``.

* ``records``: the file of one measurement; ``measuring``: makes one; ``record_sums``: adds them up;
* ``speeds``: of the harness itself; ``costs``: of reusing tag storage; ``pressure``: runs the
  pressure program, and computes the tags that DRAM must hold after it;
* ``code_figures``: of the source code itself; ``fresh``: a command of the README on a fresh Debian;
* ``cluster_figures``: the suite on Slurm's nodes; ``scale_figures``: plan and merge of very many
  shards; ``explore_figures``: which mutants ``explore`` finds;
  ``site_speed``: a year of nights; ``night_speed``: a night beside ``validate``.
"""
