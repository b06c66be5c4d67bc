# SPDX-License-Identifier: MIT
"""The list of the subcommands of ``mte-harness``, each of which lies in this room."""

from __future__ import annotations

from typing import NoReturn

import click

from harness.jobs.bench import bench_command
from harness.jobs.bisect import bisect_command
from harness.jobs.bisect_proof import record_bisects_command
from harness.jobs.bug_commands import bug_group
from harness.jobs.checkout_commands import lock_command, test_command
from harness.jobs.exit_status import exit_with_status
from harness.jobs.explore import explore_command
from harness.jobs.figures import figures_command
from harness.jobs.fix_commands import fix_group
from harness.jobs.guest_commands import run_command, shell_command, tags_command
from harness.jobs.history_commands import compare_command, history_command
from harness.jobs.host_commands import build_command, clean_command, doctor_command
from harness.jobs.known_bad import known_bad_command
from harness.jobs.nightly import nightly_command
from harness.jobs.rate import rate_command
from harness.jobs.record_commands import record_group
from harness.jobs.reproduce import reproduce_command
from harness.jobs.series_commands import series_group
from harness.jobs.shard_commands import (
    bundle_command,
    merge_command,
    plan_command,
    shard_command,
)
from harness.jobs.slurm_command import slurm_command
from harness.jobs.tries_command import tries_command
from harness.jobs.validate import validate_command

STATUSES = """\b
Exit status (stable; fit for `git bisect run`):
    0  clean
    1  the program, or a probe of the suite, failed
    3  the kernel printed a splat or became tainted
    4  the guest was lost: panic, hang, silence
    5  the kernel did not come up
  125  the kernel does not build: cannot be tried
  130  interrupted
  160 and up: this host, or a usage error, is at fault (docs/reference/exit-status.md)
"""


@click.group(epilog=STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mte-harness")
def cli() -> None:
    """Test whether arm64 memory tagging (MTE) still works on a kernel.

    KERNEL is a recipe of kernel-configs/ (stock, debug, known-bad/…), a kernel source directory
    (taken as it is, never written to; DIR:REVISION for a revision of it), a .deb file, an installed
    kernel, or an arm64 Image.

    Shell completion: eval "$(_MTE_HARNESS_COMPLETE=bash_source mte-harness)"
    """


for command in (
    validate_command, run_command, reproduce_command, explore_command, bisect_command, bug_group,
    shell_command,
    tags_command, build_command, doctor_command, clean_command, tries_command, rate_command,
    known_bad_command, series_group, fix_group, bench_command, figures_command, record_group,
    lock_command, test_command, plan_command, bundle_command, shard_command, merge_command,
    slurm_command, nightly_command, history_command, compare_command,
):  # fmt: skip
    cli.add_command(command)
record_group.add_command(record_bisects_command)


def main() -> NoReturn:
    """Run the command line and exit."""
    exit_with_status(lambda: cli.main(standalone_mode=False))
