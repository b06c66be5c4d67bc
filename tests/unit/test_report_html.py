# SPDX-License-Identifier: MIT
"""The HTML page and the terminal's table: what they say, and that nothing is loaded or run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.core.ktap import KtapResult, Outcome
from harness.report import html, plot, terminal
from harness.report.model import (
    NO_KERNEL,
    Figure,
    Hole,
    HoleKind,
    KernelRecord,
    Report,
    ShardRecord,
)
from harness.verdict.patterns import SplatKind
from harness.verdict.result import CounterSample, ProbeResult, Reason, Status
from harness.verdict.splat import Frame, Splat
from tests.unit.report_sample import (
    changed,
    decoded_splat,
    good_report,
    record_without_kernel,
    sample_report,
)

VOID = {"meta"}


class Page(HTMLParser):
    """Checks that tags nest; collects ids, links, text and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.columns: list[str] = []  # the headings of the matrix, which is the first table
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open[-1:] == ["th"] and self.attributes[-1] == ("scope", "col"):
            self.columns.append(data)

    def cells_after(self, cell: str) -> list[str]:
        """Return the cells that follow ``cell`` in its row of the kernels' table."""
        rest = self.text[self.text.index(cell) :].split("\n")[1:]
        return [line for line in rest[:3] if line]


@pytest.fixture(scope="module")
def bad() -> Page:
    return Page(html.render(sample_report()))


def test_verdict_comes_first(bad: Page) -> None:
    body = bad.text[bad.text.index("}\n") :]
    assert "stock: 13 passed, 1 skipped; no-swap-restore: 5 of 14 tests failed" in body
    assert body.index("5 of 14 tests failed") < body.index("Failures") < body.index("Tests by")


def test_failure_shows_assertion_splat_console_and_command(bad: Page) -> None:
    for test in sample_report().failures:
        assert test.repeat in bad.text
        for reason in test.result.reasons:
            assert reason.text in bad.text
            for detail in reason.details:
                assert detail in bad.text
        for splat in test.result.splats:
            assert splat.fingerprint in bad.text
            for line in splat.lines:
                assert line in bad.text
        assert test.result.console in bad.text


def test_splat_is_shown_in_brief_and_whole_and_no_third_time(bad: Page) -> None:
    splat = decoded_splat("kasan")
    assert bad.text.count("\n".join(splat.lines)) == 1
    assert bad.text.count(html.brief(splat)) == 1


def test_failure_shows_what_the_program_printed(bad: Page) -> None:
    assert "swap_leak: a line of its own" in bad.text


def test_finding_of_the_auditor_is_shown(bad: Page) -> None:
    assert "2 pages: it is tag storage, reserved for no page" in bad.text
    assert "frame 0x7a000" in bad.text


def test_every_link_has_its_place(bad: Page) -> None:
    assert bad.links
    assert len(bad.ids) == len(set(bad.ids))
    assert {link.removeprefix("#") for link in bad.links} <= set(bad.ids)


def test_self_contained() -> None:
    text = html.render(sample_report())
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed"})
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name == "src"}
    assert not re.search(r"https?://|@import|url\(", text)


HOSTILE = "<script>\"'&</pre><b x='"


def full_report(text: str) -> Report:
    """Return a report in which each string field of each class has ``text``."""
    frame = Frame(text, 1, 2)
    splat = Splat(
        SplatKind.OOPS, text, (text,), (frame,), 1.0, frame, 0, text, registers=((text, text),)
    )
    result = ProbeResult(
        Status.SPLAT,
        (Reason(Status.SPLAT, text, (text,)), Reason(Status.FAIL, text, (text,))),
        (
            KtapResult(
                1, text, Outcome.FAIL, text, (text,), (KtapResult(1, text, Outcome.SKIP, text),)
            ),
        ),
        (splat,),
        (CounterSample(0, {"SUnreclaim": 1}), CounterSample(1, {"SUnreclaim": 9000})),
        phases={text: 1.0},
        stdout=text,
        stderr=text,
        console=text,
    )
    record = replace(
        record_without_kernel(),
        id=text, name=text, area=text, kernel=text, machine=text, result=result, about=text,
        repeat=text,
    )  # fmt: skip
    good = replace(record, id=f"{text}2", result=replace(result, status=Status.PASS))
    return Report(
        started=text,
        seconds=1,
        command=text,
        host={text: text},
        qemu=text,
        machine={text: text},
        kernels=(KernelRecord(text, text, text, text, 1.0, text),),
        tests=(record, good),
        errors=(text,),
        figures=(Figure(text, text, text, text, text),),
        shards=(ShardRecord(text, 1, 2, text, text, text, 0),),
        holes=(Hole(HoleKind.MISSING, text, 2, (text,)),),
    )


@pytest.mark.parametrize("text", [HOSTILE, "{{ 7 * 191 }}", "]]></svg><img src=x onerror=y>"])
def test_nothing_in_a_report_becomes_markup(text: str) -> None:
    markup = Page(html.render(full_report("plain")))
    page = Page(html.render(full_report(text)))
    assert page.tags == markup.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in markup.attributes}
    assert "1337" not in page.text


# Where each string of a report is on the page: its text replaces the plain one there.
SHOWN = {
    "Report": ("started", "command", "qemu", "errors", "host", "machine"),
    "TestRecord": ("id", "name", "area", "kernel", "about", "repeat"),
    "KernelRecord": ("name", "release", "key", "recipe", "unaudited"),
    "ProbeResult": ("stdout", "stderr", "console", "phases"),
    "Figure": ("what", "reach", "stock", "reuse", "result"),
    "ShardRecord": ("node", "commit"),
    "Hole": ("text", "tests"),
}


@pytest.mark.parametrize(
    ("owner", "field"), [(owner, field) for owner, names in SHOWN.items() for field in names]
)
def test_everything_is_shown_as_it_is(owner: str, field: str) -> None:
    report = full_report("plain")
    hostile = HOSTILE[:14] if field == "key" else HOSTILE  # of a key 16 digits are shown
    value: Any = hostile
    if field in {"host", "machine"} and owner == "Report":
        value = {hostile: hostile}
    elif field == "phases":
        value = {hostile: 1.0}
    elif field in {"errors", "tests"}:
        value = (hostile,)
    change: dict[str, Any] = {field: value}
    (bad, good) = report.tests
    if owner == "Report":
        report = replace(report, **change)
    elif owner == "TestRecord":
        report = replace(report, tests=(replace(bad, **change), good))
    elif owner == "ProbeResult":
        report = replace(report, tests=(replace(bad, result=replace(bad.result, **change)), good))
    elif owner == "KernelRecord":
        report = replace(report, kernels=(replace(report.kernels[0], **change),))
    elif owner == "ShardRecord":
        report = replace(report, shards=(replace(report.shards[0], **change),))
    elif owner == "Hole":
        report = replace(report, holes=(replace(report.holes[0], **change),))
    else:
        report = replace(report, figures=(replace(report.figures[0], **change),))
    page = Page(html.render(report))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert hostile in page.text


@pytest.mark.parametrize("field", ["name", "reason"])
def test_text_of_a_case_is_shown_as_it_is(field: str) -> None:
    report = good_report()
    change: dict[str, Any] = {field: HOSTILE}
    cases = tuple(
        replace(case, outcome=Outcome.XFAIL, **change) for case in report.tests[0].result.cases
    )
    tests = (changed(report.tests[0], cases=cases),)
    page = Page(html.render(replace(report, tests=tests)))
    assert "script" not in page.tags
    assert HOSTILE in page.text


def test_lines_of_a_splat_and_details_of_a_reason_are_shown_as_they_are() -> None:
    report = sample_report()
    worst = report.failures[1]
    splat = replace(worst.result.splats[0], lines=(HOSTILE,))
    reasons = (Reason(Status.FAIL, "b", (HOSTILE + "2",)), Reason(Status.SPLAT, HOSTILE + "3"))
    test = changed(worst, splats=(splat,), reasons=reasons)
    page = Page(html.render(replace(report, tests=(test,))))
    assert "script" not in page.tags
    for text in (HOSTILE, HOSTILE + "2", HOSTILE + "3"):
        assert text in page.text


def test_good_run() -> None:
    page = Page(html.render(good_report()))
    assert "stock: 13 passed, 1 skipped" in page.text
    assert "Failures" not in page.text


def test_figures_of_reuse_are_shown_where_there_are_any() -> None:
    title = "What reuse of tag storage gives"
    assert title not in Page(html.render(replace(good_report(), figures=()))).text
    figures = (Figure("a <fault>", "1.01", "2868", "2880", "1.004"),)
    page = Page(html.render(replace(good_report(), figures=figures)))
    assert title in page.text
    assert "a <fault>" in page.text
    assert "1.004" in page.text


HOLES = (Hole(HoleKind.MISSING, "shard 2 is missing", 2, ("test_x",)),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tests": ()}, "No verdict: no test ran"),
        ({"errors": ("no QEMU",)}, "No verdict: no QEMU"),
        ({"tests": (), "kernels": (), "errors": ("recipe is wrong",)}, "No verdict: recipe"),
        ({"holes": HOLES}, "Incomplete, 1 hole; stock: 13 passed, 1 skipped"),
        ({"tests": (), "holes": HOLES}, "No verdict: shard 2 is missing"),
    ],
)
def test_run_without_verdict_is_not_good(change: dict[str, Any], said: str) -> None:
    report = replace(good_report(), **change)
    text = html.render(report)
    assert said in Page(text).text
    assert '<header class="banner bad">' in text
    assert "✗" in terminal.render(report, Path("/r.html"))


@pytest.mark.parametrize("status", list(Status))
def test_each_status_has_its_badge_and_its_place(status: Status) -> None:
    report = good_report()
    reasons = (Reason(status, f"it is {status}"),)
    test = changed(report.tests[0], status=status, reasons=reasons)
    report = replace(report, tests=(test,))
    text = html.render(report)
    page = Page(text)
    assert f'title="{html.WORDS[status]}"' in text
    assert f"{html.SYMBOLS[status]} 1 {status}" in page.text
    assert ("Failures" in page.text) is not status.good
    assert (f'<header class="banner {"good" if status.good else "bad"}">') in text
    shown = terminal.render(report, Path("/r"))
    assert f"{html.SYMBOLS[status]} 1" in shown
    assert (f"  it is {status}" in shown) is not status.good


def test_symbols_and_words_are_told_apart() -> None:
    assert set(html.SYMBOLS) == set(html.WORDS) == set(Status)
    assert len(set(html.SYMBOLS.values())) == len(Status)


def test_matrix_has_a_cell_for_each_probe_and_kernel() -> None:
    report = sample_report()
    anchors = {id(test): str(number) for number, test in enumerate(report.tests)}
    areas = html.matrix(report, anchors)
    assert [area for area, _ in areas] == ["faults", "zero", "swap", "copy", "selftests"]
    swap = {row.name: row.cells for row in dict(areas)["swap"]}
    stock, broken = swap["swap_disk"]
    assert stock is not None and broken is not None
    assert (stock.status, broken.status) == ("pass", "fail")
    assert (broken.passed, broken.cases) == (1, 3)
    assert broken.seconds == pytest.approx(report.tests[14 + 6].seconds)
    only_stock = replace(report, tests=report.tests[1:])
    (row, *_) = dict(html.matrix(only_stock, anchors))["faults"]
    assert len(row.cells) == 2


def test_test_without_a_kernel_has_a_column_of_its_own() -> None:
    report = sample_report()
    report = replace(report, tests=(*report.tests, record_without_kernel()))
    page = Page(html.render(report))
    assert NO_KERNEL in page.columns
    assert page.columns[:3] == ["test", "stock", "no-swap-restore"]
    anchors = {id(test): str(number) for number, test in enumerate(report.tests)}
    (row,) = dict(html.matrix(report, anchors))["emulator_check"]
    assert [cell is not None for cell in row.cells] == [False, False, True]
    assert f"{NO_KERNEL}: 1 passed" in page.text
    assert f"{NO_KERNEL}: 1 passed" in terminal.render(report, Path("/r"))


def test_cell_shows_the_worst_of_several_tests_of_one_name() -> None:
    report = good_report()
    first, second = report.tests[:2]
    second = changed(
        replace(second, name=first.name, area=first.area), reasons=(Reason(Status.FAIL, "x"),)
    )
    anchors = {id(first): "one", id(second): "two"}
    ((_, (row,)),) = html.matrix(replace(report, tests=(first, second)), anchors)
    (cell,) = row.cells
    assert cell is not None
    assert (cell.status, cell.anchor) == (Status.FAIL, "two")
    assert cell.cases == len(first.result.cases) + len(second.result.cases)
    assert cell.seconds == pytest.approx(first.seconds + second.seconds)


def test_median_of_the_clones_of_a_kernel() -> None:
    report = good_report()

    def cloned(*times: float) -> Report:
        tests = [changed(t, phases={"clone": s}) for t, s in zip(report.tests, times, strict=False)]
        return replace(report, tests=tuple(tests))

    stock = replace(report.kernels[0], name="stock", machine="emulator")
    assert html.clone_seconds(cloned(0.3, 0.1, 9.0), stock) == 0.3
    for other in (replace(stock, name="another"), replace(stock, machine="dram/carveout")):
        assert html.clone_seconds(cloned(0.3, 0.1, 9.0), other) is None
    assert html.clone_seconds(replace(report, tests=()), stock) is None
    page = Page(html.render(cloned(0.3, 0.1, 9.0)))
    assert page.cells_after("8f1e0c5ad3b94e21") == ["1.31 s", "0.30 s", "after each program"]


def test_kernel_without_boot_or_clones_has_dashes() -> None:
    report = replace(sample_report(), tests=(record_without_kernel(),))
    page = Page(html.render(report))
    assert page.cells_after("27c6d1b70a443f90") == ["-", "-", "no: tags are not in DRAM"]


def test_durations_add_up() -> None:
    for duration in html.durations(sample_report()):
        assert sum(spent for _, spent, _ in duration.phases) == pytest.approx(duration.test.seconds)
        assert sum(percent for _, _, percent in duration.phases) <= 100.001


def test_brief_splat_keeps_what_tells() -> None:
    text = html.brief(decoded_splat("oops_null"))
    assert text.startswith("Unable to handle kernel NULL pointer dereference")
    assert "sysrq_handle_showallcpus+0xc/0x20" in text
    assert "Kernel panic" in text
    assert not re.search(r"x29: |pstate|Code:|Mem abort", text)
    kasan = html.brief(decoded_splat("kasan"))
    assert "mte_restore_tags" in kasan
    assert "print_report" not in kasan


def test_page_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    html.write(sample_report(), path)
    html.write(good_report(), path)
    assert path.read_text() == html.render(good_report())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.123, "0.12 s"), (12.3, "12 s"), (200.0, "3 min 20 s"), (119.9, "2 min 0 s")],
)
def test_seconds(value: float | None, text: str) -> None:
    assert html.seconds(value) == text


def test_growth_bars() -> None:
    (one, two, *_) = good_report().tests
    start = {"SUnreclaim": 100, "FreeOrCache": 9000, "AnonPages": 5}
    grown = {"SUnreclaim": 100 + 9000, "FreeOrCache": 9000 - 50, "AnonPages": 5}
    tests = (
        changed(one, samples=(CounterSample(0, start), CounterSample(1, grown))),
        changed(two, samples=(CounterSample(0, start), CounterSample(1, start))),
    )
    plots = {bars.name: bars for bars in plot.growth(tests)}
    assert set(plots) == {"SUnreclaim", "FreeOrCache"}  # AnonPages did not change
    slab = plots["SUnreclaim"]
    assert (slab.least, slab.most) == (0, 9000)
    assert [bar.over for bar in slab.bars] == [True, False]
    assert slab.limit is not None and slab.bars[0].y < slab.limit < slab.zero
    memory = plots["FreeOrCache"]
    assert [bar.over for bar in memory.bars] == [False, False]
    assert memory.bars[0].y == memory.zero  # it hangs below the line
    assert memory.limit is None  # far beyond the plot
    for bars in plots.values():
        for bar in bars.bars:
            assert -0.01 <= bar.y <= bar.y + bar.height <= plot.HEIGHT + 0.01


def test_growth_needs_a_sample_from_before_and_one_from_after() -> None:
    (one, *_) = good_report().tests
    assert plot.growth((changed(one, samples=(CounterSample(0, {"SUnreclaim": 1}),)),)) == ()


def test_terminal() -> None:
    text = terminal.render(sample_report(), Path("/somewhere/report.html"), width=80)
    lines = text.splitlines()
    assert lines[-1] == "report: /somewhere/report.html"
    assert "5 of 14 tests failed" in lines[-2]
    assert "swap_disk.c:88: after swap-in: page 0 granule 3: expected tag 9, saw 0" in text
    assert "again: .venv/bin/pytest --qemu --kernel no-swap-restore" in text
    assert "\x1b" not in text
    assert "\x1b[" in terminal.render(sample_report(), Path("/r"), color=True)


def test_terminal_shows_figures_of_reuse(tmp_path: Path) -> None:
    rows = (
        Figure("a [red]fault", "1.01", "2868", "2880", "1.004"),
        Figure("the worst", "", "", "7", ""),
    )
    heading, first, second, last = terminal.figures(rows, tmp_path / "x.html").splitlines()
    assert heading.split()[-4:] == ["stock", "tag-storage", "ratio", "aim"]
    assert first.split() == ["a", "[red]fault", "2868", "2880", "1.004", "1.01"]
    assert second.split() == ["the", "worst", "7"]
    assert last == f"report: {tmp_path / 'x.html'}"


def test_terminal_takes_markup_as_text() -> None:
    report = sample_report()
    reasons = (Reason(Status.FAIL, "[red]text[/]", ("[red]detail[/]",)),)
    tests = tuple(
        changed(
            replace(test, name="[bold]x[/]", area="[red]", kernel="[k]", repeat="[r]"),
            reasons=reasons,
        )
        for test in report.tests
    )
    text = terminal.render(replace(report, tests=tests), Path("/r"))
    for part in ("[bold]x[/] on [k]", "[red] ", "  [red]text[/]", "    [red]detail[/]", "[r]"):
        assert part in text
    assert "[k]: 28 of 28 tests failed" in text


def test_terminal_has_a_splat_on_one_line() -> None:
    lines = terminal.render(sample_report(), Path("/r")).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("⚡ swap_zram"))
    assert lines[at + 1].startswith("  BUG: KASAN: ")
    assert "the kernel became tainted" in "".join(lines[at + 2 : at + 4])
    assert not any("=====" in line for line in lines)  # KASAN draws a border, its first line


def test_terminal_counts_what_it_leaves_out() -> None:
    report = good_report()
    tests = tuple(changed(test, reasons=(Reason(Status.FAIL, "x"),)) for test in report.tests)
    text = terminal.render(replace(report, tests=tests), Path("/r"))
    assert text.count("\n✗ ") == 10 + 1
    assert "and 4 more" in text
