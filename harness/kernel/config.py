# SPDX-License-Identifier: MIT
"""Kernel configuration: what is asked for, and the final .config checked against it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import ConfigError
from harness.core.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")


@dataclass(frozen=True)
class Request:
    """The configuration asked for.

    ``asked``: symbols, without ``CONFIG_``, and the values that the final .config must have.
    ``may_lack``: those of them that the tree's Kconfig may not define. ``by_hand``: those of them
    that the command line names, which neither tree nor release may lack or refuse. ``start``: the
    text of a .config below them; None if all else is off. ``features``: symbols that are built in
    where ``start`` has them as modules, if that is possible: the guest has no modules.
    """

    asked: Mapping[str, str]
    may_lack: frozenset[str] = frozenset()
    by_hand: frozenset[str] = frozenset()
    start: str | None = None
    features: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """A hash, in hex, of all that can change the final .config, or make it an error."""
        asked = hashlib.sha256(render_config(self.asked).encode()).hexdigest()
        if self.start is None and not self.by_hand:
            return asked
        names = {"by_hand": sorted(self.by_hand), "features": sorted(self.features)}
        return key_of({"asked": asked, "start": self.start, **names})

    @property
    def text(self) -> str:
        """What is asked for, as Kconfig reads it.

        Of several members of a choice that are ``y``, the last one counts
        (scripts/kconfig/confdata.c, conf_read_simple()): that of the command line.
        """
        first = {name: value for name, value in self.asked.items() if name not in self.by_hand}
        last = {name: self.asked[name] for name in self.by_hand}
        return render_config(first) + render_config(last)


@dataclass(frozen=True)
class Mismatch:
    """A symbol whose value in the final .config is not the one asked for; ``n`` means unset.

    ``known``: the tree's Kconfig defines the symbol. ``depends``: its "depends on" lines.
    """

    symbol: str
    asked: str
    got: str
    known: bool
    depends: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for a message."""
        if not self.known:
            return f"CONFIG_{self.symbol}={self.asked}: this tree has no such symbol"
        rule = f" (depends on {' && '.join(self.depends)})" if self.depends else ""
        return f"CONFIG_{self.symbol}={self.asked}: refused, got {self.got}{rule}"


def parse_config(text: str) -> dict[str, str]:
    """Return symbol -> value of a .config or fragment; names without ``CONFIG_``, ``n`` if unset.

    Raise ValueError, with the number of the line, for a line that is no setting and no comment.
    """
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if found := _SET.fullmatch(line) or _UNSET.fullmatch(line):
            values[found[1]] = found[2] if found.re is _SET else "n"
        elif line and not line.startswith("#"):
            raise ValueError(f"line {number}: {line!r} is not CONFIG_NAME=value")
    return values


def merge_fragments(paths: Iterable[Path]) -> dict[str, str]:
    """Return the configuration that the fragments ask for; a later one wins. Raise ConfigError."""
    merged: dict[str, str] = {}
    for path in paths:
        try:
            merged |= parse_config(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path}: {error}", "correct the fragment") from error
    return merged


def render_config(values: Mapping[str, str]) -> str:
    """Return the text that parse_config() reads back, sorted."""
    return "".join(f"CONFIG_{name}={value}\n" for name, value in sorted(values.items()))


def compare_config(
    asked: Mapping[str, str], final: Mapping[str, str], tree: Path
) -> list[Mismatch]:
    """Return the symbols that have another value in ``final`` than ``asked`` for.

    A symbol that the Kconfig files of ``tree`` do not define is a mismatch even if ``n`` was
    asked for: it may be misspelled.
    """
    doubtful = {
        name: value
        for name, value in asked.items()
        if name not in final or normal(final[name]) != normal(value)
    }
    if not doubtful:
        return []
    definitions = _definitions(tree, doubtful.keys())
    return [
        Mismatch(name, value, final.get(name, "n"), name in definitions, definitions.get(name, ()))
        for name, value in sorted(doubtful.items())
        if name not in definitions or normal(final.get(name, "n")) != normal(value)
    ]


def check_config(
    request: Request,
    final: Mapping[str, str],
    tree: Path,
    not_here: frozenset[str] = frozenset(),
) -> list[Mismatch]:
    """Return the symbols that ``tree`` lacks, as it may; raise ConfigError for other mismatches.

    ``not_here`` are symbols that this release lacks or refuses (releases.py).
    """
    mismatches = compare_config(request.asked, final, tree)
    lacking = [
        item
        for item in mismatches
        if item.symbol not in request.by_hand
        and (item.symbol in not_here or (not item.known and item.symbol in request.may_lack))
    ]
    wrong = [item for item in mismatches if item not in lacking]
    wrong.sort(key=lambda item: item.symbol not in request.by_hand)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        cure = "correct the fragments, or list a symbol that the tree may lack in `optional`"
        if wrong[0].symbol in request.by_hand:
            cure = "correct --set, or set what the symbol depends on as well"
        elif request.by_hand:
            cure = f"if --set makes that so on purpose: --set {wrong[0].symbol}={wrong[0].got} too"
        raise ConfigError(
            f"the final .config is not what was asked for: {wrong[0]}{more}",
            cure,
            "\n".join(map(str, wrong)),
        )
    return lacking


def normal(value: str) -> str:
    """Return ``value`` so that 0x10 and 0X10 are equal, and an empty string and one not visible."""
    if value == '""':
        return "n"
    return value.lower() if value.lower().startswith("0x") else value


def _definitions(tree: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return those of ``names`` that Kconfig defines, with their ``depends on`` lines.

    Kconfig language: Documentation/kbuild/kconfig-language.rst, "Menu entries".
    """
    wanted = set(names)
    found: dict[str, tuple[str, ...]] = {}
    for path in _kconfig_files(tree):
        symbol = None
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            word, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if word in {"config", "menuconfig"}:
                symbol = rest if rest in wanted else None
                if symbol:
                    found.setdefault(symbol, ())
            elif symbol and word == "depends" and rest.startswith("on "):
                found[symbol] += (rest.removeprefix("on ").strip(),)
            elif word in {"menu", "endmenu", "choice", "endchoice", "if", "endif", "source"}:
                symbol = None
    return found


def _kconfig_files(tree: Path) -> Iterable[Path]:
    for top, directories, files in os.walk(tree):
        directories[:] = [name for name in directories if name not in {".git", "Documentation"}]
        yield from (Path(top, name) for name in files if name.startswith("Kconfig"))
