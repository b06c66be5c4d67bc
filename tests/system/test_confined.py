# SPDX-License-Identifier: MIT
"""QEMU cannot do to this host what a guest that took it over would want."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import QemuDiedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.suite.session import Session

# Calls setuid(2) in QEMU once a second, which its sandbox denies as soon as it is there. Not in
# setpriv(1), which would give that thread other credentials than its own.
CALLER = """\
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *call(void *unused)
{
	for (;;) {
		sleep(1);
		syscall(SYS_setuid, 0);
	}
	return unused;
}

__attribute__((constructor)) static void start(void)
{
	pthread_t thread;

	if (strstr(program_invocation_short_name, "qemu"))
		pthread_create(&thread, NULL, call, NULL);
}
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory where QEMU's user may do all: those of pytest are closed to it."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


@pytest.fixture
def caller(public: Path) -> Path:
    """Return CALLER as a library."""
    source, library = public / "caller.c", public / "caller.so"
    source.write_text(CALLER)
    command = ["gcc", "-shared", "-fPIC", "-pthread", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


def test_the_rights_of_a_running_guest(guest: Guest) -> None:
    text = Path(f"/proc/{guest.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in text.splitlines())
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"  # a filter (proc(5))
    assert "0" not in fields["Uid"].split() + fields["Gid"].split()


@pytest.mark.skipif(os.geteuid() != 0, reason="QEMU has the user of a harness that is not root")
def test_qemu_cannot_open_what_others_cannot(guest: Guest, tmp_path: Path) -> None:
    """The monitor can be told to write a file; the user that QEMU runs as may not."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    for path in (secret, guest.template.directory / "state"):
        before = path.read_bytes()
        with contextlib.suppress(QemuDiedError):
            guest.process.qmp("pmemsave", val=0x40000000, size=16, filename=str(path))
        assert path.read_bytes() == before


def test_qemu_starts_no_process(guest: Guest, public: Path) -> None:
    made = public / "made"
    with contextlib.suppress(QemuDiedError):
        guest.process.qmp("migrate", uri=f"exec:touch {made}")
    time.sleep(0.5)
    assert not made.exists()


def test_qemu_that_its_sandbox_kills(
    template: Template,
    harness_session: Session,
    caller: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_PRELOAD", str(caller))
    with (
        pytest.raises(QemuDiedError, match="its sandbox killed it for "),
        harness_session.guest(template) as guest,
    ):
        monkeypatch.delenv("LD_PRELOAD")
        guest.exec("sleep 100", timeout=60)
