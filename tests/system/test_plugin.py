# SPDX-License-Identifier: MIT
"""The plugin beside tests that are not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.suite.session import Session


@pytest.mark.parametrize(
    ("kernel", "template", "guest", "probe"), [("a kernel", "a template", "a guest", "a probe")]
)
def test_arguments_may_have_the_names_of_fixtures(
    kernel: str, template: str, guest: str, probe: str, harness_session: Session
) -> None:
    """The record of the test would end pytest with INTERNALERROR, whatever the test does."""
    assert (kernel, template, guest, probe) == ("a kernel", "a template", "a guest", "a probe")
    assert harness_session.qemu
