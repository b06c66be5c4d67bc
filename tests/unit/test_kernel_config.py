# SPDX-License-Identifier: MIT
"""What was asked for against the final .config."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import ConfigError
from harness.kernel.config import (
    Request,
    check_config,
    merge_fragments,
    parse_config,
    render_config,
)

if TYPE_CHECKING:
    from pathlib import Path

KCONFIG = """\
menuconfig SWAP
\tbool "swap"
\tdepends on MMU
\tdepends on BLOCK

config BASE
\thex
if X
config MTE
\tbool
endif
"""

NAMES = st.text(alphabet="ABCXYZ_0123456789", min_size=1)
VALUES = st.sampled_from(["y", "n", "m", "0x10", "8", '"text"', '""'])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/Kconfig.debug").write_text(KCONFIG)
    return tmp_path


@given(st.dictionaries(NAMES, VALUES))
def test_rendered_config_reads_back(values: dict[str, str]) -> None:
    assert parse_config(render_config(values)) == values


def test_unset_is_n() -> None:
    assert parse_config("# CONFIG_A is not set\nCONFIG_B=y\n# words\n\n") == {"A": "n", "B": "y"}


def test_later_fragment_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("CONFIG_A=y\nCONFIG_B=y\n")
    second.write_text("CONFIG_A=n\n")
    assert merge_fragments([first, second]) == {"A": "n", "B": "y"}


def test_garbage_in_a_fragment(tmp_path: Path) -> None:
    path = tmp_path / "a.config"
    path.write_text("CONFIG_A=y\nCONFIG_B y\n")
    with pytest.raises(ConfigError, match=r"a\.config: line 2"):
        merge_fragments([path])


@pytest.mark.parametrize(
    ("asked", "final"),
    [
        ({"SWAP": "y"}, {"SWAP": "y", "OTHER": "y"}),
        ({"SWAP": "n"}, {"SWAP": "n"}),
        ({"SWAP": "n"}, {}),  # its menu is not open: not even "is not set" is written
        ({"BASE": "0xFF"}, {"BASE": "0xff"}),
    ],
)
def test_given_as_asked(tree: Path, asked: dict[str, str], final: dict[str, str]) -> None:
    assert check_config(Request(asked), final, tree) == []


def test_refused_names_what_it_depends_on(tree: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(Request({"SWAP": "y"}), {}, tree)
    assert "CONFIG_SWAP=y: refused, got n (depends on MMU && BLOCK)" in caught.value.cause


def test_what_a_release_lacks_or_refuses_is_no_error(tree: Path) -> None:
    asked = {"SWAP": "y", "NOT_YET": "y"}
    here = frozenset({"SWAP", "NOT_YET"})
    lacking = check_config(Request(asked), {}, tree, here)
    assert [item.symbol for item in lacking] == ["NOT_YET", "SWAP"]
    with pytest.raises(ConfigError, match="CONFIG_SWAP=y: refused"):
        check_config(Request(asked, frozenset({"NOT_YET", "SWAP"})), {}, tree)


def test_forced_on(tree: Path) -> None:
    with pytest.raises(ConfigError, match="CONFIG_MTE=n: refused, got y"):
        check_config(Request({"MTE": "n"}), {"MTE": "y"}, tree)


@pytest.mark.parametrize("value", ["y", "n"])
def test_unknown_symbol_whatever_was_asked(tree: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=f"CONFIG_SWPA={value}: this tree has no such symbol"):
        check_config(Request({"SWPA": value}), {}, tree)


def test_all_of_several_are_listed(tree: Path) -> None:
    with pytest.raises(ConfigError, match="and 1 more") as caught:
        check_config(Request({"SWAP": "y", "NO": "y"}), {}, tree)
    assert len(caught.value.details.splitlines()) == 2


def test_a_symbol_that_the_tree_may_lack(tree: Path) -> None:
    lacking = check_config(Request({"ZBUD": "y"}, frozenset({"ZBUD"})), {}, tree)
    assert [item.symbol for item in lacking] == ["ZBUD"]


def test_what_it_may_lack_it_may_not_refuse(tree: Path) -> None:
    with pytest.raises(ConfigError, match="refused"):
        check_config(Request({"SWAP": "y"}, frozenset({"SWAP"})), {}, tree)


@pytest.mark.parametrize(
    ("symbol", "what"), [("ZBUD", "this tree has no such symbol"), ("SWAP", "refused")]
)
def test_what_the_command_line_sets_is_not_excused(tree: Path, symbol: str, what: str) -> None:
    """Neither by the tree, nor by the release."""
    named = frozenset({symbol})
    request = Request({symbol: "y", "BASE": "y"}, named, by_hand=named)
    with pytest.raises(ConfigError, match=f"CONFIG_{symbol}=y: {what}.* 1 more .correct --set"):
        check_config(request, {}, tree, named)


def test_what_the_command_line_takes_from_a_fragment(tree: Path) -> None:
    """As a choice does: of HZ_250=y in a fragment and --set HZ_1000=y the last one counts."""
    request = Request({"BASE": "0x1", "SWAP": "y"}, by_hand=frozenset({"BASE"}))
    assert request.text == "CONFIG_SWAP=y\nCONFIG_BASE=0x1\n"
    with pytest.raises(ConfigError, match="on purpose: --set SWAP=n too"):
        check_config(request, {"BASE": "0x1"}, tree)


def test_an_empty_string_that_is_not_visible(tree: Path) -> None:
    assert check_config(Request({"SWAP": '""'}), {}, tree) == []


def test_a_digest_for_all_that_matters() -> None:
    """A kernel that was built without the complaint is not taken for one that the user set."""
    plain = Request({"A": "y"})
    named = frozenset({"A"})
    others = [
        Request({"A": "n"}),
        Request({"A": "y"}, by_hand=named),
        Request({"A": "y"}, start=""),
        Request({"A": "y"}, start="CONFIG_B=y\n"),
        Request({"A": "y"}, start="", features=frozenset({"Z"})),
    ]
    assert len({request.digest for request in (plain, *others)}) == 6
    assert plain.digest == Request({"A": "y"}, may_lack=named).digest
