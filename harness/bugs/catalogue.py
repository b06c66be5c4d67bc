# SPDX-License-Identifier: MIT
"""The catalogue of bugs, guest/bugs: for each a bug.toml, its program, and its measured rates.

bug.toml, in which an unknown key is an error:

title = "one line"
state = "confirmed"           # new, confirmed, fixed (upstream), stale (no longer shown)
reported = ["message-id, link, or docs/findings/NAME.md"]
introduced = "5.10 36943aba9112"  # release and commit, "" if that is not known
fixed = "6.6 332c151c710a"
program = "../../probes/swap/swap_off.c"   # relative to the directory
arguments = ["prot_none"]
sign = "case prot_none"       # what it shows as: harness/bugs/signs.py
timeout = 60                  # seconds
needs = ["CONFIG_SWAP"]       # what a kernel must be built with
machine = "emulator"
lives, repeat, processes, console, before   # how it is run: docs/reproduce.md

[[has]]                       # a kernel on which it shows
kernel = "stock-6.1"          # with append = "words" of its command line, "" by default
[[free]]                      # one on which it does not
kernel = "stock"

rates.json is written by `mte-harness bug measure`.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cattrs import BaseValidationError, transform_error

from harness.bugs.reproducer import Reproducer
from harness.bugs.signs import is_sign
from harness.core.errors import RecipeError, UsageError
from harness.core.files import replace_file
from harness.core.paths import resources
from harness.core.structure import strict_converter

FILE = "bug.toml"
RATES = "rates.json"
STATES = ("new", "confirmed", "fixed", "stale")
_CONVERTER = strict_converter()


@dataclass(frozen=True)
class On:
    """A kernel, as the command line names it, and more words for its own command line."""

    kernel: str
    append: str = ""

    def __str__(self) -> str:
        """Return both in words."""
        return f"{self.kernel} {self.append}".strip()


@dataclass(frozen=True)
class Measured:
    """How often a bug showed on a kernel: when, on which release, with which QEMU and harness.

    ``runs`` are those that ended with the bug or well; ``spoilt`` ended in another failure.
    """

    hits: int
    runs: int
    spoilt: int
    release: str
    date: str
    qemu: str
    commit: str


@dataclass(frozen=True)
class Bug:
    """One bug of the catalogue; the fields are those of bug.toml."""

    title: str
    state: str
    reported: tuple[str, ...]
    program: str
    sign: str
    has: tuple[On, ...]
    free: tuple[On, ...] = ()
    introduced: str = ""
    fixed: str = ""
    arguments: tuple[str, ...] = ()
    timeout: float = 60.0
    needs: tuple[str, ...] = ()
    machine: str = "emulator"
    lives: float = 0.0
    repeat: int = 1
    processes: int = 1
    console: str = ""
    before: str = ""
    directory: Path = Path()

    @property
    def name(self) -> str:
        """Return the name of the directory."""
        return self.directory.name

    @property
    def finding(self) -> str:
        """Return the page of docs/findings on it, "" for a bug that others found."""
        return next((place for place in self.reported if place.startswith("docs/findings/")), "")

    @property
    def source(self) -> Path:
        """Return the program's file."""
        return (self.directory / self.program).resolve()

    def reproducer(self) -> Reproducer:
        """Return the program, and how it is run."""
        return Reproducer(
            self.source, self.arguments, self.timeout, self.lives, self.repeat, self.processes,
            self.console, self.before,
        )  # fmt: skip

    def rates(self) -> dict[str, Measured]:
        """Return the measured rates by kernel. Raise RecipeError for a damaged file."""
        path = self.directory / RATES
        if not path.exists():
            return {}
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return _CONVERTER.structure(data, dict[str, Measured])
        except (BaseValidationError, ValueError) as error:
            raise RecipeError(f"{path} is damaged: {error}", "restore it with git") from error

    def keep_rate(self, on: On, measured: Measured) -> None:
        """Write the rate on a kernel into rates.json."""
        rates = {**self.rates(), str(on): measured}
        text = json.dumps(_CONVERTER.unstructure(dict(sorted(rates.items()))), indent=1)
        replace_file(self.directory / RATES, f"{text}\n".encode())


def catalogue(root: Path | None = None) -> tuple[Bug, ...]:
    """Return all bugs by name. Raise RecipeError for a bug.toml that is wrong."""
    place = (root or resources()) / "guest" / "bugs"
    return tuple(load_bug(path.parent) for path in sorted(place.glob(f"*/{FILE}")))


def find_bug(name: str) -> Bug:
    """Return a bug by its name. Raise UsageError."""
    bugs = {bug.name: bug for bug in catalogue()}
    if name not in bugs:
        raise UsageError(f"the catalogue has no bug {name!r}", f"one of: {', '.join(bugs)}")
    return bugs[name]


def load_bug(directory: Path) -> Bug:
    """Return the bug in a directory. Raise RecipeError."""
    path = directory / FILE
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        if "directory" in data:
            raise ValueError("directory is no key of it")
        for table in ("has", "free"):
            data[table] = data.get(table, [])
        bug = _CONVERTER.structure({**data, "directory": str(directory)}, Bug)
    except BaseValidationError as error:
        raise RecipeError(f"{path}: {transform_error(error)[0]}", _CURE) from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: {error}", _CURE) from error
    for wrong, why in (
        (bug.state not in STATES, f"state {bug.state!r} is none of {', '.join(STATES)}"),
        (not is_sign(bug.sign), f"sign {bug.sign!r} is no sign"),
        (not bug.source.is_file(), f"there is no program {bug.source}"),
        (not bug.reported, "reported is empty"),
        (not bug.has and bug.state != "stale", "no kernel has it, and it is not stale"),
        (bool(set(bug.has) & set(bug.free)), "a kernel both has it and is free of it"),
    ):
        if wrong:
            raise RecipeError(f"{path}: {why}", _CURE)
    return bug


_CURE = "see harness/bugs/catalogue.py for the form"
