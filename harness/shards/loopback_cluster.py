# SPDX-License-Identifier: MIT
"""Slurm's real daemons on this host, as a cluster of several nodes. For tests and figures.

A node is a slurmd with a host name and process numbers of its own (uts_namespaces(7),
pid_namespaces(7)): it knows itself by its name, and to kill its first process is to switch it off,
with all that ran there. Each listens on a port of its own. No cgroup of Slurm's is used, so process
1 need not be systemd. A node's share of the CPU is a quota of cgroup v1.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PACKAGES = "munge slurmctld slurmd slurm-client"
_CPU = Path("/sys/fs/cgroup/cpu")
_PERIOD = 100_000  # microseconds, of cpu.cfs_period_us
# Of a node with a quota, against 1024 of other processes: what they do takes little of its share.
_WEIGHT = 20480
_PATIENCE = 60.0  # seconds until the nodes are there
# slurm.conf(5). A job may start again, or a dead node be noticed, after seconds, not minutes:
# cred_expire is also what a requeued job waits.
_CONFIG = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.sock,cred_expire=10
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
SlurmdTimeout=10
ReturnToService=2
"""


class LoopbackCluster:
    """A cluster of ``nodes``, each with ``cpus`` for Slurm, and ``share`` of a core if given.

    As a context manager, it is up inside and nothing of it is left outside. Needs root. Raise
    SetupError, or HarnessError where the daemons do not come up.
    """

    def __init__(self, nodes: int, cpus: int = 1, share: float | None = None) -> None:
        self.nodes = tuple(f"mte-node-{number}" for number in range(1, nodes + 1))
        self._cpus = cpus
        self._share = share
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start the daemons, and wait for the nodes."""
        _require_programs()
        with contextlib.ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="mte-slurm-"))
            self.directory = Path(name)
            self.directory.chmod(0o755)  # munged(8) wants its socket to be reachable
            self._start_all(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all processes and remove the directory."""
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Slurm's commands talk to this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.directory / "slurm.conf")}

    def switch_off(self, node: str) -> None:
        """End a node with all that runs there, as if its power were cut."""
        self._end(node)

    def slurm(self, *words: str) -> str:
        """Return what a command of Slurm prints, such as ``sinfo``."""
        done = subprocess.run(
            words, capture_output=True, text=True, env=self.environment, check=False
        )
        return done.stdout

    def _start_all(self, stack: contextlib.ExitStack) -> None:
        directory = self.directory
        (directory / "state").mkdir()
        ports = _free_ports(1 + len(self.nodes))
        config = _CONFIG.format(host=platform.node(), port=ports[0], directory=directory)
        for node, port in zip(self.nodes, ports[1:], strict=True):
            config += f"NodeName={node} NodeAddr=127.0.0.1 Port={port} CPUs={self._cpus}\n"
        config += f"PartitionName=all Nodes={','.join(self.nodes)} Default=YES State=UP\n"
        (directory / "slurm.conf").write_text(config)
        key = directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        munge = [f"--key-file={key}", f"--socket={directory}/munge.sock"]
        munge += [f"--{name}-file={directory}/munge.{name}" for name in ("pid", "log", "seed")]
        self._start(stack, "munged", ["munged", "--foreground", *munge])
        self._until("munged", (directory / "munge.sock").exists)
        config_words = ["-D", "-f", str(directory / "slurm.conf")]
        self._start(stack, "slurmctld", ["slurmctld", *config_words])
        for node in self.nodes:
            (directory / node).mkdir()
            script = f'{self._limited(stack, node)}hostname {node} && exec "$@"'
            own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
            words = [*own, "sh", "-c", script, "sh", "slurmd", *config_words]
            self._start(stack, node, words)
        self._until("the nodes", lambda: self.idle() == len(self.nodes))

    def idle(self) -> int:
        """Return how many nodes wait for a job."""
        return self.slurm("sinfo", "--noheader", "--Node", "--format=%t").split().count("idle")

    def _limited(self, stack: contextlib.ExitStack, node: str) -> str:
        """Return shell text that puts the shell under the node's quota."""
        if self._share is None:
            return ""
        group = _CPU / f"{self.directory.name}-{node}"
        try:
            group.mkdir()
            stack.callback(_remove_group, group)
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(round(self._share * _PERIOD)))
            (group / "cpu.shares").write_text(str(_WEIGHT))
        except OSError as error:
            raise HarnessError(f"no CPU quota can be set in {_CPU}: {error.strerror}") from error
        return f"echo $$ > {group}/cgroup.procs && "

    def _start(self, stack: contextlib.ExitStack, name: str, words: list[str]) -> None:
        with (self.directory / f"{name}.out").open("wb") as out:
            self._processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
                process_group=0,
            )
        stack.callback(self._end, name)

    def _end(self, name: str) -> None:
        """End a daemon. Of a node, that is its first process, whom all others in it follow.

        unshare then ends as well; were it the one that is killed, nobody here would wait for the
        node's processes.
        """
        process = self._processes[name]
        if process.poll() is not None:
            return
        own = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if name in self.nodes and own:
            os.kill(int(own[0]), signal.SIGKILL)
        else:
            process.terminate()  # slurmctld has a child of its own to end
        try:
            process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _until(self, what: str, there: Callable[[], bool]) -> None:
        """Wait until ``there()``. Raise HarnessError with the daemons' output."""
        deadline = time.monotonic() + _PATIENCE
        while not there():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                outs = [path.read_text(errors="replace") for path in self.directory.glob("*.out")]
                cause = f"{dead[0]} ended" if dead else f"{what} did not come up"
                raise HarnessError(f"a cluster on this host: {cause}", details="\n".join(outs))
            time.sleep(0.1)


def _remove_group(group: Path) -> None:
    """Remove a control group, whose last process may still be ending."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)


def _require_programs() -> None:
    if os.geteuid() != 0:
        raise SetupError("a cluster on one host needs root, for namespaces")
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise SetupError(f"no {missing[0]} on this host", f"apt-get install {PACKAGES}")


def _free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
