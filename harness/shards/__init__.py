# SPDX-License-Identifier: MIT
"""One suite on many machines: a plan is cut into shards, and their reports become one again.

* ``plan``: the plan as a file, and the key of the mte-harness that made it;
* ``balance``: which tests go into which shard; ``seconds``: how long a test is expected to take;
* ``merge``: one report from those of the shards, with a name for each hole;
* ``slurm``: the jobs of a plan for Slurm; ``loopback_cluster``: Slurm's daemons on this host.

None of them knows an engine but ``slurm``: what runs a shard elsewhere needs the plan, the shard's
number, and a directory for its report.
"""
