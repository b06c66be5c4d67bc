# SPDX-License-Identifier: MIT
"""The run disk: keys, clock and random seed of one clone, read by the guest's agent.

``guest/agent.c`` documents the layout (``struct run_disk``).
"""

from __future__ import annotations

import io
import secrets
import struct
import time
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

SIZE = 64 * 1024  # what the agent reads (guest/agent.c)
# The whole disk, without a file behind what was not written. The rest of it is where the host
# puts files for the guest to read.
DISK_SIZE = 256 * 1024 * 1024
# The guest reads with O_DIRECT, so that it never sees what it had read there before.
BLOCK = 64 * 1024
_HEADER = struct.Struct("<8s16sQ64sII")


def _string(data: bytes) -> bytes:
    """Return an SSH ``string`` (RFC 4251, section 5)."""
    return struct.pack(">I", len(data)) + data


@dataclass(frozen=True)
class RunKeys:
    """The two key pairs of a run: the guest's host key and the user's key."""

    user: ed25519.Ed25519PrivateKey
    host: ed25519.Ed25519PrivateKey

    @classmethod
    def generate(cls) -> RunKeys:
        """Return two new pairs."""
        return cls(ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate())

    def secrets(self) -> tuple[str, str]:
        """Return the private halves in hex, as ``from_secrets`` takes them."""
        return self.user.private_bytes_raw().hex(), self.host.private_bytes_raw().hex()

    @classmethod
    def from_secrets(cls, user: str, host: str) -> RunKeys:
        """Return the pairs that another process of the harness made."""
        load = ed25519.Ed25519PrivateKey.from_private_bytes
        return cls(load(bytes.fromhex(user)), load(bytes.fromhex(host)))

    @staticmethod
    def _public(key: ed25519.Ed25519PrivateKey) -> bytes:
        return key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )

    def user_private_text(self) -> str:
        """Return the user's private key in OpenSSH's format, for paramiko and ``ssh -i``."""
        return self.user.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ).decode()

    def user_key(self) -> paramiko.PKey:
        """Return the user's key as paramiko takes it."""
        return paramiko.Ed25519Key.from_private_key(io.StringIO(self.user_private_text()))

    def host_public_text(self) -> str:
        """Return the guest's host key, ``ssh-ed25519 AAAA…``, which a client pins."""
        return self._public(self.host).decode()

    def disk(self) -> bytes:
        """Return the content of a run disk, ``SIZE`` bytes, with the present time."""
        authorized = self._public(self.user) + b" mte-harness\n"
        secret = self.host.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        public = self.host.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        # dropbear's own format for a private Ed25519 key: type, then secret and
        # public half as one string (dropbear, ed25519.c, buf_put_ed25519_priv_key).
        host_key = _string(b"ssh-ed25519") + _string(secret + public)
        header = _HEADER.pack(
            b"MTERUN1\0",
            secrets.token_bytes(16),
            time.time_ns(),
            secrets.token_bytes(64),
            len(authorized),
            len(host_key),
        )
        return (header + authorized + host_key).ljust(SIZE, b"\0")
