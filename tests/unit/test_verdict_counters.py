# SPDX-License-Identifier: MIT
"""Counters: parsing, and which changes over a test are a problem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.verdict.counters import (
    FREE,
    LOOKS,
    RESERVED,
    RULES,
    Counters,
    Direction,
    Rule,
    parse,
    returned,
)

GOLDEN = Path(__file__).parent / "golden" / "counters"


def snapshot() -> Counters:
    """meminfo and vmstat of a stock 6.12 guest at rest."""
    return parse((GOLDEN / "meminfo").read_text(), (GOLDEN / "vmstat").read_text())


def changed(name: str, by: int) -> Counters:
    before = snapshot()
    if name in before.vmstat:
        return replace(before, vmstat={**before.vmstat, name: before.vmstat[name] + by})
    return replace(before, meminfo={**before.meminfo, name: before.meminfo.get(name, 0) + by})


def test_parse_stock() -> None:
    counters = snapshot()
    assert counters.meminfo["MemTotal"] == 1021248
    assert counters.meminfo["Active(anon)"] == 48544
    assert counters.meminfo["HugePages_Total"] == 0
    assert counters.vmstat["nr_free_pages"] == 231767
    assert counters.vmstat["nr_isolated_anon"] == 0


@pytest.mark.parametrize(
    ("meminfo", "vmstat"), [("", "a 1\n"), ("MemTotal: 1 kB\n", ""), ("cat: no such file", "a 1\n")]
)
def test_no_counters_is_no_snapshot(meminfo: str, vmstat: str) -> None:
    with pytest.raises(ValueError, match="no counter in it"):
        parse(meminfo, vmstat)


def test_nothing_changed() -> None:
    assert returned(snapshot(), snapshot()) == ()


def test_stock_has_what_the_rules_are_about() -> None:
    counters = snapshot()
    issue_4 = {"MetadataTotal", "MetadataFree", RESERVED}  # of the tag storage series
    missing = {
        r.name for r in RULES if r.name not in (counters.vmstat if r.vmstat else counters.meminfo)
    }
    assert missing <= issue_4


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_draws_its_line(rule: Rule) -> None:
    sign = -1 if rule.direction is Direction.LOSS else 1
    before = snapshot()
    if rule.name not in before.meminfo and rule.name not in before.vmstat:
        before = changed(rule.name, 500)

    def after(by: int) -> Counters:
        table = dict(before.vmstat if rule.vmstat else before.meminfo)
        table[rule.name] = table.get(rule.name, 0) + by
        return replace(before, vmstat=table) if rule.vmstat else replace(before, meminfo=table)

    assert returned(before, after(sign * rule.slack)) == ()
    (problem,) = returned(before, after(sign * (rule.slack + 1)))
    assert problem.rule is rule
    assert str(problem).startswith(f"{rule.name}: ")
    assert rule.why in str(problem)
    other_way = returned(before, after(-sign * (rule.slack + 1)))
    assert bool(other_way) is (rule.direction is Direction.SAME)


def test_counter_that_appears_or_goes_is_compared_with_zero() -> None:
    gone = replace(snapshot(), meminfo={"SwapTotal": 0})
    assert "MemTotal" in {problem.rule.name for problem in returned(snapshot(), gone)}


def test_reserved_tag_storage_is_exact() -> None:
    def counters(success: int, free: int) -> Counters:
        text = (
            f"nr_free_pages 1\nmetadata_reserve_success {success}\nmetadata_reserve_free {free}\n"
        )
        return parse("MemTotal: 1 kB\n", text)

    assert returned(counters(10, 9), counters(110, 109)) == ()
    (problem,) = returned(counters(10, 9), counters(110, 108))
    assert (problem.rule.name, problem.before, problem.after) == (RESERVED, 4, 8)


def test_each_look_drops_caches_before_it_folds_the_counters() -> None:
    for line in LOOKS:
        assert line.rindex("drop_caches") < line.index("stat_refresh")


def test_later_looks_do_more() -> None:
    assert [line.count("drop_caches") for line in LOOKS] == [1, 2, 2, 2]
    assert ["slab" in line for line in LOOKS] == [False, False, True, True]


def test_pages_on_cpu_lists_are_free() -> None:
    zoneinfo = (
        "Node 0, zone      DMA\n  pages free     1000\n  pagesets\n    cpu: 0\n"
        "              count:    100\n              high:     200\n    cpu: 1\n"
        "              count:    25\n              high:     200\n"
    )
    snapshot = parse("MemFree: 1000 kB\nCached: 50 kB\n", "nr_dirty 0\n", zoneinfo)
    assert snapshot.meminfo["FreeOrCache"] == 1000 + 50 + 4 * 125


def test_free_pages_on_the_lists_of_a_cpu_have_the_size_of_a_page() -> None:
    zoneinfo = "Node 0, zone DMA\n  pagesets\n    cpu: 0\n              count: 3\n"
    texts = ((GOLDEN / "meminfo").read_text(), (GOLDEN / "vmstat").read_text(), zoneinfo)
    small, large = parse(*texts), parse(*texts, page_kb=16)
    assert large.meminfo[FREE] - small.meminfo[FREE] == 3 * (16 - 4)


@pytest.mark.parametrize(("page_kb", "times"), [(4, 1), (16, 1), (64, 4)])
def test_slack_grows_with_pages_beyond_16_kib(page_kb: int, times: int) -> None:
    before = replace(snapshot(), page_kb=page_kb)

    def after(by: int) -> Counters:
        return replace(changed("PageTables", by), page_kb=page_kb)

    assert returned(before, after(512 * times)) == ()
    (problem,) = returned(before, after(512 * times + 1))
    assert f"allowed {512 * times}:" in str(problem)
