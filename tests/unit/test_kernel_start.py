# SPDX-License-Identifier: MIT
"""Kernels of a tree with the user's own config, symbols, revision or compiler, on a fake tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import CompilerMissingError, ConfigError, SourceError
from harness.core.progress import Silent
from harness.core.toolchain import LLVM_PROGRAMS, PROGRAMS, find_toolchain
from harness.kernel import load_series
from harness.kernel.build import OBJECTS
from harness.kernel.build_options import PLAIN, BuildOptions, parse_options
from harness.kernel.history import KEEP_OBJECTS
from tests.unit.kernel_world import PATCH, World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.kernel import Kernel
    from tests.unit.conftest import Shim

    Calls = Callable[[], list[str]]

CONFIG = """\
#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.12.117 Kernel Configuration
#
CONFIG_NR_CPUS=512
CONFIG_EXT4_FS=m
CONFIG_ZRAM=m
CONFIG_OTHER=m
# CONFIG_SWAP is not set
CONFIG_RENAMED=y
CONFIG_CC_HAS_SOMETHING=y
CONFIG_A_DRIVER=m
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = make_world(tmp_path, monkeypatch)
    fragments = world.root / "kernel-configs/fragments"
    (fragments / "needs.config").write_text("CONFIG_ARM64_MTE=y\nCONFIG_EXT4_FS=y\n")
    (fragments / "obstacles.config").write_text('CONFIG_NAME=""\n')
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_SWAP=y\nCONFIG_NR_CPUS=8\nCONFIG_ZRAM=y\n")
    (world.linux / ".config").write_text(CONFIG)
    return world


def options(*assignments: str, config: str | None = None, llvm: bool = False) -> BuildOptions:
    return parse_options(config, assignments, llvm=llvm)


OWN = options(config="tree")
# ccache adds an option that gcc does not know, if the compiler is called clang.
GCC = """words=$(printf '%s\\n' "$@" | grep -v -e -fcolor-diagnostics | tr '\\n' ' ')
exec aarch64-linux-gnu-gcc $words"""


def lines(kernel: Kernel) -> set[str]:
    assert kernel.config is not None
    return set(kernel.config.read_text().splitlines())


def test_the_tree_s_own_configuration(world: World) -> None:
    kernel = world.obtain(world.linux, options=OWN)
    assert kernel.name == "linux+config"
    assert lines(kernel) >= {
        "CONFIG_NR_CPUS=512",  # ours is 8
        "# CONFIG_SWAP is not set",
        "CONFIG_ARM64_MTE=y",  # needs
        "CONFIG_EXT4_FS=y",
        "CONFIG_JBD2=y",  # comes with one
        "CONFIG_ZRAM=y",  # a feature of ours, and the guest has no modules
        "CONFIG_OTHER=m",
    }


def test_the_report_says_what_was_changed(world: World) -> None:
    """In one line, and not what a compiler can do, nor modules, which are not built."""
    description = world.obtain(world.linux, options=OWN).description
    assert description == (
        f"source directory {world.linux}; configured by {world.linux}/.config; changed for the "
        "guest: ARM64_MTE=y, EXT4_FS=y, ZRAM=y, and 1 that depend on them; not available here: "
        "RENAMED"
    )
    # … also when the kernel is in the cache.
    assert world.obtain(world.linux, options=OWN).description == description


def test_a_configuration_that_needs_no_change(world: World) -> None:
    (world.linux / ".config").write_text("CONFIG_ARM64_MTE=y\nCONFIG_EXT4_FS=y\n")
    description = world.obtain(world.linux, options=OWN).description
    assert "changed" not in description
    assert "not available" not in description


def test_an_edited_configuration_is_another_kernel(world: World) -> None:
    first = world.obtain(world.linux, options=OWN)
    assert world.obtain(world.linux, options=OWN) == first
    assert world.obtain(world.linux).key != first.key
    (world.linux / ".config").write_text(CONFIG.replace("512", "256"))
    second = world.obtain(world.linux, options=OWN)
    assert second.key != first.key
    assert "CONFIG_NR_CPUS=256" in lines(second)


def test_a_version_with_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "x.config").write_text(CONFIG)
    plain = world.obtain("stock")
    shutil.copy(world.sources / "linux-source-1.tar.xz", world.sources / "linux-source-6.12.tar.xz")
    kernel = world.obtain("6.12", options=options(config=str(tmp_path / "x.config")))
    assert kernel.name == "6.12+x.config"
    assert kernel.key != plain.key
    assert not kernel.unmodified  # its configuration is not the release's
    assert plain.unmodified
    assert "CONFIG_OTHER=m" in lines(kernel)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00\xff\xfe", "no .config: it is not text .unpack it"),
        (b"config SWAP\n", "no .config: line 1: 'config SWAP' is not CONFIG_NAME=value"),
        (b"#\n# Linux/x86 6.12.0 Kernel Configuration\n#\n", "is a configuration for x86 .make"),
    ],
)
def test_a_file_that_is_no_configuration(
    world: World, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        world.obtain(world.linux, options=options(config=str(tmp_path / "file")))
    assert world.leftovers() == []


def test_symbols_on_top(world: World) -> None:
    given = options("CONFIG_NR_CPUS=4", "NAME=me")
    for source, name in (("stock", "stock"), (world.linux, "linux")):
        kernel = world.obtain(source, options=given)
        assert lines(kernel) >= {"CONFIG_NR_CPUS=4", 'CONFIG_NAME="me"', "CONFIG_SWAP=y"}
        assert kernel.name == f'{name}+NR_CPUS=4+NAME="me"'
        assert 'with NR_CPUS=4, NAME="me"' in kernel.description
        assert not kernel.unmodified
    own = world.obtain(world.linux, options=options("ZRAM=n", "SWAP=y", config="tree"))
    assert lines(own) >= {"# CONFIG_ZRAM is not set", "CONFIG_SWAP=y"}
    assert "ZRAM=y" not in own.description


@pytest.mark.parametrize("source", ["stock", "tree"])
@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("SWOP=y", "CONFIG_SWOP=y: this tree has no such symbol .correct --set"),
        ("REFUSED=y", r"CONFIG_REFUSED=y: refused, got n \(depends on BROKEN\) .correct --set"),
        # Of a release that may lack it (kernel-configs/symbols.toml): no excuse either.
        ("NUMA_MIGRATION=y", "CONFIG_NUMA_MIGRATION=y: this tree has no such symbol"),
    ],
)
def test_a_symbol_that_does_not_come_out(
    world: World, source: str, assignment: str, message: str
) -> None:
    argument = world.linux if source == "tree" else source
    with pytest.raises(ConfigError, match=message):
        world.obtain(argument, options=options(assignment))
    assert world.leftovers() == []


def test_a_cached_kernel_is_no_excuse_for_a_symbol(world: World) -> None:
    """The tree may lack a symbol of our fragments, but not one that the user sets."""
    world.fragment("CONFIG_ARM64_MTE=y\nCONFIG_ZBUD=y\n")
    assert "lacks CONFIG_ZBUD" in world.obtain(world.linux).description
    with pytest.raises(ConfigError, match="CONFIG_ZBUD=y: this tree has no such symbol"):
        world.obtain(world.linux, options=options("ZBUD=y"))


def test_objects_of_few_configurations_stay(world: World) -> None:
    """Each takes gigabytes; the one that was built in last is there for the next edit."""
    for number in range(KEEP_OBJECTS + 2):
        world.obtain(world.linux, options=options(f"NR_CPUS={number + 1}"))
    objects = list(world.cache.glob(f"trees/*/src/{OBJECTS}*"))
    assert len(objects) == KEEP_OBJECTS
    world.edit("mm/swap.c", "-entry", "+entry")
    last = world.obtain(world.linux, options=options(f"NR_CPUS={KEEP_OBJECTS + 2}"))
    assert (last.directory / "build.log").read_text().count("CC ") == 1


# --- revisions -----------------------------------------------------------------------------------


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", tree, *words], check=True, capture_output=True, text=True)
    return done.stdout


def state(tree: Path) -> object:
    """Return the files of a repository, but those in which git keeps what it was asked last."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("revision", ["v1", "HEAD~1", "main~", "topic/old", "full"])
def test_a_revision_without_the_edits(world: World, revision: str) -> None:
    world.commit("v1")
    git(world.linux, "branch", "topic/old")
    world.edit("mm/swap.c", "-entry", "+entry")
    world.commit("v2")
    world.edit("mm/swap.c", "+entry", "a syntax error")
    (world.linux / "new.c").touch()
    before = state(world.linux)
    if revision == "full":
        revision = git(world.linux, "rev-parse", "v1").strip()
    kernel = world.obtain(f"{world.linux}:{revision}")
    assert kernel.name == f"linux:{revision}"
    assert f"linux {revision} ({git(world.linux, 'rev-parse', 'v1')[:12]})" in kernel.description
    assert state(world.linux) == before
    assert git(world.linux, "worktree", "list").count("\n") == 1
    newer = world.obtain(f"{world.linux}:v2")
    assert newer.vmlinux is not None
    assert kernel.vmlinux is not None
    assert newer.vmlinux.read_bytes() != kernel.vmlinux.read_bytes()
    # Neither unpacked source stays: each would be 1.6 GB.
    assert [path for path in world.cache.glob("sources/*") if path.is_dir()] == []
    assert not (world.cache / "work").exists()


def test_the_same_content_is_built_once(world: World) -> None:
    world.commit("v1")
    git(world.linux, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert world.obtain(f"{world.linux}:HEAD").key == world.obtain(f"{world.linux}:v1").key


def test_a_revision_with_the_tree_s_configuration(world: World) -> None:
    """It is the .config that is there now, also where one was committed."""
    world.commit("v1")
    (world.linux / ".config").write_text(CONFIG.replace("512", "256"))
    kernel = world.obtain(f"{world.linux}:v1", options=OWN)
    assert kernel.name == "linux:v1+config"
    assert "CONFIG_NR_CPUS=256" in lines(kernel)


def test_a_revision_with_a_series_and_a_symbol(world: World, tmp_path: Path) -> None:
    world.commit("v1")
    world.edit("mm/memory.c", "entry", "input")
    (tmp_path / "fix.diff").write_text(PATCH)
    series = load_series([tmp_path / "fix.diff"], Silent())
    given = parse_options(None, ["NR_CPUS=4"], llvm=False, series=series)
    kernel = world.obtain(f"{world.linux}:v1", options=given)
    assert kernel.name == "linux:v1+fix+NR_CPUS=4"
    assert kernel.description.endswith(
        f" of {world.linux}; with 1 patch of fix.diff; with NR_CPUS=4"
    )
    assert not kernel.unmodified
    plain = world.obtain(f"{world.linux}:v1", options=options("NR_CPUS=4"))
    assert kernel.vmlinux is not None
    assert plain.vmlinux is not None
    assert kernel.vmlinux.read_bytes() != plain.vmlinux.read_bytes()


@pytest.mark.parametrize("revision", ["v9", "v1..v2", "--all", "HEAD:mm", "v1^{tree}"])
def test_a_revision_that_is_not_there(world: World, revision: str) -> None:
    world.commit("v1")
    with pytest.raises(SourceError, match="has no revision") as caught:
        world.obtain(f"{world.linux}:{revision}")
    assert repr(revision) in caught.value.cause
    assert world.leftovers() == []


def test_a_revision_of_a_directory_without_git(world: World) -> None:
    with pytest.raises(SourceError, match="linux is no git repository, and cannot have a revision"):
        world.obtain(f"{world.linux}:v1")


def test_a_revision_of_something_else(world: World, tmp_path: Path) -> None:
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "1"]):
        git(world.sources, *words)
    with pytest.raises(SourceError, match=r"^src HEAD \(\w+\) is no kernel source: it has no Make"):
        world.obtain(f"{world.sources}:HEAD")
    assert world.leftovers() == []
    assert tmp_path.is_dir()


def test_a_directory_that_the_revision_does_not_have(world: World) -> None:
    """An unpacked source inside of another repository is no part of that."""
    above = world.linux.parent
    git(above, "init", "-q")
    git(above, "commit", "-q", "--allow-empty", "-m", "1")
    with pytest.raises(SourceError, match=r"has no linux/"):
        world.obtain(f"{world.linux}:HEAD")
    git(above, "add", "-f", "linux")
    git(above, "commit", "-q", "-m", "2")
    assert world.obtain(f"{world.linux}:HEAD").release == "6.12.117"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_repository_of_another_user(world: World) -> None:
    world.commit("v1")
    subprocess.run(["chown", "-R", "nobody", str(world.linux)], check=True)
    assert world.obtain(f"{world.linux}:v1").name == "linux:v1"


# --- compilers -----------------------------------------------------------------------------------


@pytest.fixture
def llvm(shim: Shim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shim:
    """Make a PATH that has no LLVM but the shims; return a function that adds one of a suffix."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for place in os.environ["PATH"].split(os.pathsep)[1:]:
        for path in Path(place).glob("*"):
            if not path.name.startswith(("clang", "ld.lld", "llvm-")):
                link = programs / path.name
                if not link.is_symlink():
                    link.symlink_to(path)
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:{programs}")

    def make(suffix: str, version: str) -> Path:
        for name in LLVM_PROGRAMS:
            shim(f"{name}{suffix}", f"echo 'Debian LLD {version} (compatible with GNU linkers)'")
        return shim(
            f"clang{suffix}",
            f"case $1 in --version) echo 'Debian clang version {version} (3)';; "
            f"-dumpversion) echo {version};; *) {GCC};; esac",
        )

    return make


CLANG = options(llvm=True)


@pytest.mark.parametrize("source", ["stock", "tree"])
def test_a_kernel_of_clang(world: World, llvm: Shim, calls: Calls, source: str) -> None:
    argument = world.linux if source == "tree" else source
    plain = world.obtain(argument)
    llvm("-19", "19.1.7")
    kernel = world.obtain(argument, options=CLANG)
    assert kernel.key != plain.key
    assert kernel.name == f"{plain.name}+llvm"
    assert "built by clang 19.1.7" in kernel.description
    assert not kernel.unmodified
    assert [call for call in calls() if call.startswith("clang-19") and "mm/memory.c" in call]
    assert world.obtain(argument) == plain


def test_kbuild_is_told_of_llvm(llvm: Shim) -> None:
    llvm("-19", "19.1.7")
    toolchain = find_toolchain(llvm=True)
    assert toolchain.words == ("LLVM=-19", "CC=ccache clang-19", "HOSTCC=ccache clang-19")
    assert toolchain.identity.startswith(find_toolchain().identity)  # the selftests are gcc's
    assert "Debian clang version 19.1.7 (3); Debian LLD 19.1.7" in toolchain.identity


def test_the_newest_clang_that_is_whole_is_taken(llvm: Shim, shim: Shim) -> None:
    llvm("", "14.0.6")
    assert find_toolchain(llvm=True).words[0] == "LLVM=1"
    llvm("-9", "9.0.1")
    llvm("-19", "19.1.7")
    assert find_toolchain(llvm=True).compiler == "clang-19"
    llvm("-20", "20.0.0git")
    assert find_toolchain(llvm=True).compiler == "clang-20"
    shim("ld.lld-20", "").unlink()
    assert find_toolchain(llvm=True).compiler == "clang-19"


def test_no_clang(llvm: Shim, shim: Shim) -> None:
    cure = r"\(sudo apt-get install clang-19 lld-19 llvm-19\)"
    with pytest.raises(CompilerMissingError, match=f"there is no clang on this host {cure}"):
        find_toolchain(llvm=True)
    llvm("-19", "19.1.7")
    shim("ld.lld-19", "").unlink()
    with pytest.raises(CompilerMissingError, match=f"^not installed: ld.lld-19 {cure}"):
        find_toolchain(llvm=True)
    assert find_toolchain().kind == "gcc"
    assert "clang" not in PROGRAMS


@pytest.mark.parametrize("given", [PLAIN, CLANG], ids=["gcc", "clang"])
def test_a_compiler_that_is_too_old(
    world: World, llvm: Shim, shim: Shim, calls: Calls, given: BuildOptions
) -> None:
    llvm("-19", "19.1.7")
    script = world.linux / "scripts/min-tool-version.sh"
    script.write_text("case $1 in gcc) echo 99.1.0;; llvm) echo 19.1.8;; *) exit 1;; esac\n")
    shim("make", "exit 1")
    compiler = "clang-19" if given.llvm else "aarch64-linux-gnu-gcc"
    version = find_toolchain(llvm=given.llvm).version()
    least = "19.1.8" if given.llvm else "99.1.0"
    message = f"^{compiler} is of version {version}, and this source needs {least} "
    with pytest.raises(CompilerMissingError, match=message):
        world.obtain(world.linux, options=given)
    assert not [call for call in calls() if call.startswith("make")]
    assert world.leftovers() == []


def test_a_compiler_that_is_old_enough(world: World) -> None:
    version = find_toolchain().version()
    script = world.linux / "scripts/min-tool-version.sh"
    script.write_text(f"echo {version}\n")
    assert world.obtain(world.linux).release == "6.12.117"
    script.write_text("echo unknown tool >&2; exit 1\n")
    assert world.obtain(world.linux).release == "6.12.117"
