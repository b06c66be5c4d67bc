# SPDX-License-Identifier: MIT
"""Installing Debian packages with apt-get, as root or through sudo.

Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import DiskFullError, HarnessError, NetworkError, SetupError
from harness.host.child import Finished, Lines, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.host.needs import ExtraSuite, Survey

SOURCE_LIST = Path("/etc/apt/sources.list.d/mte-harness-backports.list")

# Another apt-get (unattended-upgrades, most often) is waited for, not fought.
LOCK = ("-o", "DPkg::Lock::Timeout=300")
# Questions about configuration files are answered with "keep what is there".
KEEP = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
# apt-get's messages are read below, so they must be the English ones.
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}

NO_NETWORK = (
    "Failed to fetch",
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Network is unreachable",
)
DISK_FULL = ("No space left on device", "You don't have enough free space")
NO_SUCH_PACKAGE = ("Unable to locate package", "has no installation candidate", "was not found")
# What apt-get advises after a power cut in the middle of an installation.
HALF_INSTALLED = ("dpkg --configure -a", "--fix-broken install")


def install(survey: Survey, progress: Lines) -> None:
    """Install what ``survey`` misses.

    Raises SetupError (no root and no sudo, with the command to run; or apt-get
    refused), NetworkError, or DiskFullError.
    """
    command = by_hand(survey)
    root = _root_prefix(command)
    new = _new_suite(survey)
    if new is not None:
        progress.step(f"adding {new.suite} to apt's sources ({SOURCE_LIST})")
        _write_as_root(root, SOURCE_LIST, new.source + "\n")
    try:
        _install(root, _targets(survey), command, progress)
    except BaseException:
        if new is not None:
            run([*root, "rm", "-f", str(SOURCE_LIST)])
        raise


def by_hand(survey: Survey) -> str:
    """The one command that does all this in a root shell."""
    targets = " ".join(_targets(survey))
    steps = ["apt-get update", f"apt-get install -y --no-install-recommends {targets}"]
    new = _new_suite(survey)
    if new is not None:
        steps.insert(0, f"echo {shlex.quote(new.source)} > {SOURCE_LIST}")
    return " && ".join(steps)


def _install(root: Sequence[str], targets: Sequence[str], command: str, progress: Lines) -> None:
    """Update apt's lists if they do not do, and install."""
    updated = None if _resolvable(targets) else _update(root, progress)
    progress.step(f"installing {' '.join(target.partition('/')[0] for target in targets)}")
    result = _apt_get_install(root, targets, progress)
    if result.status and any(word in result.output for word in HALF_INSTALLED):
        progress.step("finishing an installation that was interrupted")
        _repair(root)
        result = _apt_get_install(root, targets, progress)
    if result.status and updated is None and any(word in result.output for word in NO_NETWORK):
        # Lists that are out of date name versions that the mirror has dropped.
        updated = _update(root, progress)
        result = _apt_get_install(root, targets, progress)
    if result.status:
        raise failure(result, updated, f"by hand, as root: {command}")
    progress.done()


def failure(result: Finished, updated: Finished | None, cure: str) -> HarnessError:
    """What apt-get's words mean, as an error of ours.

    ``updated`` is the ``apt-get update`` before it: when that could not fetch the
    lists, a package that nobody has heard of is the network's fault.
    """
    if updated is not None and any(word in result.output for word in NO_SUCH_PACKAGE):
        output = updated.output + result.output
    else:
        output = result.output
    complaints = [line[3:] for line in output.splitlines() if line.startswith(("E: ", "W: "))]
    first = complaints[0] if complaints else f"exit status {result.status}"
    if any(word in output for word in DISK_FULL):
        return DiskFullError(f"the disk is full: {first}", "free some room, then run this again")
    if any(word in output for word in NO_NETWORK):
        return NetworkError(
            f"the Debian registry does not answer: {first}",
            "check the network and apt's proxy settings, then run this again",
        )
    return SetupError(f"apt-get failed: {first}", cure, result.tail())


def _needed_suite(survey: Survey) -> ExtraSuite | None:
    """The suite that a missing package comes from, if it is not the distribution's own."""
    extra = survey.distribution.extra
    names = {need.name for need in survey.missing}
    return extra if extra is not None and extra.need in names else None


def _new_suite(survey: Survey) -> ExtraSuite | None:
    """The needed suite, if apt's sources have yet to get it."""
    extra = _needed_suite(survey)
    return None if extra is None or _is_configured(extra.suite) else extra


def _targets(survey: Survey) -> list[str]:
    """Package names for apt-get, with ``/suite`` where another suite is meant.

    Not ``-t suite``: that would take every other package from there too.
    """
    extra = _needed_suite(survey)
    return [
        f"{package}/{extra.suite}" if extra and need.name == extra.need else package
        for need in survey.missing
        for package in need.packages
    ]


def _root_prefix(command: str) -> list[str]:
    """What to put before a command to run it as root; SetupError if nothing will do."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None and (_succeeds(sudo, "-n", "true") or _asked(sudo)):
        # Never asked again: apt-get runs where it could not read the answer.
        return [sudo, "-n"]
    raise SetupError(
        "packages are missing, and this is neither root nor a user with sudo",
        f"run as root: {command}",
    )


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _asked(sudo: str) -> bool:
    """Whether someone at the terminal gives sudo the password that it asks for."""
    return sys.stdin.isatty() and subprocess.run([sudo, "-v"], check=False).returncode == 0


def _is_configured(suite: str) -> bool:
    """Whether apt's sources have ``suite``, whatever file and format it is in.

    A second entry for it, signed by a key in another file, would make apt refuse
    them both. The addresses are printed without lists, network or root.
    """
    listed = run(["apt-get", "update", "--print-uris"], ENVIRONMENT)
    return f"/dists/{suite}/" in listed.output


def _write_as_root(root: Sequence[str], path: Path, text: str) -> None:
    wrote = subprocess.run(
        [*root, "tee", str(path)], input=text, text=True, capture_output=True, check=False
    )
    if wrote.returncode:
        raise SetupError(f"cannot write {path}", "become root", wrote.stderr.strip())


def _resolvable(targets: Sequence[str]) -> bool:
    """Whether apt's lists are there and know all of ``targets``; needs no root."""
    simulated = run(
        ["apt-get", "install", "--simulate", "--no-install-recommends", *targets], ENVIRONMENT
    )
    return simulated.status == 0


def _update(root: Sequence[str], progress: Lines) -> Finished:
    """Fetch apt's lists.

    A source that fails is only a warning to apt-get, and rightly: it may be one
    that we do not need. If it was ours, the installation fails, and says so.
    """
    progress.step("apt-get update")
    result = run([*root, "env", *_assignments(), "apt-get", "update", *LOCK])
    if result.status:
        raise failure(result, None, "as root: apt-get update")
    progress.done()
    return result


def _apt_get_install(root: Sequence[str], targets: Sequence[str], progress: Lines) -> Finished:
    """Download, which may be interrupted; then unpack and configure, which may not."""
    options = ["-qq", "-y", "--no-install-recommends", "-o", "APT::Status-Fd=1", *LOCK, *KEEP]
    argv = [*root, "env", *_assignments(), "apt-get", "install", *options, *targets]
    on_line = status_reader(progress.count)
    downloaded = run([*argv, "--download-only"], on_line=on_line)
    return downloaded if downloaded.status else run(argv, on_line=on_line, shielded=True)


def _repair(root: Sequence[str]) -> None:
    for argv in (
        ["dpkg", "--configure", "-a"],
        ["apt-get", "install", "--fix-broken", "-qq", "-y", *LOCK, *KEEP],
    ):
        run([*root, "env", *_assignments(), *argv], shielded=True)


def _assignments() -> list[str]:
    """Arguments for env(1): sudo lets no variable of ours through.

    A proxy that is set in the environment only must reach apt-get too.
    """
    proxies = {
        name: os.environ[name] for name in ("http_proxy", "https_proxy") if name in os.environ
    }
    return [f"{name}={value}" for name, value in {**ENVIRONMENT, **proxies}.items()]


def status_reader(count: Callable[[int, int], None]) -> Callable[[str], bool]:
    """A reader of the lines of APT::Status-Fd, such as ``dlstatus:1:42.0000:Retrieving``.

    The format is in apt's README.progress-reporting. Downloading is the first
    half of the count, unpacking the second.
    """

    def read(line: str) -> bool:
        kind, _, rest = line.partition(":")
        if kind not in ("dlstatus", "pmstatus"):
            return False
        try:
            percent = float(rest.split(":")[1])
        except (IndexError, ValueError):
            return True
        count(int(percent) // 2 + (50 if kind == "pmstatus" else 0), 100)
        return True

    return read
