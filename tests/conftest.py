# SPDX-License-Identifier: MIT
"""What all tests need of their process."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and children inherit
    # that (sh(1), "Asynchronous Lists"): tests of Ctrl-C would wait for nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
