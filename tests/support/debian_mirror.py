# SPDX-License-Identifier: MIT
"""A mirror of Debian on this host: a few small packages below a directory, served on loopback."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import socket
import subprocess
import tarfile
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http import HTTPStatus
    from pathlib import Path

RELEASE = """\
Suite: {suite}
Codename: {suite}
Date: Mon, 30 Nov 2026 00:00:00 UTC
Architectures: arm64
Components: main
SHA256:
 {digest} {size} main/binary-arm64/Packages
"""
PACKAGE = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: x <x@x.invalid>
Description: x
"""


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, or answers each request with the server's ``trouble``."""

    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.trouble is None:
            super().do_GET()
        else:
            self.send_error(self.server.trouble)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


class _Server(ThreadingHTTPServer):
    trouble: HTTPStatus | None = None

    def __init__(self, directory: Path) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(directory)))


@dataclass(frozen=True)
class Mirror:
    """A mirror at ``url``, with the files below ``directory``."""

    directory: Path
    server: _Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return self.server.asked

    def answer(self, trouble: HTTPStatus | None) -> None:
        """Answer each request with ``trouble``; None: with the files again."""
        self.server.trouble = trouble

    def stop(self) -> None:
        """Close the port."""
        self.server.shutdown()
        self.server.server_close()

    def publish(self, suite: str, *packages: bytes) -> None:
        """Make ``packages`` all that the mirror has, in ``suite``, with apt's index of it."""
        pool = self.directory / "debian/pool"
        pool.mkdir(parents=True, exist_ok=True)
        for old in pool.glob("*.deb"):
            old.unlink()
        stanzas = []
        for data in packages:
            digest = hashlib.sha256(data).hexdigest()
            path = pool / f"{digest}.deb"
            path.write_bytes(data)
            control = subprocess.run(
                ["dpkg-deb", "--field", path], capture_output=True, text=True, check=True
            ).stdout
            stanzas.append(
                f"{control}Filename: pool/{path.name}\nSize: {len(data)}\nSHA256: {digest}\n\n"
            )
        index = "".join(stanzas).encode()
        top = self.directory / "debian/dists" / suite
        (top / "main/binary-arm64").mkdir(parents=True, exist_ok=True)
        (top / "main/binary-arm64/Packages").write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        (top / "Release").write_text(RELEASE.format(suite=suite, digest=digest, size=len(index)))
        # apt asks whether the file is newer than its own, and HTTP counts in seconds.
        for path in (top / "Release", top / "main/binary-arm64/Packages"):
            seconds = 1_000_000_000 + len(self.server.asked)
            os.utime(path, (seconds, seconds))


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Mirror]:
    """Serve a mirror that has nothing yet, with its files below ``directory``."""
    directory.mkdir()
    with _Server(directory) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Mirror(directory, server)
        finally:
            server.shutdown()
            thread.join()


def closed_port() -> str:
    """Return the address of a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def never_answers() -> Iterator[str]:
    """Hold a server that takes connections and says nothing; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def package(
    directory: Path, name: str, version: str, files: dict[str, bytes], architecture: str = "all"
) -> bytes:
    """Return a .deb with ``files``, made below ``directory``."""
    tree = directory / f"{name}_{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        PACKAGE.format(name=name, version=version, architecture=architecture)
    )
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    made = directory / f"{name}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", "-Znone", tree, made],
        check=True,
        capture_output=True,
    )
    return made.read_bytes()


def source_package(directory: Path, series: str, version: str, revision: str = "-1") -> bytes:
    """Return the package linux-source-SERIES with the source of Linux ``version``."""
    name = f"linux-source-{series}"
    files = {f"usr/src/{name}.tar.xz": source_tarball(version)}
    return package(directory, name, version + revision, files)


def source_tarball(version: str) -> bytes:
    """Return a .tar.xz with a Makefile that says ``version``, as linux-VERSION/Makefile."""
    numbers = dict(zip(("VERSION", "PATCHLEVEL", "SUBLEVEL"), version.split("."), strict=True))
    text = "".join(f"{key} = {value}\n" for key, value in numbers.items()).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        entry = tarfile.TarInfo(f"linux-{version}/Makefile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()
