# SPDX-License-Identifier: MIT
"""``mte-harness figures``: make docs/figures.md from the records of docs/records/.

Nobody types a figure: a measurement leaves a record (:mod:`harness.measure.records`), and the same
records give the same page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from harness.core.errors import ArtifactError
from harness.core.paths import resources
from harness.jobs.rate_page import rate_rows
from harness.measure import records
from harness.measure.cluster_figures import FOUR_NODES, TWO_NODES
from harness.measure.costs import OPERATIONS
from harness.measure.record_sums import Sum, add_up, difference
from harness.measure.records import FIGURES, KINDS, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_README = "README of 983d87e"


@dataclass(frozen=True)
class Aim:
    """What the figure ``name`` of a kind and subject is to reach, and where that is written."""

    kind: str
    subject: str
    name: str
    aim: str
    source: str


AIMS = (
    Aim("figures-of-code", "", "import cycles between rooms", "0", "issue 17"),
    Aim("figures-of-code", "", "lines of README.md", "at most 130", "issue 17"),
    Aim("figures-of-code", "", "unit tests", "20 s", "issue 19"),
    Aim(
        "bootstrap",
        "Debian 12",
        "scripts/validate debian:7.3 -k smoke, nothing cached",
        "5 min",
        "issue 18",
    ),
    Aim("bootstrap", "Debian 12", "scripts/test, nothing cached", "20 min", _README),
    Aim("suite", "stock", "all tests", "95 s, cached", "issue 19"),
    Aim("suite", "stock", "a worker's time beside each program", "0.5 s", "issue 19"),
    Aim("suite", "stock", "all tests, dram / emulator", "1.15", _README),
    Aim("clone", "emulator", "clone running", "0.15 s", _README),
    Aim("clone", "emulator", "clone to first exec answered", "0.25 s", "issue 19"),
    Aim("clone", "emulator", "clone / cold boot, to first exec", "0.25", _README),
    Aim("clone", "dram", "clone running", "0.3 s", _README),
    Aim("clone", "dram", "guest paused by an audit, about 400 MiB tagged", "2 s", _README),
    Aim("kernel-build", "stock", "kernel build from nothing", "6 min", "issue 18"),
    Aim("kernel-build", "stock", "one mm/*.c changed, to a probe's verdict", "25 s", "issue 19"),
    Aim("kernel-build", "stock", "source directory, nothing changed", "2 s", _README),
    Aim("kernel-build", "stock", "source directory, one mm/*.c changed", "40 s", _README),
    Aim("cluster", "debian:7.3", TWO_NODES, "1.10", "issue 20"),
    Aim("cluster", "debian:7.3", FOUR_NODES, "at least 3.5", "issue 20"),
    Aim("pressure", "stock on dram/carveout", "wrong", "0 in 10 seeds", _README),
    Aim("pressure", "stock on dram/unaware", "caught", "10 of 10", _README),
    Aim("pressure", "tag-storage", "wrong", "0 in 30 seeds", _README),
    Aim("pressure", "tag-storage-debug", "wrong", "0 in 30 seeds", _README),
    *[
        Aim("site", "365 nights, 20 kernels, 900 results", what, aim, "issue 20")
        for what, aim in (
            ("database made from the records", "60 s"),
            ("front page from the database", "5 s"),
            ("size of the front page", "1024 KiB"),
        )
    ],
    Aim("night", "debian:7.3 -k smoke", "nightly / validate", "1.05", "issue 20"),
    Aim("mutants", "mutants", "tests: pass", "121 of 121", "issue 17"),
    Aim("explore", "mutants", "mutants found", "85 % of some areas, 5 minutes each", "issue 23"),
    Aim(
        "costs",
        "tag-storage",
        "untagged memory that a program can fill; of tag storage gained",
        "97 %",
        _README,
    ),
    *[Aim("costs", "tag-storage", what, aim, _README) for what, aim in OPERATIONS.values() if aim],
)


def write_figures(root: Path) -> Path:
    """Write docs/figures.md from the records below ``root`` and return its path."""
    path = root / FIGURES
    path.write_text(render(records.load_all(root)), "utf-8")
    return path


def check_figures(root: Path) -> bool:
    """Return whether docs/figures.md is what the records give."""
    path = root / FIGURES
    return path.is_file() and path.read_text("utf-8") == render(records.load_all(root))


HEAD = """\
# Figures

`mte-harness figures` writes this page from the records in `docs/records/`, one file a
measurement; nobody types a figure here. Records add up if they measure the same and nothing that
can change the figure differs between them: the repository paths that `KINDS` in
`harness/measure/records.py` lists, the kernels, the machine, QEMU, and for wall times the host
(`harness/measure/records.py` has the rules). Added up, counts are sums; a value is the mean of the
medians, weighted by n, with the lowest and the highest of all samples. The newest records that
have a figure give it; "before" is what the records before them gave.
"""


def render(found: Mapping[str, Record]) -> str:
    """Return the page that the records give."""
    sums, left_out = add_up(found)
    parts = [HEAD]
    for kind in KINDS:
        of_kind = [total for total in sums if total.newest.kind == kind]
        if kind == "rate":
            if of_kind:
                parts.append(_section("wrong failures on healthy kernels", *rate_rows(of_kind)))
            continue
        subjects = sorted({total.newest.subject for total in of_kind})
        by_subject = [[t for t in of_kind if t.newest.subject == s] for s in subjects]
        rows = [row for group in by_subject for row in _rows(group)]
        remarks = [line for group in by_subject for line in _remarks(group)]
        have = {(total.newest.subject, name) for total in of_kind for name in _names(total)}
        rows += [
            [_title(aim.subject, aim.name), _aim(aim), "not measured", "", "", "", "", ""]
            for aim in AIMS
            if aim.kind == kind and (aim.subject, aim.name) not in have
        ]
        remarks += [
            f"Left out: `{name}` ({reason})."
            for name, reason in left_out.items()
            if found[name].kind == kind
        ]
        if rows or remarks:
            heads = [list(_COLUMNS), ["---"] * len(_COLUMNS)]
            parts.append(_section(kind, [*heads, *rows], remarks))
    return "\n".join(parts)


_COLUMNS = ("what", "aim", "measured", "n", "date", "host", "commit", "before")


def _section(kind: str, table: list[list[str]], remarks: list[str]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table]
    title = kind.replace("-", " ").capitalize()
    below = ["", *[f"* {line}" for line in remarks]] if remarks else []
    return "\n".join([f"## {title}", "", *lines, *below, ""])


def _rows(sums: list[Sum]) -> list[list[str]]:
    """Return the rows of one kind and subject; ``sums`` are the newest first."""
    rows = []
    for name in dict.fromkeys(name for total in sums for name in _names(total)):
        total, *older = [part for part in (total.having(name) for total in sums) if part.pieces]
        new = total.newest
        where = (new.kind, new.subject, name)
        aim = "".join(_aim(aim) for aim in AIMS if (aim.kind, aim.subject, aim.name) == where)
        hosts = "; ".join(dict.fromkeys(p.host.host_class for p in total.pieces.values()))
        before = ""
        if older:
            before = f"{', n = '.join(_measured(older[0], name))} ({_commits(older[0])})"
        row = [_title(new.subject, name), aim, *_measured(total, name)]
        rows.append([*row, new.date[:10], hosts, _commits(total), before])
    return rows


def _remarks(sums: list[Sum]) -> list[str]:
    """Return the records of one kind and subject by name, with their notes."""
    lines = []
    for total in sums:
        names = ", ".join(f"`{name}`" for name in total.pieces)
        changed = difference(sums[0].newest, total.newest)
        lines.append(f"From {names}." if total is sums[0] else f"Not added: {names} ({changed}).")
        for name, piece in total.pieces.items():
            lines += [f"`{name}`: {note}" for note in piece.notes]
    return lines


def _names(total: Sum) -> tuple[str, ...]:
    return (*total.counts, *total.values)


def _title(subject: str, name: str) -> str:
    return f"{subject}: {name}" if subject else name


def _aim(aim: Aim) -> str:
    return f"{aim.aim} ({aim.source})"


def _commits(total: Sum) -> str:
    return ", ".join(dict.fromkeys(piece.commit[:7] for piece in total.pieces.values()))


def _measured(total: Sum, name: str) -> tuple[str, str]:
    """Return a figure and its n as a person reads them."""
    if name in total.counts:
        seeds, runs = len(total.seeds), len(total.pieces)
        n = f"{seeds} seed{'s' if seeds > 1 else ''}" if seeds else str(runs)
        return str(total.counts[name]), n
    value = total.values[name]
    text = f"{_number(value.value)} {value.unit}".strip()
    if value.low < value.high:
        text += f" ({_number(value.low)} to {_number(value.high)})"
    return text, str(value.n)


def _number(value: float) -> str:
    return str(round(value)) if float(value).is_integer() or value >= 1000 else f"{value:.3g}"


@click.command("figures")
@click.option("--check", is_flag=True, help="Write nothing; fail unless the page is up to date.")
def figures_command(*, check: bool) -> None:
    """Make docs/figures.md from the records in docs/records/."""
    root = resources()
    if not check:
        click.echo(write_figures(root))
    elif not check_figures(root):
        raise ArtifactError(f"{FIGURES} is not what the records give", "run `mte-harness figures`")
