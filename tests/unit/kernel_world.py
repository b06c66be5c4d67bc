# SPDX-License-Identifier: MIT
"""A repository of recipes, a fake kernel tree that builds in milliseconds, and a cache."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.progress import Silent
from harness.host.debian_source import SourceTarball
from harness.kernel import Kernel, base, locate_kernel, obtain_kernel
from harness.kernel.build_options import PLAIN, BuildOptions
from harness.kernel.sources import Places

if TYPE_CHECKING:
    import pytest

FAKE = Path(__file__).parent / "fakelinux"
PATCH = """\
--- a/mm/memory.c
+++ b/mm/memory.c
@@ -2,7 +2,7 @@

 int do_swap_page(int entry)
 {
-\tint page = entry;
+\tint page = entry + 1;

 \treturn page;
 }
"""


@dataclass(frozen=True)
class World:
    """A repository with recipes, a user's tree, and a cache."""

    root: Path
    linux: Path
    cache: Path
    sources: Path

    def recipe(self, name: str, text: str, patch: str = "") -> None:
        directory = self.root / "kernel-configs" / name
        (directory / "patches").mkdir(parents=True)
        (directory / "kernel.toml").write_text(text)
        (directory / "patches/series").write_text("0001.patch\n")
        (directory / "patches/0001.patch").write_text(patch)

    def fragment(self, text: str) -> None:
        (self.root / "kernel-configs/fragments/base.config").write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.linux / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def obtain(
        self,
        argument: str | Path,
        progress: Silent | None = None,
        options: BuildOptions = PLAIN,
    ) -> Kernel:
        source = locate_kernel(str(argument), self.root, options)
        return obtain_kernel(source, self.cache, progress or Silent())

    def commit(self, tag: str) -> None:
        """Commit all of the tree, and tag it."""
        git = ["git", "-C", str(self.linux), "-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (["init", "-qb", "main"], ["add", "-Af"], ["commit", "-qm", tag]):
            subprocess.run([*git, *words], check=True)
        subprocess.run([*git, "tag", tag], check=True)

    def leftovers(self) -> list[Path]:
        """Return half-made things in the cache."""
        return [*self.cache.glob("*/.*.new"), *self.cache.glob("work"), *self.builds()]

    def builds(self) -> list[Path]:
        return [path for path in self.cache.glob("builds/*") if path.is_dir()]


def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world whose recipes ``stock`` and ``odd``, with a patch, are of the fake tree."""
    world = World(tmp_path / "repository", tmp_path / "linux", tmp_path / "cache", tmp_path / "src")
    shutil.copytree(FAKE, world.linux)
    (world.linux / "gitignore").rename(world.linux / ".gitignore")
    (world.root / "kernel-configs/fragments").mkdir(parents=True)
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_SWAP=y\nCONFIG_NR_CPUS=8\n")
    world.recipe("stock", 'description="d"\nfragments=["base"]\n[base]\ndebian="linux-source-1"\n')
    world.recipe("odd", 'description="o"\ninherits="stock"\npatches="patches/series"\n', PATCH)
    sources = world.sources
    sources.mkdir()
    subprocess.run(
        ["tar", "-cJf", sources / "linux-source-1.tar.xz", "-C", tmp_path, "linux"], check=True
    )
    monkeypatch.setattr(base, "source_places", lambda *_: Places(("trixie",), (), "1.2"))

    def in_suite(name: str, *_: object) -> SourceTarball:
        return SourceTarball(sources / f"{name}.tar.xz", f"{name} 1.3-1")

    monkeypatch.setattr(base, "package_in_suite", in_suite)
    return world
