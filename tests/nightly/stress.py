# SPDX-License-Identifier: MIT
"""Debian's stress-ng in the guest: the program, and of the libraries those that it needs."""

from __future__ import annotations

import shlex
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from harness.core.store import Store
from harness.host import debian as debs

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.session import Session

PLACE = "/root/stress"
PROGRAM = "stress-ng"
OUTPUT, STATUS = f"{PLACE}/output", f"{PLACE}/status"


def _needed(path: Path) -> list[str]:
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".dynamic")
        assert isinstance(section, DynamicSection), path
        return [str(vars(tag)["needed"]) for tag in section.iter_tags("DT_NEEDED")]


def _files(tree: Path) -> list[Path]:
    """The program and its libraries, but for those of the guest image's own C library."""
    libraries = {path.name: path for path in tree.rglob("*.so*")}
    wanted, found = [tree / "usr/bin" / PROGRAM], []
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found.append(path)
        wanted += [libraries[name] for name in _needed(path.resolve()) if name in libraries]
    return found


def archive(session: Session) -> Path:
    """A tar file with all that has to be in one directory."""

    def make(directory: Path) -> None:
        wanted = debs.DebSet("bookworm", "arm64", (PROGRAM,))
        packages = debs.fetch(wanted, session.cache / "downloads", session.progress)
        with tempfile.TemporaryDirectory(dir=directory) as name:
            debs.unpack(packages, Path(name))
            with tarfile.open(directory / "stress.tar", "w") as tar:
                for path in _files(Path(name)):
                    tar.add(path.resolve(), path.name)

    store = Store(session.cache, "stress-ng", session.progress)
    return store.obtain("bookworm-arm64", make) / "stress.tar"


def install(guest: Guest, session: Session) -> None:
    """Puts it where `start` finds it."""
    guest.push(archive(session), "/root/stress.tar")
    done = guest.exec(f"mkdir {PLACE} && tar -xf /root/stress.tar -C {PLACE}; rm /root/stress.tar")
    assert done.status == 0, done


def start(guest: Guest, *words: str) -> None:
    """Runs it in the background."""
    line = shlex.join(["./" + PROGRAM, *words])
    guest.exec(
        f"cd {PLACE}; (LD_LIBRARY_PATH={PLACE} {line} > {OUTPUT} 2>&1 < /dev/null; "
        f"echo $? > {STATUS}) > /dev/null 2>&1 &"
    )


def finish(guest: Guest, seconds: float) -> tuple[str, str]:
    """Waits until it ends; its status and output."""
    done = guest.exec(
        f"until [ -e {STATUS} ]; do sleep 0.5; done; cat {STATUS}; cat {OUTPUT}", timeout=seconds
    )
    status, _, output = done.stdout.partition("\n")
    return status, output
