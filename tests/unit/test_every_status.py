# SPDX-License-Identifier: MIT
"""Each exit status that is documented is produced by a test, which is named here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.test_docs import real_statuses

TESTS = Path(__file__).resolve().parents[1]

# Status -> the file below tests/ and the test. The command runs as a process of its own in it, ...
FROM_OUTSIDE = {
    0: "system/test_cli.py::test_clean_program",
    1: "system/test_cli.py::test_failed_program",
    3: "system/test_cli.py::test_splat_is_decoded_to_file_and_line",
    4: "system/test_cli.py::test_guest_lost",
    5: "system/test_host_trouble.py::test_a_kernel_that_does_not_come_up",
    129: "system/test_host_trouble.py::test_a_signal_while_qemu_is_stopped",
    130: "system/test_cli.py::test_interrupted_in_mid_run",
    143: "system/test_cli.py::test_interrupted_in_mid_run",
    159: "unit/test_host_trouble.py::test_few_descriptors",
    160: "unit/test_host_trouble.py::test_a_cache_that_cannot_be",
    161: "unit/test_host_trouble.py::test_trouble_while_the_command_is_imported",
    162: "unit/test_host_trouble.py::test_what_a_command_names",
    163: "unit/test_host_trouble.py::test_what_a_user_s_environment_tells_the_compiler",
    164: "unit/test_host_trouble.py::test_a_qemu_in_trouble",
    165: "unit/test_host_trouble.py::test_a_qemu_in_trouble",
    166: "unit/test_host_trouble.py::test_no_compiler",
    169: "nightly/test_own_namespaces.py::test_a_full_disk",
    170: "system/test_host_trouble.py::test_a_damaged_saved_guest_is_named",
    171: "unit/test_host_trouble.py::test_what_a_command_names",
    172: "system/test_host_trouble.py::test_qemu_is_killed",
    174: "unit/test_host_trouble.py::test_what_a_command_names",
    175: "unit/test_exit_status.py::test_statuses",
}
# ... or only its error is seen, in the process of the test: a whole run would need a kernel that
# is built for it, or a machine that the harness does not have.
INSIDE = {
    125: "unit/test_kernel_obtain.py::test_compile_error_is_shown_with_its_log",
    167: "unit/test_kernel_obtain.py::test_a_series_that_does_not_apply",
    168: "unit/test_kernel_config.py::test_forced_on",
    173: "unit/test_kernel_locate.py::test_wrong_recipe",
    176: "unit/test_vm_geometry.py::test_impossible_layouts_are_refused",
    177: "unit/test_verdict_audit.py::test_vmcoreinfo",
    179: "unit/test_board.py::test_nothing_listens",
    180: "unit/test_board.py::test_a_host_key_that_changed",
    181: "unit/test_board.py::test_a_login_that_is_refused",
    182: "unit/test_board.py::test_the_connection_breaks_and_the_board_runs_on",
    183: "unit/test_board.py::test_an_unfit_board",
    184: "unit/test_board.py::test_a_visit_that_cannot_begin",
    185: "unit/test_board.py::test_something_is_left",
    178: "unit/test_suite_plugin.py::test_a_case_never_gets_what_it_needs",
}


def test_every_status_has_a_test() -> None:
    """The statuses of the code are those of docs/reference/exit-status.md: test_docs.py."""
    assert not FROM_OUTSIDE.keys() & INSIDE.keys()
    assert FROM_OUTSIDE.keys() | INSIDE.keys() == real_statuses()


@pytest.mark.parametrize("place", sorted({*FROM_OUTSIDE.values(), *INSIDE.values()}))
def test_it_is_there(place: str) -> None:
    file, name = place.split("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
