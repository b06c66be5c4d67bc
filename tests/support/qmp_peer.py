# SPDX-License-Identifier: MIT
"""A QEMU that follows a script: it speaks QMP and prints on a console, and runs no guest.

`write_qemu` makes an executable of this file, which is started as QEMU is. It finds its
sockets in the command line (``socket,id=qmp,fd=N``), creates the file behind
``memory-backend-file`` as QEMU does, and writes each command line to ``arguments.json``.
It imports the standard library only: it starts in 20 ms.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENT = "silent"  # as a reply: no answer
DIE = "die"  # as a reply: QEMU is killed
GREETING = {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}}, "capabilities": []}
# The status of a machine after each command that changes it.
STATUS_AFTER = {"stop": "paused", "cont": "running", "migrate-incoming": "paused"}


@dataclasses.dataclass(frozen=True)
class Script:
    """What the peer does.

    ``output`` goes to stderr; with ``exit_status`` the peer then ends before its greeting.
    ``console`` is printed, and then the machine has ``status``. ``replies`` has values to
    return for a QMP command (of a human monitor command: its first two words), in order,
    the last one again and again; ``SILENT``, ``DIE``, or ``{"error": text}``.
    """

    output: str = ""
    exit_status: int | None = None
    greets: bool = True
    console: str = ""
    status: str = "running"
    replies: dict[str, list[Any]] = dataclasses.field(default_factory=dict)


def write_qemu(directory: Path, script: Script | None = None) -> Path:
    """Return the path of an executable that follows ``script``."""
    path = directory / "qemu-system-aarch64"
    source = Path(__file__).read_text(encoding="utf-8")
    path.write_text(f"#!{sys.executable} -IS\n{source}", encoding="utf-8")
    path.chmod(0o755)
    text = json.dumps(dataclasses.asdict(script or Script()))
    (directory / "script.json").write_text(text, encoding="utf-8")
    return path


def arguments(qemu: Path) -> list[str]:
    """Return the command line with which the peer was started last."""
    found: list[str] = json.loads(qemu.with_name("arguments.json").read_text(encoding="utf-8"))
    return found


class _Peer:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.status = script.status
        self.replies = {command: list(values) for command, values in script.replies.items()}

    def reply(self, command: str, parameters: dict[str, Any]) -> Any:
        """Return the value for one command, or a reply of the script's that is none."""
        key = command
        if command == "human-monitor-command":
            key = " ".join(parameters["command-line"].split()[:2])
        if values := self.replies.get(key):
            return values.pop(0) if len(values) > 1 else values[0]
        self.status = STATUS_AFTER.get(command, self.status)
        if command == "migrate":
            Path(parameters["uri"].removeprefix("file:")).write_text("state", encoding="utf-8")
        return {
            "query-status": {"status": self.status},
            "query-migrate": {"status": "completed"},
            "info usernet": "TCP[HOST_FORWARD]  12 127.0.0.1 40022 10.0.2.15 22",
            "info registers": "CPU#0\n PC=ffff800080000000\nCPU#1\n PC=ffff800080000040\n",
        }.get(key, {})

    def serve(self, stream: socket.socket) -> None:
        """Answer commands until the harness closes its end."""
        if self.script.greets:
            _send(stream, {"QMP": GREETING})
        for request in _requests(stream):
            value = self.reply(request["execute"], request.get("arguments", {}))
            if value == DIE:
                os.kill(os.getpid(), signal.SIGKILL)
            if value == SILENT:
                continue
            if isinstance(value, dict) and "error" in value:
                answer = {"error": {"class": "GenericError", "desc": value["error"]}}
            else:
                answer = {"return": value}
            _send(stream, {"id": request.get("id"), **answer})


def _send(stream: socket.socket, message: dict[str, Any]) -> None:
    stream.sendall(json.dumps(message).encode() + b"\n")


def _requests(stream: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield JSON objects, which need not be separated, until the stream ends."""
    decoder, text = json.JSONDecoder(), ""
    while data := stream.recv(65536):
        text = (text + data.decode()).lstrip()
        while text:
            try:
                request, end = decoder.raw_decode(text)
            except ValueError:  # not whole yet
                break
            yield request
            text = text[end:].lstrip()


def _main(words: list[str]) -> NoReturn:
    here = Path(words[0]).parent
    (here / "arguments.json").write_text(json.dumps(words), encoding="utf-8")
    script = Script(**json.loads((here / "script.json").read_text(encoding="utf-8")))
    line = " ".join(words)
    print(script.output, file=sys.stderr, flush=True)
    if script.exit_status is not None:
        sys.exit(script.exit_status)
    if "--version" in words:
        print("QEMU emulator version 10.0.2")
        sys.exit(0)
    if dram := re.search(r"mem-path=([^,]+),share=on", line):
        Path(dram[1]).touch()
    fds = dict(re.findall(r"socket,id=(\w+),fd=(\d+)", line))
    console = socket.socket(fileno=int(fds["console"]))
    console.sendall(script.console.encode())
    _Peer(script).serve(socket.socket(fileno=int(fds["qmp"])))
    time.sleep(60)  # the harness kills QEMU; a peer that is forgotten ends by itself
    sys.exit(0)


if __name__ == "__main__":
    _main(sys.argv)
