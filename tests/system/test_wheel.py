# SPDX-License-Identifier: MIT
"""``pip install .`` into an environment outside the checkout: all data are in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from harness.core import errors

CHECKOUT = Path(__file__).parents[2]
COLLECT = ("-m", "pytest", "--qemu", "--collect-only", "-q", "-p", "no:cacheprovider")
LOAD = """
from harness.core.paths import resources
from harness.kernel.recipe import load_recipe, recipe_names, recipe_path
for name in recipe_names(resources()):
    path = recipe_path(name, resources())
    print(name, len(load_recipe(path, resources()).patches))
"""


class Installed:
    """An environment with the wheel, and a directory outside the checkout to work in."""

    def __init__(self, environment: Path, directory: Path) -> None:
        self._bin = environment / "bin"
        self._directory = directory

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return run([self._bin / program, *words], self._directory, self._directory)

    def run_in_checkout(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, *words], CHECKOUT, self._directory)


def run(command: list[str | Path], cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without variables that lead back to the checkout."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel of this working tree beside this environment's dependencies."""
    top = tmp_path_factory.mktemp("wheel")
    # A copy: setuptools leaves build/ and *.egg-info in the tree that it builds from.
    source = top / "source"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in names:
        if (CHECKOUT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, source / name)
    environment = top / "environment"
    venv.create(environment, symlinks=True)
    _link_dependencies(environment, top / "dependencies")
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir"]
    python = str(environment / "bin/python")
    done = run(
        [sys.executable, "-m", "pip", "--python", python, "install", *offline, source], top, top
    )
    assert done.returncode == 0, done.stderr
    (top / "elsewhere").mkdir()
    return Installed(environment, top / "elsewhere")


def _link_dependencies(environment: Path, links: Path) -> None:
    """Give the environment the packages of this one, but for mte-harness itself."""
    links.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "mte_harness" not in path.name:
            (links / path.name).symlink_to(path)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{links}\n")


def collected(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.partition("::") for line in done.stdout.splitlines() if "::" in line]
    return sorted(f"{Path(file).name}::{test}" for file, _, test in lines)


def test_the_package_is_not_that_of_the_checkout(installed: Installed) -> None:
    done = installed.run("python", "-c", "import harness; print(harness.__file__)")
    assert "/environment/lib/" in done.stdout, done


@pytest.mark.parametrize("words", [("--help",), ("build", "--help"), ("--version",)])
def test_the_command_starts(installed: Installed, words: tuple[str, ...]) -> None:
    done = installed.run("mte-harness", *words)
    assert (done.returncode, done.stderr) == (errors.OK, "")


def test_each_recipe_is_there(installed: Installed) -> None:
    here = installed.run_in_checkout("-c", LOAD)
    there = installed.run("python", "-c", LOAD)
    assert "stock 0\n" in there.stdout
    assert there.stdout == here.stdout


def test_the_validation_suite_is_there_with_each_probe(installed: Installed) -> None:
    there = collected(installed.run("python", *COLLECT))
    here = collected(installed.run_in_checkout(*COLLECT, "tests/validation"))
    assert len(there) > 50
    assert there == here


@pytest.mark.parametrize("words", [("test",), ("lock",), ("series", "refresh", "tag-storage")])
def test_what_needs_a_checkout_says_so(installed: Installed, words: tuple[str, ...]) -> None:
    done = installed.run("mte-harness", *words)
    assert done.returncode == errors.SetupError.status
    assert "works on a checkout of mte-harness" in done.stderr
    assert len(done.stderr.splitlines()) == 1
