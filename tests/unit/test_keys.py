# SPDX-License-Identifier: MIT
"""Keys of cache entries: another value would build every kernel again."""

from __future__ import annotations

from harness.core.keys import content_key, key_of


def test_keys_stay_what_they_are() -> None:
    assert key_of({"source": "x", "patches": ["1", "2"]}) == "db9c0ab1eb4ffd87"
    assert content_key("https://git.kernel.org/linux.git") == "69be99f1a20b0b5b"


def test_a_key_does_not_depend_on_the_order_of_its_parts() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": "1"})


def test_text_is_hashed_as_its_bytes() -> None:
    assert content_key("ü") == content_key("ü".encode())
