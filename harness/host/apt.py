# SPDX-License-Identifier: MIT
"""Installs Debian packages with apt-get, as root or with sudo.

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

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import HarnessError, NetworkError, SetupError
from harness.host.child import Finished, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.core.progress import Progress
    from harness.host.needs import ExtraSuite, Survey

SOURCE_LIST = Path("/etc/apt/sources.list.d/mte-harness-backports.list")

# Wait for another apt-get, usually unattended-upgrades, for up to 300 seconds.
LOCK = ("-o", "DPkg::Lock::Timeout=300")
# Answer questions about changed configuration files with "keep the present one".
KEEP = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
# The functions below read apt-get's messages, which must be in English for that.
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}

NO_NETWORK = (
    "Failed to fetch",
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Network is unreachable",
)
NO_SUCH_PACKAGE = ("Unable to locate package", "has no installation candidate", "was not found")
# Advice in apt-get's output after an installation that was cut off.
HALF_INSTALLED = ("dpkg --configure -a", "--fix-broken install")


def install(survey: Survey, progress: Progress) -> None:
    """Install the packages that ``survey`` lists as missing.

    Raise SetupError (apt-get failed; or neither root nor sudo, with the command to run by hand),
    NetworkError or DiskFullError.
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
    """Return the command that installs the missing packages in a root shell."""
    targets = " ".join(_targets(survey))
    steps = ["apt-get update", f"apt-get install -y --no-install-recommends {targets}"]
    new = _new_suite(survey)
    if new is not None:
        steps.insert(0, f"echo {shlex.quote(new.source)} > {SOURCE_LIST}")
    return " && ".join(steps)


def _install(root: Sequence[str], targets: Sequence[str], command: str, progress: Progress) -> None:
    """Install ``targets``; update apt's lists first if they lack a package or are too old."""
    updated = None if _resolvable(targets) else _update(root, progress)
    progress.step(f"installing {' '.join(target.partition('/')[0] for target in targets)}")
    result = _apt_get_install(root, targets, progress)
    if result.status and any(word in result.output for word in HALF_INSTALLED):
        progress.step("finishing an installation that was interrupted")
        _repair(root)
        result = _apt_get_install(root, targets, progress)
    if result.status and updated is None and any(word in result.output for word in NO_NETWORK):
        # Old lists name versions that the mirror no longer has.
        updated = _update(root, progress)
        result = _apt_get_install(root, targets, progress)
    if result.status:
        raise failure(result, updated, f"by hand, as root: {command}")


def failure(result: Finished, updated: Finished | None, cure: str) -> HarnessError:
    """Return the error that the output of a failed apt-get means.

    ``updated`` is the ``apt-get update`` before it: if that could not fetch the lists, an unknown
    package is a network error.
    """
    if updated is not None and any(word in result.output for word in NO_SUCH_PACKAGE):
        output = updated.output + result.output
    else:
        output = result.output
    complaints = [line[3:] for line in output.splitlines() if line.startswith(("E: ", "W: "))]
    first = complaints[0] if complaints else f"exit status {result.status}"
    if reports_disk_full(output):
        return disk_full(first)
    if any(word in output for word in NO_NETWORK):
        return NetworkError(
            f"the Debian registry does not answer: {first}",
            "check the network and apt's proxy settings, then run this again",
        )
    return SetupError(f"apt-get failed: {first}", cure, result.tail())


def _needed_suite(survey: Survey) -> ExtraSuite | None:
    """Return the extra suite that a missing package comes from, or None."""
    extra = survey.distribution.extra
    names = {need.name for need in survey.missing}
    return extra if extra is not None and extra.need in names else None


def _new_suite(survey: Survey) -> ExtraSuite | None:
    """Return the extra suite if it is needed and not among apt's sources yet."""
    extra = _needed_suite(survey)
    return None if extra is None or _is_configured(extra.suite) else extra


def _targets(survey: Survey) -> list[str]:
    """Return the package names for apt-get, with ``/suite`` if they come from the extra suite.

    The option ``-t suite`` would take every other package from that suite, too.
    """
    extra = _needed_suite(survey)
    return [
        f"{package}/{extra.suite}" if extra and need.name == extra.need else package
        for need in survey.missing
        for package in need.packages
    ]


def _root_prefix(command: str) -> list[str]:
    """Return the words before a command that is to run as root. Raise SetupError if it cannot."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None and (_succeeds(sudo, "-n", "true") or _asked(sudo)):
        # -n: apt-get runs with an empty standard input, where sudo could not ask for a password.
        return [sudo, "-n"]
    raise SetupError(
        "packages are missing, and this is neither root nor a user with sudo",
        f"run as root: {command}",
    )


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _asked(sudo: str) -> bool:
    """Return whether sudo, asking at the terminal, gets its password."""
    return sys.stdin.isatty() and subprocess.run([sudo, "-v"], check=False).returncode == 0


def _is_configured(suite: str) -> bool:
    """Return whether apt's sources have ``suite``, in whatever file and format.

    A second entry for a suite with another ``signed-by`` makes apt refuse both. apt-get prints the
    addresses without network or root.
    """
    listed = run(["apt-get", "update", "--print-uris"], ENVIRONMENT)
    return f"/dists/{suite}/" in listed.output


def _write_as_root(root: Sequence[str], path: Path, text: str) -> None:
    wrote = subprocess.run(
        [*root, "tee", str(path)],
        input=text,
        text=True,
        errors="replace",
        capture_output=True,
        check=False,
    )
    if wrote.returncode:
        raise SetupError(f"cannot write {path}", "become root", wrote.stderr.strip())


def _resolvable(targets: Sequence[str]) -> bool:
    """Return whether apt's lists exist and have all of ``targets``; this needs no root."""
    simulated = run(
        ["apt-get", "install", "--simulate", "--no-install-recommends", *targets], ENVIRONMENT
    )
    return simulated.status == 0


def _update(root: Sequence[str], progress: Progress) -> Finished:
    """Fetch apt's lists.

    To apt-get, a source that fails is only a warning, since its packages may not be needed. If they
    are, the installation fails and reports it.
    """
    progress.step("apt-get update")
    result = run([*root, "env", *_assignments(), "apt-get", "update", *LOCK])
    if result.status:
        raise failure(result, None, "as root: apt-get update")
    return result


def _apt_get_install(root: Sequence[str], targets: Sequence[str], progress: Progress) -> Finished:
    """Download the packages, which may be interrupted; then install them, which must not."""
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
    """Return arguments for env(1), since sudo clears the environment.

    They include the proxy variables, which apt-get may need.
    """
    proxies = {
        name: os.environ[name] for name in ("http_proxy", "https_proxy") if name in os.environ
    }
    return [f"{name}={value}" for name, value in {**ENVIRONMENT, **proxies}.items()]


def status_reader(count: Callable[[int, int], None]) -> Callable[[str], bool]:
    """Return a function that reports the lines of APT::Status-Fd to ``count``.

    It returns whether a line is one of these, such as ``dlstatus:1:42.0000:Retrieving`` (apt's
    README.progress-reporting). Downloading counts from 0 to 50 %, unpacking from 50 to 100.
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
