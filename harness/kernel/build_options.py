# SPDX-License-Identifier: MIT
"""How a kernel's source is built, where the user says so: --series, --config, --set, --llvm."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.kernel.series import Series

TREE = "tree"
_ASSIGNMENT = re.compile(r"(?:CONFIG_)?(?P<name>[A-Za-z0-9_]+)=(?P<value>.*)", re.ASCII)
_PLAIN = re.compile(r'[ymn]|-?\d+|0[xX][0-9a-fA-F]+|".*"')
_SPELLED = 2  # symbols that a kernel's name spells out


@dataclass(frozen=True)
class BuildOptions:
    """What the user says about the build of each source.

    ``config``: the .config to start from, ``"tree"`` for that of the source directory, ``""`` for
    the fragments of ``stock``. ``symbols``: config symbols without ``CONFIG_`` and their values, as
    a .config has them, on top of all else. ``llvm``: built with clang and lld. ``series``: patches
    for the source, each series on top of the one before.
    """

    config: str = ""
    symbols: tuple[tuple[str, str], ...] = ()
    llvm: bool = False
    series: tuple[Series, ...] = ()

    def words(self) -> list[str]:
        """Return the options as words of a command line.

        Each is one word: pytest takes a path that is a word of its own for a place of tests
        (_pytest/config/findpaths.py, determine_setup()).
        """
        series = [f"--series={one.path}" for one in self.series]
        config = [f"--config={self.config}"] if self.config else []
        symbols = [f"--set={name}={value}" for name, value in self.symbols]
        return [*series, *config, *symbols, *(["--llvm"] if self.llvm else [])]

    @property
    def suffix(self) -> str:
        """Return what a kernel's name has at its end, so that it differs from the plain one's."""
        parts = [one.name for one in self.series]
        if self.config:
            name = Path(self.config).name
            parts.append("config" if name in {TREE, ".config"} else name)
        if len(self.symbols) > _SPELLED:
            parts.append(f"{len(self.symbols)} symbols")
        else:
            parts += [f"{name}={value}" for name, value in self.symbols]
        if self.llvm:
            parts.append("llvm")
        return "".join(f"+{part}" for part in parts)

    def located(self, tree: Path | None) -> BuildOptions:
        """Return the options with ``config`` as the absolute path of a file.

        ``tree`` is the directory whose .config ``--config tree`` means, None if there is none.
        Raise UsageError.
        """
        if not self.config:
            return self
        path = Path(self.config).expanduser().resolve()
        if self.config == TREE:
            if path.is_file():
                raise UsageError(
                    f"--config {TREE} may be the source's own .config or the file {path}",
                    f"write ./{TREE} for the file",
                )
            if tree is None:
                raise UsageError(
                    "--config tree is for a source directory: a release has no .config",
                    "name a file",
                )
            path = tree / ".config"
            if not path.is_file():
                raise UsageError(
                    f"--config tree: there is no {path}",
                    "configure the tree, or name the .config of its output directory (O=)",
                )
        elif not path.is_file():
            what = "this is a directory" if path.is_dir() else "there is no such file"
            raise UsageError(
                f"--config {self.config}: {what}",
                f"name a .config, or {TREE} for that of the source directory",
            )
        return dataclasses.replace(self, config=str(path))


PLAIN = BuildOptions()


def parse_options(
    config: str | None,
    assignments: Iterable[str],
    *,
    llvm: bool,
    series: tuple[Series, ...] = (),
) -> BuildOptions:
    """Return the options of a command line; of two values for one symbol the later one counts.

    ``config`` is None where the option is not there. ``assignments`` are SYMBOL=VALUE, with or
    without ``CONFIG_``. A value that is not y, m, n, a number or in quotes is a string, which
    Kconfig wants in quotes. Raise UsageError.
    """
    if config == "":
        raise UsageError("--config names no file", f"name a .config, or {TREE}")
    symbols: dict[str, str] = {}
    for assignment in assignments:
        found = _ASSIGNMENT.fullmatch(assignment)
        if not found:
            raise UsageError(
                f"--set {assignment!r} is not SYMBOL=VALUE",
                "such as --set KASAN=y, or NR_CPUS=4",
            )
        symbols[found["name"]] = _quoted(found["value"])
    return BuildOptions(config or "", tuple(symbols.items()), llvm, series)


def _quoted(value: str) -> str:
    """Return ``value`` as a .config has it (scripts/kconfig/confdata.c, escape_string_value())."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
