# SPDX-License-Identifier: MIT
"""The pages of a night in Debian's chromium: nothing is cut off, light and dark, narrow and wide.

``MTE_SCREENSHOTS=DIR`` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.history.database import opened
from harness.history.past import load_past
from harness.history.review import review
from harness.history.site import Site
from harness.measure.site_speed import make_up

if TYPE_CHECKING:
    from collections.abc import Iterator

NARROW, WIDE = 500, 1280  # the first is the least that chromium's headless mode takes
SCHEMES = {"dark": 0, "light": 1}  # blink's PreferredColorScheme
# What a page tells of itself in its title: its own width, the window's, and its background.
PROBE = """<script>document.title = [document.documentElement.scrollWidth, window.innerWidth,
getComputedStyle(document.body).backgroundColor].join("|")</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the site of some nights that are made up, with failures among them."""
    results = tmp_path_factory.mktemp("results")
    make_up(results, nights=205, kernels=3, each=120)
    with opened(results) as database:
        seen = review(database, load_past(database), None)
        Site(seen, database).write(results / "site")
    yield results / "site"
    shutil.rmtree(results)


def chromium(directory: Path, *words: str) -> str:
    done = subprocess.run(
        [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={directory}", *words,
        ],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout


def pages(site: Path) -> list[Path]:
    """Return the front page, the list of tests, and the first of each other kind."""
    found = [site / "index.html", site / "tests.html"]
    return [*found, *(sorted((site / kind).iterdir())[0] for kind in ("tests", "kernels"))]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_page_fits_the_window(site: Path, tmp_path: Path, width: int, scheme: str) -> None:
    seen = set()
    for number, page in enumerate(pages(site)):
        copy = tmp_path / f"{number}.html"
        copy.write_text(page.read_text().replace("</body>", f"{PROBE}</body>"))
        look = (
            f"--window-size={width},1600",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        )
        dom = chromium(tmp_path / "profile", *look, "--dump-dom", f"file://{copy}")
        title = re.search(r"<title>(\d+)\|(\d+)\|([^<]*)</title>", dom)
        assert title, dom[:500]
        assert int(title[1]) <= int(title[2]) <= width, page
        seen.add(title[3])
        picture = tmp_path / f"{page.stem}-{width}-{scheme}.png"
        chromium(tmp_path / "profile", *look, f"--screenshot={picture}", f"file://{page}")
        assert picture.stat().st_size > 10_000
        if keep := os.environ.get("MTE_SCREENSHOTS"):
            shutil.copy(picture, Path(keep) / f"{number}-{picture.name}")
    (background,) = seen
    levels = [int(level) for level in re.findall(r"\d+", background)]
    assert (max(levels) < 64) if scheme == "dark" else (min(levels) > 192)
