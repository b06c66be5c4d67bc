# SPDX-License-Identifier: MIT
"""The pages, the mail and the KCIDB document of a night: complete, and safe to look at."""

from __future__ import annotations

import email
import email.policy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError
from harness.history import kcidb, mail
from harness.history.bugs import bugs_of
from harness.history.changes import CLOSE_AFTER
from harness.history.database import opened
from harness.history.night import COMES_UP, KernelRun, Measure, Run, State
from harness.history.past import load_past
from harness.history.review import review
from harness.history.site import CLASSES, Site
from harness.history.wording import headline, slug
from tests.unit.night_sample import CONTEXT, ENTRY, KERNEL, keep, look, nights, ran, run_of

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>\"'&</pre><b x='\x1b[31m{{ 7 * 191 }}"


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.ids.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def write(results: Path) -> dict[str, Page]:
    """Write the site, and return its pages by path."""
    with opened(results) as database:
        Site(review(database, load_past(database), None), database).write(results / "site")
    top = results / "site"
    pages = sorted(top.rglob("*.html"))
    return {str(path.relative_to(top)): Page(path.read_text()) for path in pages}


def hostile_runs(text: str) -> list[Run]:
    """Return two nights in which each text of each record is ``text``."""
    kernel = KernelRun(text, text, text, text, text, 1.0)
    tests = [
        ran(
            f"{text}{number}", state, kernel=text, machine=text, reason=text, fingerprint=text,
            bug=text if state is State.KNOWN else "", about=text, repeat=text,
            cases={State.FAIL: (text, f"{text}2"), State.PASS: (f"{text}3",)},
        )
        for number, state in enumerate(State)
    ]  # fmt: skip
    return [
        run_of(
            night,
            tests if night == 2 else [replace(test, state=State.PASS) for test in tests],
            entry=text,
            kernels=(kernel,),
            context=replace(CONTEXT, harness=f"{text}{night}", qemu=text, compiler=text, host=text),
            measures=(Measure(text, text, text, "s", 1.0),),
            selection=text,
            errors=(text,) if night == 2 else (),
            not_run={text: text},
        )
        for night in (1, 2)
    ]


def test_nothing_in_a_record_becomes_markup(tmp_path: Path) -> None:
    keep(tmp_path / "plain", *hostile_runs("plain/"))
    keep(tmp_path / "hostile", *hostile_runs(HOSTILE))
    plain, hostile = write(tmp_path / "plain"), write(tmp_path / "hostile")
    assert len(plain) == len(hostile)
    shown = HOSTILE.replace("\x1b", "\\x1b")
    for pages in zip(plain.values(), hostile.values(), strict=True):
        assert "script" not in pages[1].tags
        assert "b" not in pages[1].tags
        assert "1337" not in pages[1].text
    assert hostile["index.html"].tags == plain["index.html"].tags
    for page in hostile.values():
        assert "\x1b" not in page.text
        assert shown in page.text or "Night" in page.text
    assert shown in hostile["index.html"].text


def test_all_links_lead_somewhere(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pf", "a/b": "pp", "bug": "kk", "gone": "p-", "crash": "px"})
    report = tmp_path / "nights/20261102-200000/001/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("")
    pages = write(tmp_path)
    assert {"index.html", "tests.html"} < pages.keys()
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            assert not anchor or anchor in page.ids, f"{name}: {link}"
            target = (tmp_path / "site" / name).parent / path if path else tmp_path
            assert target.exists(), f"{name}: {link}"


def test_links_of_a_splat_in_a_finding_and_of_a_kernel_without_a_test(tmp_path: Path) -> None:
    crash = ran("bug", State.SPLAT, bug="docs/x.md", fingerprint="oops-1", reason="Oops")
    known = ran("bug", State.KNOWN, bug="docs/x.md")
    kernels = (KERNEL, replace(KERNEL, name="bare"))
    keep(tmp_path, run_of(1, [known], report=""), run_of(2, [crash], kernels=kernels, report=""))
    pages = write(tmp_path)
    assert f"bugs/{slug('oops-1')}.html" in pages
    for name, page in pages.items():
        for link in page.links:
            path = link.partition("#")[0]
            assert (tmp_path / "site" / name).parent.joinpath(path).exists(), f"{name}: {link}"


def test_a_night_that_nobody_was_told_of_is_marked(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "ppp"})
    with opened(tmp_path) as database:
        past = load_past(database, untold=["20261102-200000"])
        page = Page(Site(review(database, past, None), database).front())
    assert "20261102-200000 (interrupted)" in page.text


def test_the_front_page_says_what_changed(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pf", "fixed": "fp", "gone": "p-", "bug": "kk", "fine": "pp"})
    page = write(tmp_path)["index.html"]
    assert "1 regression, 1 disappeared" in page.text
    assert re.search(r"Since the night 20261101-200000: nothing else changed", page.text)
    assert "docs/bugs/it.md" in page.text
    assert headline(look(tmp_path)) == "1 regression, 1 disappeared"


def test_whole_runs_are_those_of_tonight(tmp_path: Path) -> None:
    """Each night of a rotation has another selection of tests, which is never run again."""
    for night in (1, 2):
        keep(tmp_path, run_of(night, [ran("swap")], selection=f"1 of 2 (night {night})"))
    trends = write(tmp_path)["index.html"].text.partition("Whole runs")[2]
    assert ("(night 1)" in trends, "(night 2)" in trends) == (False, True)


def test_a_quiet_night_is_good(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pp"})
    write(tmp_path)
    text = (tmp_path / "site/index.html").read_text()
    assert '<header class="banner good">' in text
    keep(tmp_path, run_of(3, [ran("swap")], errors=("the host was ill",)))
    write(tmp_path)
    assert '<header class="banner bad">' in (tmp_path / "site/index.html").read_text()


def test_a_test_s_page_has_its_history_and_its_cases(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("swap", cases={State.PASS: ("one", "two")})]))
    bad = ran("swap", State.FAIL, cases={State.PASS: ("two",), State.FAIL: ("one",)}, reason="why")
    keep(tmp_path, run_of(2, [bad]))
    page = write(tmp_path)[f"tests/{slug('swap')}.html"]
    assert "fail on 20261102-200000" in page.text
    assert "one" in page.text and "two" not in page.text
    assert "why" in page.text
    assert "1 passes, 1 failures, 1 flips" in page.text


def test_a_page_of_a_test_that_is_gone_goes(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "p"})
    write(tmp_path)
    stale = tmp_path / "site/tests/stale.html"
    stale.write_text("")
    write(tmp_path)
    assert not stale.exists()


def test_each_state_and_kind_has_a_class_that_the_style_has(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "p"})
    write(tmp_path)
    text = (tmp_path / "site/index.html").read_text()
    for name in set(CLASSES.values()):
        assert f".{name} {{ color" in text


def test_slugs_differ() -> None:
    assert slug("a/b") != slug("a-b")
    assert re.fullmatch(r"[A-Za-z0-9-]+", slug(HOSTILE * 9))


# --- bugs -----------------------------------------------------------------------


def test_bugs_say_where_they_show_and_when_they_may_be_closed(tmp_path: Path) -> None:
    nights(tmp_path, {"bug": "k" + "p" * CLOSE_AFTER, "crash": "p" * CLOSE_AFTER + "x"})
    keep(
        tmp_path,
        run_of(
            CLOSE_AFTER + 2,
            [ran("crash", State.SPLAT, fingerprint="oops-1", reason="Oops"),
             ran("bug", State.KNOWN, bug="docs/bugs/it.md", kernel="other")],
            kernels=(KERNEL, replace(KERNEL, name="other")),
        ),
    )  # fmt: skip
    with opened(tmp_path) as database:
        known, splat = bugs_of(load_past(database), database)
    assert (known.name, known.where, known.may_be_closed) == (
        "docs/bugs/it.md", ("other",), ("stock",),
    )  # fmt: skip
    assert (splat.name, splat.where, splat.may_be_closed) == ("oops-1", ("stock",), ())


# --- mail -----------------------------------------------------------------------


def test_the_mail_is_one_that_sendmail_takes(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pf", "bug": "kk"})
    raw = mail.message(look(tmp_path), "The pages: /x")
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert read["Subject"] == "mte-harness: 1 regression"
    text = read.get_content()
    assert "REGRESSION (1)\n  ✓✗ swap on stock@emulator" in text
    assert "The pages: /x" in text
    assert all(len(line) <= 78 for line in text.splitlines())


def test_a_reason_is_told_once(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("swap")]))
    keep(tmp_path, run_of(2, [ran("swap", State.SKIP, reason="no swap here")]))
    assert mail.text(look(tmp_path)).count("no swap here") == 1
    assert write(tmp_path)["index.html"].text.count("no swap here") == 1


def test_hostile_text_does_not_act_on_a_terminal(tmp_path: Path) -> None:
    keep(tmp_path, *hostile_runs(HOSTILE + "\nX-Injected: 1\n\n"))
    raw = mail.message(look(tmp_path), "x")
    assert b"\x1b" not in raw
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert read["X-Injected"] is None


# --- KCIDB ----------------------------------------------------------------------


def test_a_night_is_a_document_of_kcidb(tmp_path: Path) -> None:
    tests = [ran(f"area/{state}", state, bug="docs/x.md" if state is State.KNOWN else "",
                 cases={State.FAIL: ("a case / of 2",)}) for state in State]  # fmt: skip
    down = ran(COMES_UP, State.FAIL, kernel="other")
    found = kcidb.document([run_of(1, [*tests, down])])
    statuses = {test["path"]: test["status"] for test in found["tests"]}
    assert statuses["mte_harness.area.lost"] == "FAIL"
    assert statuses["mte_harness.area.error"] == "ERROR"
    assert statuses["mte_harness.area.known"] == "FAIL"
    assert statuses["mte_harness.area.pass.a_case.of_2"] == "FAIL"
    assert len(found["issues"]) == len(found["incidents"]) == 1
    assert {build["status"] for build in found["builds"]} == {"PASS", "FAIL"}
    assert json.loads(kcidb.dumps(found)) == found
    for kind in ("checkouts", "builds", "tests", "issues", "incidents"):
        ids = [item["id"] for item in found[kind]]
        assert len(ids) == len(set(ids)), kind


def test_a_kernel_without_a_key_is_another_each_night() -> None:
    down = ran(COMES_UP, State.FAIL, kernel="other")
    ids = {
        kcidb.document([run_of(night, [down], kernels=())])["builds"][0]["id"] for night in (1, 2)
    }
    assert len(ids) == 2
    lost = kcidb.document([run_of(1, [ran(COMES_UP, State.LOST, kernel="x")], kernels=())])
    assert "status" not in lost["builds"][0]  # nothing is known of its build


def test_a_test_with_two_kernels_is_on_the_first() -> None:
    test = ran("cost", kernel="stock, tag-storage", machine="emulator, dram")
    found = kcidb.document([run_of(1, [test])])
    assert [build["misc"]["key"] for build in found["builds"]] == [KERNEL.key]


def test_hostile_names_are_in_the_schema(tmp_path: Path) -> None:
    kcidb.document(hostile_runs(HOSTILE))
    kcidb.document(hostile_runs(" "))


def test_what_the_schema_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kcidb, "ORIGIN", "Not Allowed")
    with pytest.raises(HarnessError, match="KCIDB's schema refuses"):
        kcidb.document([run_of(1, [ran("swap")])])


def test_the_entry_is_named(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pp"})
    assert ENTRY in write(tmp_path)["index.html"].text
