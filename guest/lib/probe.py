# SPDX-License-Identifier: MIT
"""KTAP for Python probes: the behaviour of ``ktap.h`` for the programs in C.

A probe is one file of cases::

    # SPDX-License-Identifier: MIT
    #
    # probe: proc_hwcaps
    # timeout: 30
    #
    # What must hold, and which kernel functions it exercises.

    from probe import case, check_eq, main

    @case(seconds=10)
    def every_cpu_has_mte() -> None:
        check_eq(features(0), features(1), "features of CPU 1")

    main()

Each case runs in a forked child, the leader of a process group of its own, with
a time limit: an exception, a signal or a hang is a ``not ok`` of that case and
the others still run. A case passes when it returns and no check failed, neither
in it nor in a process that it forked. ``PROBE a b`` runs only the cases a and b,
``-l`` lists them. Format: Documentation/dev-tools/ktap.rst.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys

# Each import costs 20 to 100 ms of emulated CPU: typing, dataclasses, pathlib,
# contextlib and inspect stay out, and so would `from typing import TYPE_CHECKING`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_SKIPPED = 110  # exit statuses of a case's process, as in ktap.c
_ENDED = 111
_UNTESTED = 113
_MAX_FAILURES = 12  # failures that a case prints; the rest are only counted


class _Case:
    def __init__(self, run: Callable[[], None], seconds: int) -> None:
        self.name = run.__name__
        self.run = run
        # The harness sets KTAP_SLOW where the kernel is several times slower (lockdep).
        self.seconds = seconds * int(os.environ.get("KTAP_SLOW", "1"))


class _Tally:
    """A file of the running case, to which processes that it forks can append too.

    Appending is atomic, so no failure of several processes at once is lost.
    """

    def __init__(self, name: str) -> None:
        self._fd = os.memfd_create(name)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)

    def clear(self) -> None:
        os.ftruncate(self._fd, 0)

    def add(self, text: str) -> int:
        os.write(self._fd, text.encode())
        return self.size()

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def text(self) -> str:
        return os.pread(self._fd, self.size(), 0).decode()


_cases: list[_Case] = []
_failures = _Tally("failures")  # one byte each
_reason = _Tally("reason")  # of a skip, or of the first need() that did not hold


def case(*, seconds: int = 20) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Make the function a case, in the order of the file."""

    def add(run: Callable[[], None]) -> Callable[[], None]:
        _cases.append(_Case(run, seconds))
        return run

    return add


def note(text: str) -> None:
    """Print diagnostic lines, each with one write(), so that processes do not mix them."""
    for line in text.splitlines():
        os.write(1, f"# {line}\n".encode())


def _where() -> str:
    """Return file and line of the call into this module."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.currentframe() is this
    while frame.f_back and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _fail(text: str) -> None:
    if _failures.add("x") <= _MAX_FAILURES:
        note(f"{_where()}: {text}")


def check(ok: object, text: str) -> bool:
    """Count a failure, and print ``text``, unless ``ok``; go on in any case."""
    if not ok:
        _fail(text)
    return bool(ok)


def check_eq(got: object, want: object, what: str) -> bool:
    """Count a failure unless ``got == want``, and print both."""
    if got != want:
        _fail(f"{what}: expected {want!r}, saw {got!r}")
    return got == want


def must(ok: object, text: str) -> None:
    """End the case as failed unless ``ok``, a step that succeeds on every right kernel."""
    if not ok:
        _fail(text)
        os._exit(_ENDED)


def need(ok: object, text: str) -> None:
    """End the case as untested unless ``ok``: NEED() of ``ktap.h``."""
    if not ok:
        if not _reason.size():
            _reason.add(f"{_where()}: {text}")
        os._exit(_UNTESTED)


def skip(reason: str) -> NoReturn:
    """End the case as skipped: the kernel lacks a feature that `needs:` must name."""
    _reason.clear()
    _reason.add(reason)
    os._exit(_SKIPPED)


def _child(run: Callable[[], None]) -> NoReturn:
    """Run a case in its own process, which ends here."""
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        run()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else _ENDED)
    except BaseException:  # noqa: BLE001 - any exception is a failure of the case
        import traceback  # noqa: PLC0415 - half a second, and rarely needed

        _failures.add("x")
        note(traceback.format_exc())
        os._exit(_ENDED)
    os._exit(0)


def _quietly(call: Callable[[int, int], None], first: int, second: int) -> None:
    try:
        call(first, second)
    except OSError:
        return


def _wait(child: int, seconds: int) -> tuple[int, bool]:
    """Return the wait status, and whether the time limit ended it."""
    timed_out = False

    def kill(_signal: int, _frame: object) -> None:
        nonlocal timed_out
        timed_out = True
        os.killpg(child, signal.SIGKILL)

    _quietly(os.setpgid, child, child)  # unless the child did it first
    signal.signal(signal.SIGALRM, kill)
    signal.alarm(seconds)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    _quietly(os.killpg, child, signal.SIGKILL)  # children that the case left behind
    return status, timed_out


def _run(number: int, one: _Case) -> bool:
    _failures.clear()
    _reason.clear()
    child = os.fork()
    if not child:
        _child(one.run)
    status, timed_out = _wait(child, one.seconds)
    code = os.waitstatus_to_exitcode(status)
    failures = _failures.size()
    ended = {_SKIPPED: "SKIP", _UNTESTED: "UNTESTED"}.get(code, "")
    if timed_out:
        _reason.clear()
        _reason.add(f"not finished after {one.seconds} s")
        ended = "TIMEOUT"
    directive = ended if _reason.size() and not failures else ""
    ok = directive == "SKIP" or (code == 0 and not failures)
    how = ""
    if code < 0 and not timed_out:
        how = f"killed by signal {-code} ({signal.strsignal(-code)})"
    elif code and not failures and not directive:
        how = f"exit status {code}"
    if failures > _MAX_FAILURES:
        note(f"and {failures - _MAX_FAILURES} more failed checks")
    if how:
        note(f"{one.name}: expected to return, {how}")
    reason = f" # {directive} {_reason.text()}" if directive else ""
    print(f"{'ok' if ok else 'not ok'} {number} {one.name}{reason}", flush=True)
    return ok


def main() -> NoReturn:
    """Run the cases named on the command line, or all; exit status 1 if one failed."""
    names = sys.argv[1:]
    if names == ["-l"]:
        print("\n".join(one.name for one in _cases))
        sys.exit(0)
    known = {one.name for one in _cases}
    for name in names:
        if name not in known:
            print(f"{sys.argv[0]}: no case {name}; -l lists them", file=sys.stderr)
            sys.exit(2)
    wanted = [one for one in _cases if not names or one.name in names]
    print(f"KTAP version 1\n1..{len(wanted)}", flush=True)
    results = [_run(number, one) for number, one in enumerate(wanted, 1)]
    sys.exit(0 if all(results) else 1)
