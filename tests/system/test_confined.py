# SPDX-License-Identifier: MIT
"""QEMU cannot do to this host what a guest that took it over would want."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import QemuDiedError

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.suite.session import Session

# Calls setuid(2) in QEMU once a second, which its sandbox denies as soon as it is there.
CALLER = """\
#define _GNU_SOURCE
#include <pthread.h>
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

	pthread_create(&thread, NULL, call, NULL);
}
"""


def test_the_rights_of_a_running_guest(guest: Guest) -> None:
    text = Path(f"/proc/{guest.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in text.splitlines())
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"  # a filter (proc(5))


def test_qemu_starts_no_process(guest: Guest, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with contextlib.suppress(QemuDiedError):
        guest.process.qmp("migrate", uri=f"exec:touch {made}")
    time.sleep(0.5)
    assert not made.exists()


def test_qemu_that_its_sandbox_kills(
    template: Template,
    harness_session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "caller.c").write_text(CALLER)
    library = tmp_path / "caller.so"
    source = str(tmp_path / "caller.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-pthread", "-o", str(library), source], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    with (
        pytest.raises(QemuDiedError, match="its sandbox killed it for "),
        harness_session.guest(template) as guest,
    ):
        monkeypatch.delenv("LD_PRELOAD")
        guest.exec("sleep 100", timeout=60)
