# SPDX-License-Identifier: MIT
"""From the word to the published kernel, with a fake tree that builds in milliseconds."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from harness.core import toolchain
from harness.core.errors import (
    ArtifactError,
    BuildError,
    CompilerMissingError,
    ConfigError,
    DiskFullError,
    ImageError,
    NetworkError,
    PatchError,
    SourceError,
)
from harness.core.progress import Silent
from harness.core.toolchain import build_environment
from harness.kernel import build, load_series, obtain_selftests
from harness.kernel.build_options import BuildOptions
from harness.kernel.recipe import DebianBase
from tests.unit.kernel_world import PATCH, World, make_world

FROM = "From mboxrd@z Mon Sep 17 00:00:00 2001\n"


def series(*files: Path) -> BuildOptions:
    return BuildOptions(series=load_series(files, Silent()))


class Steps(Silent):
    """Remembers what was announced, and how far it came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def step(self, text: str) -> None:
        self.seen.append(text)

    def count(self, done: int, total: int) -> None:
        self.counts.append((done, total))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def test_recipe_is_built_and_published_whole(world: World) -> None:
    kernel = world.obtain("stock")
    assert kernel.name == "stock"
    assert kernel.release == "6.12.117"
    assert kernel.directory == world.cache / "builds" / kernel.key
    assert kernel.key.encode() in kernel.image.read_bytes()  # /proc/version will name it
    assert kernel.vmlinux is not None
    assert kernel.config is not None
    assert "CONFIG_ARM64_MTE=y" in kernel.config.read_text()
    assert kernel.selftests is not None
    assert os.access(kernel.selftests / "check_fake", os.X_OK) is False
    assert (kernel.directory / "build.log").read_text().count("CC ") == 2
    assert not (world.cache / "work").exists()


def test_selftests_of_a_kernel_that_was_not_compiled_here(world: World) -> None:
    compiled = world.obtain("stock")
    binary = dataclasses.replace(
        compiled, selftests=None, source=DebianBase("linux-source-1", "6.12.117")
    )
    steps = Steps()
    built = obtain_selftests(binary, world.cache, steps)
    assert {path.name for path in built.iterdir()} == {"check_fake", "build.log"}
    assert "building the kernel's own selftests" in steps.seen
    assert world.leftovers() == [compiled.directory]
    again = Steps()
    assert obtain_selftests(binary, world.cache, again) == built
    assert again.seen == []


def test_selftests_without_their_source(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = world.obtain("stock")
    assert obtain_selftests(compiled, world.cache, Silent()) == compiled.selftests
    bare = dataclasses.replace(compiled, selftests=None)
    with pytest.raises(SourceError, match="the source of stock is not there"):
        obtain_selftests(bare, world.cache, Silent())


def test_selftests_that_do_not_compile(world: World) -> None:
    compiled = world.obtain("stock")
    binary = dataclasses.replace(compiled, selftests=None, source=DebianBase("linux-source-1", ""))
    (source,) = [path for path in (world.cache / "sources").iterdir() if path.is_dir()]
    (source / "tools/testing/selftests/arm64/Makefile").write_text("all:\n\tfalse\n")
    with pytest.raises(BuildError):
        obtain_selftests(binary, world.cache, Silent())
    assert world.leftovers() == [compiled.directory]


def test_second_time_nothing_is_done(world: World) -> None:
    first = world.obtain("stock")
    steps = Steps()
    assert world.obtain("stock", steps) == first
    assert steps.seen == []


def test_everything_that_matters_changes_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [world.obtain("stock").key, world.obtain("odd").key]
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_SWAP=n\n")
    keys.append(world.obtain("stock").key)
    other = dataclasses.replace(toolchain.find_toolchain(), identity="gcc 99")
    monkeypatch.setattr("harness.kernel.obtain.find_toolchain", lambda **_: other)
    keys.append(world.obtain("stock").key)
    assert len(set(keys)) == 4


def test_patched_variant_leaves_the_shared_source_alone(world: World) -> None:
    stock, odd = world.obtain("stock"), world.obtain("odd")
    (pristine,) = [path for path in (world.cache / "sources").iterdir() if path.is_dir()]
    assert (pristine / "mm/memory.c").read_text() == (world.linux / "mm/memory.c").read_text()
    assert stock.vmlinux is not None
    assert odd.vmlinux is not None
    assert stock.vmlinux.read_bytes() != odd.vmlinux.read_bytes()


def test_a_kernel_knows_what_its_recipe_cures(world: World) -> None:
    world.recipe("cured", 'description="c"\ninherits="odd"\n[cures]\nfindings=["a-b"]\n')
    stock, odd, cured = (world.obtain(name) for name in ("stock", "odd", "cured"))
    assert not stock.cures | odd.cures
    assert cured.cures == {"a-b"}
    assert cured.key == odd.key  # a claim is no part of what is built


def test_progress_knows_how_far_it_is(world: World) -> None:
    world.obtain("stock")
    steps = Steps()
    world.obtain("odd", steps)
    assert "building the kernel" in steps.seen
    done, total = steps.counts[-1]
    assert done == total == 4  # lines of the build of stock: 2 CC, LD, OBJCOPY


def test_no_path_of_this_machine_in_the_objects(world: World) -> None:
    kernel = world.obtain("stock")
    assert kernel.vmlinux is not None
    assert str(world.cache).encode() not in kernel.vmlinux.read_bytes()


def test_directory_with_an_edit_that_is_not_committed(world: World) -> None:
    first = world.obtain(world.linux)
    assert first.name == "linux"
    world.edit("mm/swap.c", "-entry", "+entry")
    second = world.obtain(world.linux)
    assert second.key != first.key
    assert (second.directory / "build.log").read_text().count("CC ") == 1
    world.edit("mm/swap.c", "+entry", "-entry")
    assert world.obtain(world.linux) == first


def test_directory_with_an_in_tree_build(world: World) -> None:
    clean = world.obtain(world.linux)
    (world.linux / "include/config").mkdir(parents=True)
    (world.linux / ".config").write_text("")
    (world.linux / "mm/memory.o").write_text("not an object")
    assert world.obtain(world.linux) == clean


def test_directory_may_lack_a_symbol(world: World) -> None:
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_ZBUD=y\n")
    assert "this tree lacks CONFIG_ZBUD" in world.obtain(world.linux).description
    with pytest.raises(ConfigError, match="CONFIG_ZBUD=y: this tree has no such symbol"):
        world.obtain("stock")


def test_recipe_of_a_directory_with_and_without_patches(world: World) -> None:
    source = f'fragments=["base"]\n[base]\ndirectory="{world.linux}"\n'
    world.recipe("plain", 'description="p"\n' + source)
    world.recipe("patched", 'description="p"\npatches="patches/series"\n' + source, PATCH)
    plain, patched = world.obtain("plain"), world.obtain("patched")
    assert plain.key == world.obtain(world.linux).key
    assert plain.key != patched.key
    assert "entry + 1" not in (world.linux / "mm/memory.c").read_text()


@pytest.mark.parametrize("argument", ["stock", "linux"])
def test_a_series_on_top(world: World, tmp_path: Path, argument: str) -> None:
    """The kernel has it, its name and description tell it, and the user's tree does not have it."""
    kernel = argument if argument == "stock" else str(world.linux)
    (tmp_path / "fix.mbox").write_text(f"{FROM}Subject: [PATCH] mm: fix\n\n---\n{PATCH}\n")
    more = PATCH.replace("return page;", "return page + 2;").replace(
        "-\tint page = entry;\n+\tint page = entry + 1;\n", " \tint page = entry + 1;\n"
    )
    more = more.replace(" \treturn page + 2;", "-\treturn page;\n+\treturn page + 2;")
    (tmp_path / "more.diff").write_text(more)
    plain = world.obtain(kernel)
    one = world.obtain(kernel, options=series(tmp_path / "fix.mbox"))
    two = world.obtain(kernel, options=series(tmp_path / "fix.mbox", tmp_path / "more.diff"))
    assert (one.name, two.name) == (f"{argument}+fix", f"{argument}+fix+more")
    assert one.description == f"{plain.description}; with 1 patch of fix.mbox"
    assert two.description == f"{one.description}; with 1 patch of more.diff"
    assert len({plain.key, one.key, two.key}) == 3
    assert plain.unmodified is (argument == "stock")
    assert not one.unmodified
    assert plain.vmlinux is not None
    assert one.vmlinux is not None
    assert plain.vmlinux.read_bytes() != one.vmlinux.read_bytes()
    assert "entry + 1" not in (world.linux / "mm/memory.c").read_text()
    (tmp_path / "other.mbox").write_bytes((tmp_path / "fix.mbox").read_bytes())
    assert world.obtain(kernel, options=series(tmp_path / "other.mbox")).key == one.key


def test_a_series_that_does_not_apply(world: World, tmp_path: Path) -> None:
    bad = PATCH.replace("do_swap_page", "do_swop_page")
    box = "".join(
        f"{FROM}Subject: [PATCH v2 {number}/2] mm: part {number}\n\n---\n{text}\n"
        for number, text in ((2, bad), (1, PATCH))
    )
    (tmp_path / "fix.mbox").write_text(box)
    said = r"patch fix\.mbox 2/2: mm: part 2 does not apply: mm/memory\.c, hunk @@ -2,7 \+2,7 @@"
    with pytest.raises(PatchError, match=said) as caught:
        world.obtain("stock", options=series(tmp_path / "fix.mbox"))
    assert "\n" not in str(caught.value)
    assert world.leftovers() == []


@pytest.fixture
def repository(world: World) -> Path:
    world.commit("v1")
    return world.linux


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_git_revision_whatever_is_checked_out(world: World, repository: Path, scheme: str) -> None:
    world.edit("mm/swap.c", "-entry", "syntax error")
    text = 'description="g"\nfragments=["base"]\n[base]\ngit="%s"\nrevision="v1"\n'
    world.recipe("git", text % f"{scheme}{repository}")
    kernel = world.obtain("git")
    steps = Steps()
    assert world.obtain("git", steps) == kernel
    assert steps.seen == []


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_git_without_the_revision(world: World, repository: Path, scheme: str) -> None:
    text = 'description="g"\nfragments=["base"]\n[base]\ngit="%s"\nrevision="v2"\n'
    world.recipe("git", text % f"{scheme}{repository}")
    with pytest.raises(SourceError, match="'v2'"):
        world.obtain("git")


def test_git_server_that_does_not_answer(world: World) -> None:
    text = 'description="g"\nfragments=["base"]\n[base]\ngit="%s"\nrevision="v1"\n'
    world.recipe("git", text % "http://127.0.0.1:9/linux.git")
    with pytest.raises(NetworkError, match=r"cannot reach http://127\.0\.0\.1:9/"):
        world.obtain("git")


def test_truncated_package(world: World) -> None:
    path = world.sources / "linux-source-1.tar.xz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SourceError, match="cannot unpack"):
        world.obtain("stock")
    assert world.leftovers() == []


def test_compile_error_is_shown_with_its_log(world: World) -> None:
    world.edit("mm/swap.c", "return -entry", "return -enrty")
    with pytest.raises(BuildError) as caught:
        world.obtain(world.linux)
    assert caught.value.cause.startswith("mm/swap.c:5:")
    assert "error: " in caught.value.cause
    assert "enrty" in caught.value.cause
    log = Path(caught.value.cure.removeprefix("log: "))
    assert "enrty" in log.read_text()
    assert world.leftovers() == []


def test_objects_outlive_a_compile_error(world: World) -> None:
    world.obtain(world.linux)
    world.edit("mm/swap.c", "-entry", "-enrty")
    with pytest.raises(BuildError):
        world.obtain(world.linux)
    world.edit("mm/swap.c", "-enrty", "0")
    log = world.obtain(world.linux).directory / "build.log"
    assert "CC      mm/memory.o" not in log.read_text()


def test_objects_of_a_killed_build_are_not_trusted(world: World) -> None:
    world.obtain(world.linux)
    (objects,) = world.cache.glob(f"trees/*/src/{build.OBJECTS}*")
    (objects / build.KILLED_MARK).touch()
    world.edit("mm/swap.c", "-entry", "0")
    log = world.obtain(world.linux).directory / "build.log"
    assert "CC      mm/memory.o" in log.read_text()


def test_refused_symbol(world: World) -> None:
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_REFUSED=y\n")
    with pytest.raises(ConfigError, match=r"CONFIG_REFUSED=y: refused, got n \(depends on BROKEN"):
        world.obtain("stock")
    assert world.leftovers() == []


def test_config_without_mte(world: World) -> None:
    world.fragment("CONFIG_SWAP=y\n")
    with pytest.raises(ImageError, match="no MTE"):
        world.obtain("stock")


def test_patch_that_does_not_apply(world: World) -> None:
    text = 'description="o"\ninherits="stock"\npatches="patches/series"\n'
    world.recipe("bad", text, PATCH.replace("do_swap_page", "do_swop_page"))
    with pytest.raises(
        PatchError, match=r"0001\.patch .*mm/memory\.c, hunk @@ -2,7 \+2,7 @@"
    ) as caught:
        world.obtain("bad")
    # The base's version, and the one that patches were made for.
    assert caught.value.cause.endswith(
        "; the source is linux-source-1 1.3-1, and the patches of kernel-configs/ were made for 1.2"
    )
    assert world.leftovers() == []


def test_full_disk_during_make(world: World) -> None:
    """The message of gcc is found, and the objects, which filled the disk, are removed."""
    world.edit("Makefile", "@echo '  CC ", "@echo 'x.s: No space left on device'; false '")
    with pytest.raises(DiskFullError, match="the disk is full"):
        world.obtain(world.linux)
    assert world.leftovers() == []
    assert list(world.cache.glob(f"trees/*/src/{build.OBJECTS}*")) == []


def test_full_disk_at_publishing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.kernel.build.shutil.copyfile", full)
    with pytest.raises(DiskFullError):
        world.obtain("stock")
    assert world.leftovers() == []


def test_truncated_image_in_the_cache(world: World) -> None:
    kernel = world.obtain("stock")
    kernel.image.write_bytes(kernel.image.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"Image in the cache has \d+ bytes, not") as caught:
        world.obtain("stock")
    assert str(kernel.directory) in caught.value.cure


def test_no_compiler(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in toolchain.PROGRAMS:
        if "aarch64" not in name:
            (programs / name).symlink_to(shutil.which(name) or "missing")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(CompilerMissingError) as caught:
        world.obtain("stock")
    assert caught.value.cause == "not installed: aarch64-linux-gnu-gcc, aarch64-linux-gnu-ld"
    assert "apt-get install gcc-aarch64-linux-gnu" in caught.value.cure


def test_words_of_the_environment_do_not_reach_the_build(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.obtain("stock").image.read_bytes()
    shutil.rmtree(world.cache)
    for name, value in {"KCFLAGS": "-nonsense", "ARCH": "x86", "MAKEFLAGS": "-n"}.items():
        monkeypatch.setenv(name, value)
    assert world.obtain("stock").image.read_bytes() == key


def test_ccache_sees_one_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hashes these (ccache(1)): a shell and a nightly job shall share their objects."""
    for name in ("LANG", "LANGUAGE", "LC_CTYPE", "LC_ALL"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    seen = build_environment(tmp_path)
    assert {n: v for n, v in seen.items() if n.startswith(("LANG", "LC_"))} == {"LC_ALL": "C"}
