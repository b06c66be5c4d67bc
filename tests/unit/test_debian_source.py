# SPDX-License-Identifier: MIT
"""The places of a kernel's source, with a real apt and a mirror of Debian on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import (
    ArtifactError,
    BaseGoneError,
    DiskFullError,
    HarnessError,
    NetworkError,
    NotThereError,
    SetupError,
    SourceError,
)
from harness.core.progress import Silent
from harness.host import debian, git_source
from harness.host.places import first_that_has
from harness.kernel import sources
from harness.kernel.base import Origin, find_origin
from harness.kernel.debian_binary import DebianKernel, obtain_debian
from harness.kernel.recipe import DebianBase, GitBase
from harness.kernel.sources import SOURCES, binary_suites, source_places
from tests.support.debian_mirror import (
    Mirror,
    closed_port,
    never_answers,
    package,
    serving,
    source_package,
    source_tarball,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITE = "trixie-backports"
NAME = "linux-source-7.3"
BASE = DebianBase(NAME)
POINT = DebianBase(NAME, "7.3.4")
TABLE = f"""
binaries = ["{SUITE}"]
pristine = [
    {{ tarball = "%(url)s/debian/pool/linux_{{version}}.orig.tar.xz" }},
    {{ git = "%(git)s", tag = "v{{version}}" }},
]
[package]
"linux-source-7.3" = {{ suites = ["{SUITE}"], made_for = "7.3.4" }}
"linux-source-7.4" = {{ suites = ["{SUITE}"] }}
"""


class Steps(Silent):
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def step(self, text: str) -> None:
        self.seen.append(text)


@dataclass
class World:
    """A host with a cache and a mirror; ``root`` has the table of places, ``git`` the tags."""

    root: Path
    mirror: Mirror
    git: Path
    steps: Steps = field(default_factory=Steps)

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def publish(self, *versions: str) -> None:
        """Make the sources of these versions ("7.3.4-1") all that the suite has."""
        built = []
        for version in versions:
            kernel, _, revision = version.partition("-")
            series = kernel.rpartition(".")[0]
            work = self.root / f"build-{version}-{time.monotonic_ns()}"
            work.mkdir()
            built.append(source_package(work, series, kernel, f"-{revision}"))
        self.mirror.publish(SUITE, *built)

    def table(self, url: str = "", git: str = "") -> None:
        """Write the table, with the pristine tarballs at ``url`` and the tags at ``git``."""
        path = self.root / SOURCES
        path.parent.mkdir(exist_ok=True)
        values = {"url": url or self.mirror.url, "git": git or f"file://{self.git}"}
        path.write_text(TABLE % values)

    def find(self, base: DebianBase = BASE) -> Origin:
        """Return the origin of ``base``, with the steps that were announced for it in ``steps``."""
        self.steps = Steps()
        (self.root / "cache").mkdir(exist_ok=True)
        return find_origin(base, self.cache, self.steps)

    def makefile(self, origin: Origin) -> str:
        tree = self.root / f"tree-{time.monotonic_ns()}"
        tree.mkdir()
        origin.unpack(tree)
        return (tree / "Makefile").read_text()

    def age_lists(self) -> None:
        """Make the package lists two days old."""
        (stamp,) = self.cache.glob("downloads/apt/*/updated")
        then = time.time() - 48 * 3600
        os.utime(stamp, (then, then))

    def forget_lists(self) -> None:
        shutil.rmtree(self.cache / "downloads/apt")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The host may have a proxy in /etc/apt, and the environment of unit tests has one.
    (tmp_path / "apt.conf").write_text('Acquire::http::Proxy::127.0.0.1 "DIRECT";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(debian, "SIGNED", "trusted=yes")
    monkeypatch.setattr(debian, "ANSWER_S", 1)
    monkeypatch.setattr(debian, "RETRIES", 0)
    monkeypatch.setattr(sources, "resources", lambda: tmp_path)
    git = tmp_path / "linux.git"
    subprocess.run(["git", "init", "-q", git], check=True)
    with serving(tmp_path / "mirror") as mirror:
        monkeypatch.setattr(debian, "MIRROR", mirror.url)
        world = World(tmp_path, mirror, git)
        world.table()
        yield world


def add_tag(repository: Path, version: str) -> None:
    (repository / "Makefile").write_text(f"# {version} by git\n")
    git = ["git", "-C", str(repository)]
    for words in (["add", "-A"], ["commit", "-qm", version], ["tag", f"v{version}"]):
        subprocess.run([*git, *words], check=True)


# -- the three answers --------------------------------------------------------------------------


def answers(*errors: HarnessError | None) -> list[str]:
    """Return what first_that_has() asked of places that raise these errors, or have it (None)."""
    asked: list[str] = []

    def place(name: str, error: HarnessError | None) -> str:
        asked.append(name)
        if error:
            raise error
        return name

    places = [
        (f"p{n}", lambda n=n, error=error: place(f"p{n}", error)) for n, error in enumerate(errors)
    ]
    try:
        asked.append(f"got {first_that_has('it', places, 'cure')}")
    except HarnessError as error:
        asked.append(type(error).__name__)
    return asked


GONE, LATE, APT = NotThereError("gone"), NetworkError("late"), SetupError("apt")


@pytest.mark.parametrize(
    ("errors", "end"),
    [
        ([None, None], ["p0", "got p0"]),
        ([GONE, None], ["p0", "p1", "got p1"]),
        ([LATE, None], ["p0", "p1", "got p1"]),
        ([GONE, GONE], ["p0", "p1", "BaseGoneError"]),
        ([GONE, LATE], ["p0", "p1", "NetworkError"]),
        ([LATE, GONE], ["p0", "p1", "NetworkError"]),
        ([GONE, APT], ["p0", "p1", "NetworkError"]),
        ([DiskFullError("full"), None], ["p0", "DiskFullError"]),
        ([SourceError("wrong"), None], ["p0", "SourceError"]),
    ],
)
def test_three_answers(errors: list[HarnessError | None], end: list[str]) -> None:
    assert answers(*errors) == end


def test_errors_name_what_is_gone_and_each_answer() -> None:
    def gone() -> str:
        raise NotThereError("it has none")

    def late() -> str:
        raise NetworkError("timed out")

    with pytest.raises(BaseGoneError) as caught:
        first_that_has("linux-source-7.3", [("a", gone), ("b", gone)], "the cure")
    assert str(caught.value) == "base gone: linux-source-7.3 (the cure)"
    assert caught.value.details == "a: gone: it has none\nb: gone: it has none"
    assert caught.value.status == SourceError.status
    with pytest.raises(NetworkError, match=r"linux-source-7\.3 .* cannot be told: b: timed out"):
        first_that_has("linux-source-7.3", [("a", gone), ("b", late)], "the cure")


# -- a mirror that has it, or has dropped it ----------------------------------------------------


def test_the_newest_of_a_series(world: World) -> None:
    world.publish("7.3.4-1", "7.3.6-1~bpo13+1", "7.4.1-1")
    origin = world.find()
    assert origin.title == "linux-source-7.3 7.3.6-1~bpo13+1"
    assert "SUBLEVEL = 6" in world.makefile(origin)


def test_a_series_that_the_mirror_dropped(world: World) -> None:
    world.publish("7.4.1-1")
    with pytest.raises(BaseGoneError, match=r"base gone: linux-source-7\.3 ") as caught:
        world.find()
    assert caught.value.base == NAME
    assert f"{SUITE} has no {NAME}" in caught.value.details
    assert world.find(DebianBase("linux-source-7.4")).title == "linux-source-7.4 7.4.1-1"


def test_a_suite_that_the_mirror_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "SIGNED", "")  # apt asks no further than for Release
    with pytest.raises(BaseGoneError) as caught:
        world.find()
    assert f"the mirror has no suite {SUITE}" in caught.value.details


def test_a_point_release_that_the_mirror_dropped(world: World) -> None:
    world.publish("7.3.6-1")
    add_tag(world.git, "7.3.5")
    with pytest.raises(BaseGoneError, match=r"base gone: linux-source-7\.3=7\.3\.4 ") as caught:
        world.find(POINT)
    gone = caught.value.details.splitlines()
    assert [line.split(": gone: ")[0] for line in gone] == [
        "the cache", SUITE, f"{world.mirror.url}/debian/pool/linux_7.3.4.orig.tar.xz",
        f"file://{world.git}",
    ]  # fmt: skip


def test_lists_of_an_earlier_run_do_not_say_that_a_package_is_gone(world: World) -> None:
    world.publish("7.4.1-1")
    with pytest.raises(BaseGoneError):
        world.find()
    world.mirror.answer(HTTPStatus.SERVICE_UNAVAILABLE)
    with pytest.raises(NetworkError, match="cannot be told"):
        world.find()
    world.mirror.answer(None)
    world.publish("7.4.1-1", "7.3.4-1")
    assert world.find().title == f"{NAME} 7.3.4-1"


# -- a mirror in trouble ------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.FORBIDDEN])
def test_a_mirror_that_answers_with_an_error(world: World, trouble: HTTPStatus) -> None:
    world.publish("7.3.4-1")
    world.mirror.answer(trouble)
    with pytest.raises(NetworkError, match=f"cannot be told: {SUITE}: .* {trouble.value} "):
        world.find()
    with pytest.raises(NetworkError):
        world.find(POINT)


def test_a_closed_port(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "MIRROR", closed_port())
    with pytest.raises(NetworkError, match="Connection refused"):
        world.find()


def test_a_mirror_that_never_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with never_answers() as url:
        monkeypatch.setattr(debian, "MIRROR", url)
        start = time.monotonic()
        with pytest.raises(NetworkError, match="cannot be told"):
            world.find()
        assert time.monotonic() - start < 30


def test_a_name_that_does_not_resolve(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "mirror.invalid")
    monkeypatch.setattr(debian, "MIRROR", "http://mirror.invalid")
    with pytest.raises(NetworkError, match="resolv"):
        world.find()


def test_a_package_with_another_hash(world: World) -> None:
    world.publish("7.3.4-1")
    (deb,) = world.mirror.directory.glob("debian/pool/*.deb")
    data = deb.read_bytes()
    deb.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(NetworkError, match="Hash Sum mismatch"):
        world.find()


def test_a_package_that_the_index_has_and_the_pool_lacks(world: World) -> None:
    """A mirror that contradicts itself is being updated, say: it has not answered."""
    world.publish("7.3.4-1")
    (deb,) = world.mirror.directory.glob("debian/pool/*.deb")
    deb.unlink()
    with pytest.raises(NetworkError, match="404"):
        world.find()


def test_an_unsigned_suite(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("7.3.4-1")
    monkeypatch.setattr(debian, "SIGNED", "")
    with pytest.raises(NetworkError, match="is not signed"):
        world.find()


# -- Linux's own source -------------------------------------------------------------------------


def test_a_point_release_of_the_pool(world: World) -> None:
    world.publish("7.3.6-1")
    pool = world.mirror.directory / "debian/pool"
    (pool / "linux_7.3.4.orig.tar.xz").write_bytes(source_tarball("7.3.4"))
    origin = world.find(POINT)
    assert origin.title == "linux_7.3.4.orig.tar.xz, without Debian's patches"
    assert "SUBLEVEL = 4" in world.makefile(origin)
    (pool / "linux_7.3.4.orig.tar.xz").unlink()
    assert world.find(POINT).identity == origin.identity  # it is in the cache


def test_a_series_is_what_debian_has(world: World) -> None:
    world.publish("7.4.1-1")
    pool = world.mirror.directory / "debian/pool"
    (pool / "linux_7.3.4.orig.tar.xz").write_bytes(source_tarball("7.3.4"))
    add_tag(world.git, "7.3.4")
    with pytest.raises(BaseGoneError):
        world.find()


def test_a_point_release_of_git(world: World) -> None:
    world.publish("7.3.6-1")
    add_tag(world.git, "7.3.4")
    origin = world.find(POINT)
    assert origin.title == "Linux 7.3.4 from git, without Debian's patches"
    assert world.makefile(origin) == "# 7.3.4 by git\n"
    assert origin.identity.startswith("git:")


def test_git_that_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish("7.3.6-1")
    world.table(git=f"{closed_port()}/linux.git")
    with pytest.raises(NetworkError, match=r"cannot be told: http://127\.0\.0\.1:"):
        world.find(POINT)
    monkeypatch.setattr(git_source, "LIST_S", 2)
    with never_answers() as url:
        world.table(git=f"{url}/linux.git")
        start = time.monotonic()
        with pytest.raises(NetworkError, match="cannot reach"):
            world.find(POINT)
        assert time.monotonic() - start < 30


def test_git_that_answered_once_is_enough(world: World) -> None:
    world.publish("7.3.6-1")
    add_tag(world.git, "7.3.4")
    first = world.find(POINT)
    world.git.rename(world.root / "away")
    again = world.find(POINT)
    assert again.identity == first.identity
    assert [step for step in world.steps.seen if "does not answer: v7.3.4 is as it was" in step]


def test_a_recipe_s_git_base_without_a_network(world: World) -> None:
    add_tag(world.git, "7.3.4")
    base = GitBase(f"file://{world.git}", "v7.3.4")
    first = find_origin(base, world.cache, Silent())
    world.git.rename(world.root / "away")
    assert find_origin(base, world.cache, Silent()).identity == first.identity
    with pytest.raises(NetworkError):
        find_origin(GitBase(base.url, "v7.3.5"), world.cache, Silent())


# -- what is in the cache -----------------------------------------------------------------------


def test_the_second_time_needs_no_network(world: World) -> None:
    world.publish("7.3.4-1")
    first = world.find()
    world.mirror.stop()
    assert world.find().identity == first.identity
    assert world.steps.seen == []
    world.age_lists()
    assert world.find().identity == first.identity
    (fetching, old) = world.steps.seen
    assert fetching == f"fetching the package lists of {SUITE}"
    assert old.startswith("they cannot be fetched: those of 20")
    world.forget_lists()
    assert world.find().identity == first.identity
    assert world.steps.seen[-1] == f"{NAME} is taken from the cache: 7.3.4-1"


def test_the_newest_in_the_cache(world: World) -> None:
    for version in ("7.3.10-1~bpo13+1", "7.3.10-1", "7.3.9-2"):
        world.publish(version)
        world.find()
        world.forget_lists()
    world.mirror.stop()
    assert world.find().title == f"{NAME} 7.3.10-1"


def test_a_point_release_in_the_cache_is_not_asked_for(world: World) -> None:
    world.publish("7.3.4-1")
    first = world.find(POINT)
    world.publish("7.3.6-1")
    del world.mirror.asked[:]
    assert world.find(POINT).identity == first.identity
    assert world.find(POINT).title == f"{NAME} 7.3.4-1"
    assert world.mirror.asked == []
    assert world.steps.seen == []


def test_a_series_that_is_gone_and_in_the_cache(world: World) -> None:
    world.publish("7.3.4-1")
    first = world.find()
    world.publish("7.4.1-1")
    world.forget_lists()
    assert world.find().identity == first.identity
    assert f"{NAME} is taken from the cache: 7.3.4-1" in world.steps.seen


def test_a_damaged_package(world: World) -> None:
    world.publish("7.3.4-1")
    world.find()
    (deb,) = world.cache.glob("downloads/*.deb")
    deb.write_bytes(deb.read_bytes()[:200])
    shutil.rmtree(world.cache / "tarballs")
    with pytest.raises(ArtifactError, match="does not unpack"):
        world.find(POINT)
    assert not list((world.cache / "tarballs").glob("*/*"))


# -- kernels that Debian built ------------------------------------------------------------------


def publish_image(world: World, *versions: str) -> None:
    built = []
    for version in versions:
        files = {"boot/x": b"x"}
        for part in ("binary", "modules", "base"):
            work = world.root / f"{part}-{version}-{time.monotonic_ns()}"
            work.mkdir()
            name = f"linux-{part}-{version}+deb13-arm64"
            built.append(package(work, name, f"{version}-1", files, "arm64"))
    world.mirror.publish(SUITE, *built)


def obtain(world: World, version: str) -> str:
    """Return how far a kernel of Debian came; its packages are no kernel."""
    world.steps = Steps()
    try:
        obtain_debian(DebianKernel(version, ""), world.cache, world.steps)
    except HarnessError as error:
        return type(error).__name__
    return "obtained"


HAD = "ImageError"  # "holds no vmlinuz": they were fetched and unpacked


def test_kernels_of_debian_have_the_three_answers(world: World) -> None:
    publish_image(world, "7.4.1")
    assert obtain(world, "7.3.4") == "BaseGoneError"
    assert obtain(world, "7.3") == "BaseGoneError"
    assert obtain(world, "7.4") == HAD
    world.mirror.answer(HTTPStatus.SERVICE_UNAVAILABLE)
    assert obtain(world, "7.3.4") == "NetworkError"
    assert obtain(world, "7.4") == HAD
    world.mirror.stop()
    world.forget_lists()
    assert obtain(world, "7.3.4") == "NetworkError"
    assert obtain(world, "7.4") == HAD
    assert "debian:7.4 is taken from the cache: 7.4.1-1" in world.steps.seen
    assert obtain(world, "7.4.1") == HAD


def test_a_kernel_of_debian_that_came_since(world: World) -> None:
    publish_image(world, "7.3.4")
    assert obtain(world, "7.4") == "BaseGoneError"
    publish_image(world, "7.3.4", "7.4.1")
    assert obtain(world, "7.4") == HAD


# -- the table ----------------------------------------------------------------------------------


def test_an_unknown_package_is_not_gone(world: World) -> None:
    with pytest.raises(SourceError, match=r"no place is known for linux-source-7\.33") as caught:
        world.find(DebianBase("linux-source-7.33"))
    assert not isinstance(caught.value, BaseGoneError)


def test_the_table_of_the_repository() -> None:
    assert source_places("linux-source-7.3", "").suites == (SUITE,)
    assert source_places("linux-source-7.3", "").pristine == ()
    urls = [place.url for place in source_places("linux-source-7.3", "7.3.4").pristine]
    assert urls[0].endswith("/linux_7.3.4.orig.tar.xz")
    assert len(urls) == 2
    assert all(url.startswith("https://") for url in urls)
    assert source_places("linux-source-6.12", "").suites == ("bookworm", "trixie")
    assert SUITE in binary_suites()
