# SPDX-License-Identifier: MIT
"""Debian's stress-ng in a guest, with the shared libraries that the guest image lacks."""

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
    """Return the program and the libraries of ``tree`` that it needs, also indirectly."""
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
    """Return a tar file of the program and its libraries, all in one directory; it is cached."""

    def make(directory: Path) -> None:
        wanted = debs.DebSet("bookworm", "arm64", (PROGRAM,))
        packages = debs.fetch(wanted, session.cache / "downloads", session.progress)
        with tempfile.TemporaryDirectory(dir=directory) as name:
            debs.unpack([deb.path for deb in packages], Path(name))
            with tarfile.open(directory / "stress.tar", "w") as tar:
                for path in _files(Path(name)):
                    tar.add(path.resolve(), path.name)

    store = Store(session.cache, "stress-ng", session.progress)
    return store.obtain("bookworm-arm64", make) / "stress.tar"


def install(guest: Guest, session: Session) -> None:
    """Unpack stress-ng below PLACE in the guest."""
    guest.push(archive(session), "/root/stress.tar")
    done = guest.exec(f"mkdir {PLACE} && tar -xf /root/stress.tar -C {PLACE}; rm /root/stress.tar")
    assert done.status == 0, done


def start(guest: Guest, *words: str) -> None:
    """Run stress-ng with these arguments in the background."""
    line = shlex.join(["./" + PROGRAM, *words])
    guest.exec(
        f"cd {PLACE}; (LD_LIBRARY_PATH={PLACE} {line} > {OUTPUT} 2>&1 < /dev/null; "
        f"echo $? > {STATUS}) > /dev/null 2>&1 &"
    )


def finish(guest: Guest, seconds: float) -> tuple[str, str]:
    """Wait until stress-ng ends; return its exit status and its output."""
    done = guest.exec(
        f"until [ -e {STATUS} ]; do sleep 0.5; done; cat {STATUS}; cat {OUTPUT}", timeout=seconds
    )
    status, _, output = done.stdout.partition("\n")
    return status, output
