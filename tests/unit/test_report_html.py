# SPDX-License-Identifier: MIT
"""The HTML page and the terminal's table: what they say, and that nothing is loaded or run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.report import html, plot, terminal
from harness.report.model import Figure, Sample
from tests.unit.report_sample import good_run, sample_run, splat_record

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


@pytest.fixture(scope="module")
def bad() -> Page:
    return Page(html.render(sample_run()))


def test_verdict_comes_first(bad: Page) -> None:
    body = bad.text[bad.text.index("}\n") :]
    assert "stock: 13 passed, 1 skipped; no-swap-restore: 5 of 14 tests failed" in body
    assert body.index("5 of 14 tests failed") < body.index("Failures") < body.index("Tests by")


def test_failure_shows_assertion_splat_console_and_command(bad: Page) -> None:
    run = sample_run()
    for item in run.failures:
        assert item.repeat in bad.text
        for reason in item.reasons:
            assert reason.text in bad.text
            for detail in reason.details:
                assert detail in bad.text
        for splat in item.splats:
            assert splat.fingerprint in bad.text
            for line in splat.lines:
                assert line in bad.text
        assert item.console in bad.text


def test_every_link_has_its_place(bad: Page) -> None:
    assert bad.links
    assert len(bad.ids) == len(set(bad.ids))
    assert {link.removeprefix("#") for link in bad.links} <= set(bad.ids)


def test_self_contained() -> None:
    text = html.render(sample_run())
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed"})
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name == "src"}
    assert not re.search(r"https?://|@import|url\(", text)


@pytest.mark.parametrize("field", ["name", "area", "kernel", "about", "repeat", "console", "id"])
def test_everything_is_escaped(field: str) -> None:
    hostile = "<script>\"'&</pre><b x='"
    run = sample_run()
    change: dict[str, Any] = {field: hostile}
    items = tuple(replace(item, **change) for item in run.items)
    page = Page(html.render(replace(run, items=items, host={hostile: hostile}, command=hostile)))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert hostile in page.text


def test_good_run() -> None:
    page = Page(html.render(good_run()))
    assert "stock: 13 passed, 1 skipped" in page.text
    assert "Failures" not in page.text


def test_figures_of_reuse_are_shown_where_there_are_any() -> None:
    title = "What reuse of tag storage gives"
    assert title not in Page(html.render(replace(good_run(), figures=()))).text
    run = replace(good_run(), figures=(Figure("a <fault>", "1.01", "2868", "2880", "1.004"),))
    page = Page(html.render(run))
    assert title in page.text
    assert "a <fault>" in page.text
    assert "1.004" in page.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"items": ()}, "No verdict: no test ran"),
        ({"errors": ("no QEMU",)}, "No verdict: no QEMU"),
        ({"items": (), "kernels": (), "errors": ("recipe is wrong",)}, "No verdict: recipe"),
    ],
)
def test_run_without_verdict_is_not_good(change: dict[str, Any], said: str) -> None:
    run = replace(good_run(), **change)
    text = html.render(run)
    assert said in Page(text).text
    assert '<header class="banner bad">' in text
    assert "✗" in terminal.render(run, Path("/r.html"))


def test_matrix_has_a_cell_for_each_probe_and_kernel() -> None:
    run = sample_run()
    anchors = {id(item): str(number) for number, item in enumerate(run.items)}
    areas = html.matrix(run, anchors)
    assert [area for area, _ in areas] == ["faults", "zero", "swap", "copy", "selftests"]
    swap = {row.name: row.cells for row in dict(areas)["swap"]}
    stock, broken = swap["swap_disk"]
    assert stock is not None and broken is not None
    assert (stock.status, broken.status) == ("pass", "fail")
    assert (broken.passed, broken.cases) == (1, 3)
    only_stock = replace(run, items=run.items[1:])
    (row, *_) = dict(html.matrix(only_stock, anchors))["faults"]
    assert len(row.cells) == 2


def test_durations_add_up() -> None:
    for duration in html.durations(sample_run()):
        assert sum(spent for _, spent, _ in duration.phases) == pytest.approx(duration.item.seconds)
        assert sum(percent for _, _, percent in duration.phases) <= 100.001


def test_brief_splat_keeps_what_tells() -> None:
    text = html.brief(splat_record("oops_null"))
    assert text.startswith("Unable to handle kernel NULL pointer dereference")
    assert "sysrq_handle_showallcpus+0xc/0x20" in text
    assert "Kernel panic" in text
    assert not re.search(r"x29: |pstate|Code:|Mem abort", text)
    kasan = html.brief(splat_record("kasan"))
    assert "mte_restore_tags" in kasan
    assert "print_report" not in kasan


def test_page_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    html.write(sample_run(), path)
    html.write(good_run(), path)
    assert path.read_text() == html.render(good_run())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.123, "0.12 s"), (12.3, "12 s"), (200.0, "3 min 20 s"), (119.9, "2 min 0 s")],
)
def test_seconds(value: float | None, text: str) -> None:
    assert html.seconds(value) == text


def test_growth_bars() -> None:
    (one, two, *_) = good_run().items
    start = {"SUnreclaim": 100, "FreeOrCache": 9000, "AnonPages": 5}
    grown = {"SUnreclaim": 100 + 9000, "FreeOrCache": 9000 - 50, "AnonPages": 5}
    items = (
        replace(one, counters=(Sample(0, start), Sample(1, grown))),
        replace(two, counters=(Sample(0, start), Sample(1, start))),
    )
    plots = {bars.name: bars for bars in plot.growth(items)}
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


def test_lines_need_three_samples() -> None:
    (item, *_) = good_run().items
    assert plot.lines(item) == ()
    values = tuple(Sample(at, {"SUnreclaim": 10 * at, "FreeOrCache": 7}) for at in (0, 1, 4))
    (line,) = plot.lines(replace(item, counters=values))
    assert line.name == "SUnreclaim"
    assert line.points == "0.0,80.0 75.0,61.0 300.0,4.0"


def test_terminal() -> None:
    text = terminal.render(sample_run(), Path("/somewhere/report.html"), width=80)
    lines = text.splitlines()
    assert lines[-1] == "report: /somewhere/report.html"
    assert "5 of 14 tests failed" in lines[-2]
    assert "swap_disk.c:88: after swap-in: page 0 granule 3: expected tag 9, saw 0" in text
    assert "again: .venv/bin/pytest --qemu --kernel no-swap-restore" in text
    assert "\x1b" not in text
    assert "\x1b[" in terminal.render(sample_run(), Path("/r"), color=True)


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
    run = sample_run()
    items = tuple(replace(item, name="[bold]x[/]", area="[red]") for item in run.items)
    text = terminal.render(replace(run, items=items), Path("/r"))
    assert "[bold]x[/]" in text
    assert "[red]" in text
