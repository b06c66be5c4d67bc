# SPDX-License-Identifier: MIT
"""--series, --config, --set and --llvm as they are typed, and with which kernels they go."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.paths import resources
from harness.guest.kernel_needs import MOUNTED, NEEDS
from harness.kernel import ImageKernel, RecipeKernel, Series, TreeKernel, locate_kernel
from harness.kernel.build_options import PLAIN, BuildOptions, parse_options
from harness.kernel.config import merge_fragments
from harness.kernel.locate import NEEDS as FRAGMENTS_OF_A_CONFIG
from harness.kernel.patches import Patch
from harness.suite.collect import target_id

ROOT = resources()
FIX = Series(Path("/home/me/v3-fix.mbox"), (Patch("v3-fix.mbox", b"diff"),))
MORE = Series(Path("/home/me/more/patches/series"), (Patch("a", b"a"), Patch("b", b"b")))


def options(*assignments: str, config: str | None = None, llvm: bool = False) -> BuildOptions:
    return parse_options(config, assignments, llvm=llvm)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linux").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [
        ("KASAN=y", ("KASAN", "y")),
        ("CONFIG_KASAN=m", ("KASAN", "m")),
        ("NR_CPUS=4", ("NR_CPUS", "4")),
        ("BASE=0xFF", ("BASE", "0xFF")),
        ("LOG=-1", ("LOG", "-1")),
        ("LOCALVERSION=-mine", ("LOCALVERSION", '"-mine"')),
        ('LOCALVERSION="-mine"', ("LOCALVERSION", '"-mine"')),
        ("KEYS=", ("KEYS", '""')),
        ('NAME=a"b\\c', ("NAME", '"a\\"b\\\\c"')),
        ("EQUAL=a=b", ("EQUAL", '"a=b"')),
    ],
)
def test_a_symbol_as_kconfig_wants_it(typed: str, symbol: tuple[str, str]) -> None:
    assert options(typed).symbols == (symbol,)


@pytest.mark.parametrize("typed", ["KASAN", "=y", "KA SAN=y", "X=a\nCONFIG_Y=y", "--KASAN=y", ""])
def test_what_is_no_symbol(typed: str) -> None:
    with pytest.raises(UsageError, match=r"^--set .* is not SYMBOL=VALUE \(such as"):
        options(typed)


def test_the_later_of_two_values_counts() -> None:
    assert options("A=y", "B=y", "CONFIG_A=n").symbols == (("A", "n"), ("B", "y"))


def test_an_empty_config_is_no_way_to_leave_it_out() -> None:
    with pytest.raises(UsageError, match="--config names no file"):
        options(config="")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), st.booleans())
def test_words_mean_the_same_again(value: str, llvm: bool) -> None:
    first = options(f"NAME={value}", "KASAN=y", config="a b/.config", llvm=llvm)
    words = [word.partition("=")[::2] for word in first.words()]
    assert first == options(
        *(text for name, text in words if name == "--set"),
        config=next(text for name, text in words if name == "--config"),
        llvm=("--llvm", "") in words,
    )


@pytest.mark.parametrize(
    ("given_options", "suffix"),
    [
        (PLAIN, ""),
        (options(config="tree"), "+config"),
        (options(config="/home/me/linux/.config"), "+config"),
        (options(config="my/debian.config", llvm=True), "+debian.config+llvm"),
        (options("KASAN=y", "CONFIG_A=n"), "+KASAN=y+A=n"),
        (options("A=y", "B=y", "C=y"), "+3 symbols"),
        (BuildOptions(series=(FIX, MORE)), "+v3-fix+more"),
        (BuildOptions("tree", (("A", "y"),), llvm=True, series=(FIX,)), "+v3-fix+config+A=y+llvm"),
    ],
)
def test_the_name_tells_kernels_apart(given_options: BuildOptions, suffix: str) -> None:
    assert given_options.suffix == suffix


def test_a_series_counts_by_what_is_in_it() -> None:
    one, other = (
        BuildOptions(series=(dataclasses.replace(FIX, patches=(Patch("v3-fix.mbox", text),)),))
        for text in (b"diff", b"another")
    )
    assert one == BuildOptions(series=(FIX,))
    assert hash(one) == hash(BuildOptions(series=(FIX,)))
    assert one not in (other, PLAIN, BuildOptions(series=(FIX, FIX)))
    words = ["--series=/home/me/v3-fix.mbox", "--series=/home/me/more/patches/series", "--llvm"]
    assert BuildOptions(llvm=True, series=(FIX, MORE)).words() == words


# --- with which kernels they go ------------------------------------------------------------------


def test_a_tree_with_its_own_configuration(here: Path) -> None:
    (here / "linux/.config").touch()
    source = locate_kernel("linux", ROOT, options("A=y", config="tree"))
    assert isinstance(source, TreeKernel)
    assert source.options == options("A=y", config=f"{here}/linux/.config")
    assert [path.name for path in source.fragments] == ["needs.config", "obstacles.config"]
    assert "mm.config" in [path.name for path in source.features]


def test_a_tree_with_another_configuration(here: Path) -> None:
    (here / "x.config").touch()
    source = locate_kernel("linux", ROOT, options(config="x.config"))
    assert isinstance(source, TreeKernel)
    assert source.options.config == f"{here}/x.config"


def test_a_version_with_a_configuration(here: Path) -> None:
    (here / "x.config").touch()
    source = locate_kernel("7.3", ROOT, options(config="x.config", llvm=True))
    assert isinstance(source, RecipeKernel)
    assert source.options == options(config=f"{here}/x.config", llvm=True)
    assert [path.name for path in source.recipe.fragments] == ["needs.config", "obstacles.config"]
    assert "configured as" not in source.recipe.description


def test_a_recipe_with_symbols(here: Path) -> None:
    assert here.is_dir()
    source = locate_kernel("stock", ROOT, options("KASAN=y", llvm=True))
    assert isinstance(source, RecipeKernel)
    assert source.options == options("KASAN=y", llvm=True)
    plain = locate_kernel("stock", ROOT)
    assert isinstance(plain, RecipeKernel)
    assert source.recipe == plain.recipe


@pytest.mark.parametrize(
    ("kernel", "given_options", "message"),
    [
        ("stock", options(config="linux/.config"), "stock is a recipe, which has its own"),
        ("7.3", options(config="tree"), "a release has no .config .name a file"),
        ("debian:7.3", options("A=y", "B=y"), "^--set cannot change debian:7.3, which is built"),
        ("debian:7.3", options(config="tree"), "^--config cannot change debian:7.3"),
        ("debian:7.3", BuildOptions(series=(FIX, MORE)), "^--series cannot change debian:7.3,"),
        ("Image", options("A=y", llvm=True), "^--set, --llvm cannot change Image, which is built"),
        ("linux", options(config="tree"), "there is no .*/linux/.config .configure the tree"),
        ("linux", options(config="nowhere"), "--config nowhere: there is no such file"),
        ("linux", options(config="linux"), "--config linux: this is a directory"),
        ("linux", options(config="/dev/null"), "--config /dev/null: there is no such file"),
    ],
)
def test_what_does_not_go_together(
    here: Path, kernel: str, given_options: BuildOptions, message: str
) -> None:
    (here / "Image").touch()
    with pytest.raises(UsageError, match=message) as caught:
        locate_kernel(kernel, ROOT, given_options)
    assert "\n" not in str(caught.value)


def test_a_file_of_the_name_tree(here: Path) -> None:
    (here / "linux/.config").touch()
    (here / "tree").touch()
    with pytest.raises(UsageError, match=r"the source's own .config or the file .*/tree \(write"):
        locate_kernel("linux", ROOT, options(config="tree"))
    source = locate_kernel("linux", ROOT, options(config="./tree"))
    assert isinstance(source, TreeKernel)
    assert source.options.config == f"{here}/tree"


# --- a revision ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "directory", "revision"),
    [
        ("linux:v7.3", "linux", "v7.3"),
        ("./linux:HEAD~3", "linux", "HEAD~3"),
        ("linux:mine/topic", "linux", "mine/topic"),
        ("linux::/mm: fix", "linux", ":/mm: fix"),
        (".:HEAD", ".", "HEAD"),
        ("a:b:v1", "a:b", "v1"),
    ],
)
def test_a_revision(here: Path, argument: str, directory: str, revision: str) -> None:
    (here / "a:b").mkdir()
    (here / "a").mkdir()
    source = locate_kernel(argument, ROOT)
    assert isinstance(source, TreeKernel)
    assert (source.path, source.revision) == ((here / directory).resolve(), revision)


def test_a_colon_in_the_name_of_a_directory(here: Path) -> None:
    (here / "linux:v1").mkdir()
    source = locate_kernel("linux:v1", ROOT)
    assert isinstance(source, TreeKernel)
    assert (source.path, source.revision) == (here / "linux:v1", "")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("linux:", "'linux:' names no revision after the colon"),
        ("linus:v7.3", "'linus:v7.3' is neither"),
        (":v7.3", "':v7.3' is neither"),
    ],
)
def test_what_is_no_revision(here: Path, argument: str, message: str) -> None:
    assert here.is_dir()
    with pytest.raises(UsageError, match=re.escape(message)):
        locate_kernel(argument, ROOT)


def test_names_in_test_ids(here: Path) -> None:
    assert target_id(f"{here}/linux", options("A=y")) == "linux+A=y"
    assert target_id(f"{here}/linux:mine/topic@dram") == "linux:mine/topic@dram"
    assert target_id(f"{here}/linux:v7@dram", options("A=y")) == "linux:v7+A=y@dram"
    assert target_id("stock@home", BuildOptions(series=(FIX,))) == "stock@home+v3-fix"
    assert target_id(f"{here}/linux/arch/arm64/boot/Image@dram") == "linux@dram"
    assert target_id("linux:mine/topic") == "linux:mine/topic"
    assert target_id(f"{here}/linux:") == "linux:"


# --- an output directory -------------------------------------------------------------------------


@pytest.fixture
def output(here: Path) -> Path:
    """Make an output directory of ``linux``, as ``make O=out defconfig`` does."""
    out = here / "out"
    out.mkdir()
    (out / "Makefile").write_text(
        f"# Automatically generated by {here}/linux/Makefile: don't edit\n"
        f"export KBUILD_OUTPUT = {out}\ninclude {here}/linux/Makefile\n"
    )
    (out / ".config").touch()
    (out / "source").symlink_to(here / "linux")
    return out


def build_in(directory: Path) -> Path:
    image = directory / "arch/arm64/boot/Image"
    image.parent.mkdir(parents=True)
    image.touch()
    return image


def test_an_output_directory_is_its_image(output: Path) -> None:
    image = build_in(output)
    assert locate_kernel("out", ROOT) == ImageKernel(image, "out")


def test_an_output_directory_without_an_image(output: Path, here: Path) -> None:
    message = (
        f"{output} is an output directory of the source {here}/linux, without a "
        f"arch/arm64/boot/Image (build it, or name the source: {here}/linux "
        f"--config={output}/.config)"
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        locate_kernel("out", ROOT)


@pytest.mark.parametrize("built", [False, True])
def test_the_source_of_an_output_directory(output: Path, here: Path, *, built: bool) -> None:
    if built:
        build_in(output)
    source = locate_kernel("out", ROOT, options(config="tree"))
    assert isinstance(source, TreeKernel)
    assert source.path == here / "linux"
    assert source.options.config == f"{output}/.config"
    with pytest.raises(
        UsageError, match=r"of which the Image is taken \(name the source: .*/linux"
    ):
        locate_kernel("out", ROOT, options("A=y"))
    with pytest.raises(UsageError, match="of which the Image is taken"):
        locate_kernel("out", ROOT, BuildOptions(series=(FIX,)))


def test_an_output_directory_within_the_source(output: Path) -> None:
    """Kbuild of 6.1 then names the source ``..``."""
    (output / "Makefile").write_text(
        "# Automatically generated by ../Makefile: don't edit\ninclude ../Makefile\n"
    )
    with pytest.raises(UsageError, match=f"of the source {output.parent},"):
        locate_kernel("out", ROOT)


def test_a_source_that_is_built_in_place_is_a_source(here: Path) -> None:
    build_in(here / "linux")
    (here / "linux/Makefile").write_text("VERSION = 7\ninclude scripts/Makefile\n")
    assert isinstance(locate_kernel("linux", ROOT), TreeKernel)


# --- what goes on top of a user's configuration ---------------------------------------------------


def test_the_fragments_on_top_have_all_that_a_guest_needs() -> None:
    directory = ROOT / "kernel-configs/fragments"
    asked = merge_fragments(directory / f"{name}.config" for name in FRAGMENTS_OF_A_CONFIG)
    for symbols, purpose in (*NEEDS, MOUNTED):
        names = [symbol.removeprefix("CONFIG_") for symbol in symbols]
        assert all(asked.get(name) == "y" for name in names), (symbols, purpose)
