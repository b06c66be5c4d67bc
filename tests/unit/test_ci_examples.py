# SPDX-License-Identifier: MIT
"""The examples for CI services: their form, their commands, and what they try again."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.shards import slurm
from tests.unit.test_docs import ROOT, check_mte_harness

EXAMPLES = ROOT / "docs" / "examples"
GITHUB, GITLAB = EXAMPLES / "github-workflow.yml", EXAMPLES / "gitlab-ci.yml"
SCHEMAS = {GITHUB: "vendor.github-workflows", GITLAB: "vendor.gitlab-ci"}


def loaded(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe").load(path)
    return data


def schema_says(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    """Check a file against a schema that comes with check-jsonschema."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items(), ids=SCHEMAS.values())
def test_form(path: Path, schema: str, tmp_path: Path) -> None:
    done = schema_says(path, schema)
    assert done.returncode == 0, done.stdout
    bad = tmp_path / path.name
    bad.write_text(path.read_text().replace("stage:", "sage:").replace("runs-on:", "runs-in:"))
    assert schema_says(bad, schema).returncode == 1


def github_lines() -> list[str]:
    jobs = loaded(GITHUB)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def gitlab_lines() -> list[str]:
    jobs = [job for job in loaded(GITLAB).values() if isinstance(job, dict) and "script" in job]
    return [line for job in jobs for line in job["script"]]


@pytest.mark.parametrize("lines", [github_lines(), gitlab_lines()], ids=["github", "gitlab"])
def test_commands(lines: list[str]) -> None:
    words = [shlex.split(line) for line in lines if line.startswith("scripts/mte-harness")]
    assert [line[1] for line in words] == ["plan", "bundle", "shard", "merge"]
    for line in words:
        check_mte_harness(line[1:])


def test_every_shard_is_run() -> None:
    (plan,) = [line for line in github_lines() if " plan " in line]
    matrix = loaded(GITHUB)["jobs"]["shard"]["strategy"]["matrix"]["shard"]
    assert f"--shards {len(matrix)} " in plan
    assert matrix == list(range(1, len(matrix) + 1))
    assert str(loaded(GITLAB)["shard"]["parallel"]) == loaded(GITLAB)["variables"]["SHARDS"]


def test_one_failure_ends_no_other_shard_and_the_merge_comes_anyway() -> None:
    jobs = loaded(GITHUB)["jobs"]
    assert jobs["shard"]["strategy"]["fail-fast"] is False
    assert jobs["merge"]["if"].startswith("always()")
    assert loaded(GITLAB)["merge"]["when"] == "always"


def test_only_the_host_s_trouble_is_tried_again() -> None:
    assert sorted(loaded(GITLAB)["shard"]["retry"]["exit_codes"]) == sorted(slurm.AGAIN)
