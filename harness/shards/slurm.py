# SPDX-License-Identifier: MIT
"""A plan as jobs of Slurm: a build job for each kernel, arrays of shards after it, a merge.

All hosts see one directory, where plan, bundle, logs and reports are. A shard waits for the builds
of its own kernels only. A job that ends with the host's trouble asks Slurm for another try itself
(``scontrol requeue``), so that no RequeueExit of the cluster's slurm.conf is needed; Slurm itself
requeues what a lost node ran (sbatch(1), ``--requeue``). Sources: sbatch(1), scontrol(1) of 22.05.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import (
    ArtifactError,
    DiskFullError,
    HarnessError,
    NetworkError,
    QemuDiedError,
    SetupError,
    UsageError,
)
from harness.shards.plan import Plan, kernels_of, write_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# The exit statuses of troubles that another host, or a later time, may not have. UsageError and the
# like would come again everywhere, and what is below 128 is a result.
AGAIN = tuple(
    kind.status
    for kind in (HarnessError, NetworkError, DiskFullError, ArtifactError, QemuDiedError)
)
PLAN = "plan.json"
BUNDLE = "bundle"
REPORT = "report"


@dataclass(frozen=True)
class Request:
    """How a plan is submitted.

    ``directory`` is seen by all hosts; ``command`` is the path of mte-harness there. ``workers``:
    guests at once in a shard, and CPUs that it asks for. ``cache``: the shards' cache, in which the
    node's shell expands variables (``/scratch/$USER/mte``); "" for that of the environment.
    ``tries``: how often a job that the host's trouble ended starts again. ``words`` are more
    arguments of each sbatch.
    """

    directory: Path
    command: str
    workers: int = 2
    cache: str = ""
    tries: int = 2
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job: its script, the arguments of its sbatch, and the jobs that it waits for by name.

    ``when`` is Slurm's word for how those must have ended: afterok, afterany.
    """

    name: str
    script: str
    words: tuple[str, ...]
    when: str = ""
    after: tuple[str, ...] = ()


def jobs(plan: Plan, request: Request) -> tuple[Job, ...]:
    """Return the jobs of a plan, each after those that it waits for."""
    builds = {kernel: f"build-{number}" for number, kernel in enumerate(plan.kernels, 1)}
    found = [_build(kernel, name, request) for kernel, name in builds.items()]
    arrays: dict[tuple[str, ...], list[int]] = {}
    for number, tests in enumerate(plan.shards, 1):
        arrays.setdefault(tuple(sorted(kernels_of(tests))), []).append(number)
    names = [f"shards-{number}" for number in range(1, len(arrays) + 1)]
    for name, (kernels, numbers) in zip(names, arrays.items(), strict=True):
        waits = tuple(builds[kernel] for kernel in kernels)
        found.append(_array(name, numbers, waits, request))
    return (*found, _merge(plan, tuple(names), request))


def _build(kernel: str, name: str, request: Request) -> Job:
    here = request.directory
    line = _line(request.command, "bundle", here / PLAN, "--kernel", kernel)
    script = _script(f"{line} --output {_quoted(here / BUNDLE)}", "$SLURM_JOB_ID", request.tries)
    return Job(name, script, _words(name, "%j", request))


def _array(name: str, numbers: Sequence[int], waits: tuple[str, ...], request: Request) -> Job:
    here, number = request.directory, '"$SLURM_ARRAY_TASK_ID"'
    line = " ".join(
        (
            _line(request.command, "shard", here / PLAN),
            f"{number} --output {_quoted(here)}/shards/{number}",
            _line("--bundle", here / BUNDLE, "-n", request.workers),
        )
    )
    if request.cache:
        line = f'MTE_HARNESS_CACHE="{request.cache}"\nexport MTE_HARNESS_CACHE\n{line}'
    script = _script(line, "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID", request.tries)
    array = ",".join(map(str, numbers))
    words = (f"--array={array}", f"--cpus-per-task={request.workers}")
    return Job(name, script, (*_words(name, "%a.%A", request), *words), "afterok", waits)


def _merge(plan: Plan, waits: tuple[str, ...], request: Request) -> Job:
    here = request.directory
    line = _line(request.command, "merge", "--plan", here / PLAN, "--report", here / REPORT)
    places = " ".join(f"shards/{number}" for number in range(1, len(plan.shards) + 1))
    script = f"#!/bin/sh\ncd {_quoted(here)} || exit\nexec {line} {places}\n"
    return Job("merge", script, _words("merge", "%j", request), "afterany", waits)


def _words(name: str, log: str, request: Request) -> tuple[str, ...]:
    return (
        "--parsable",
        f"--job-name=mte-{name}",
        f"--output={request.directory}/logs/{name}.{log}.log",
        "--open-mode=append",  # of a job that is tried again, every log counts
        "--requeue",
        "--kill-on-invalid-dep=yes",
        *request.words,
    )


def _script(line: str, job: str, tries: int) -> str:
    """Return a script that runs ``line``, and asks for another try after the host's trouble."""
    statuses = "|".join(map(str, sorted(AGAIN)))
    return f"""\
#!/bin/sh
echo "on $(uname -n), try $((${{SLURM_RESTART_COUNT:-0}} + 1))"
{line}
status=$?
case $status in
{statuses})
    if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {tries} ]; then
        echo "the host's trouble ($status): once more"
        scontrol requeue "{job}" && sleep 60  # in which Slurm ends this script
    fi
    ;;
esac
exit $status
"""


def _line(*words: object) -> str:
    return shlex.join(map(str, words))


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def write_jobs(plan: Plan, request: Request) -> tuple[Job, ...]:
    """Write plan and scripts into the directory, which has no plan yet. Raise UsageError."""
    here = request.directory
    if (here / PLAN).exists():
        raise UsageError(f"{here} has a plan already, and may have results of it", "name another")
    found = jobs(plan, request)
    try:
        (here / "logs").mkdir(parents=True, exist_ok=True)
        for job in found:
            (here / f"{job.name}.sh").write_text(job.script, "utf-8")
    except OSError as error:
        raise UsageError(f"{here} cannot be written: {error.strerror}") from error
    write_plan(plan, here / PLAN)
    return found


def commands(found: Sequence[Job], directory: Path) -> Iterator[str]:
    """Yield a line of shell for each job, as it is submitted; $NAME is the number of a job."""
    for job in found:
        after = [f"${name.replace('-', '_')}" for name in job.after]
        words = shlex.join(["sbatch", *job.words])
        dependency = f' --dependency="{":".join([job.when, *after])}"' if after else ""
        script = _quoted(directory / f"{job.name}.sh")
        yield f"{job.name.replace('-', '_')}=$({words}{dependency} {script})"


def submit(found: Sequence[Job], directory: Path) -> dict[str, str]:
    """Submit the jobs; return Slurm's number of each. Raise SetupError or HarnessError.

    If one cannot be submitted, those before it are cancelled.
    """
    if shutil.which("sbatch") is None:
        raise SetupError("no sbatch on this host", "run it where Slurm's commands are")
    ids: dict[str, str] = {}
    for job in found:
        command = ["sbatch", *job.words]
        if job.after:
            command.append(f"--dependency={job.when}:{':'.join(ids[name] for name in job.after)}")
        done = subprocess.run(
            [*command, str(directory / f"{job.name}.sh")],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            if ids:
                subprocess.run(["scancel", *ids.values()], check=False)
            lines = done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"]
            raise HarnessError(f"sbatch refuses {job.name}: {lines[0]}", details=done.stderr)
        ids[job.name] = done.stdout.strip().partition(";")[0]  # NUMBER[;CLUSTER]
    return ids


def states(ids: Sequence[str]) -> dict[str, str]:
    """Return the jobs of ``ids`` that have not ended, each task of an array with its state.

    Raise HarnessError where Slurm does not answer.
    """
    done = subprocess.run(
        ["squeue", "--noheader", "--array", "--format=%i %T %N", f"--jobs={','.join(ids)}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode and "Invalid job id" not in done.stderr:
        raise HarnessError(f"squeue: {done.stderr.strip()}")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())
