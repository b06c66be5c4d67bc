# SPDX-License-Identifier: MIT
"""Builds one kernel with kbuild in an object directory, and copies the results out of it.

The object directory is a direct child of the source: kbuild then names the source ``..`` (top
Makefile, "building in a subdirectory of the source tree"). So all names on the compiler's command
line are relative, and ccache finds an object again after a build in another directory.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from harness.core.disk import disk_full, disk_full_as_error, reports_disk_full
from harness.core.errors import BuildError, ImageError
from harness.core.files import replace_file
from harness.core.run_logged import run_logged
from harness.core.toolchain import CROSS, build_environment, jobs
from harness.kernel import artifact, config
from harness.kernel.compiler_age import require_age
from harness.kernel.releases import release_of, symbols_lacking
from harness.kernel.start_config import complete, describe_changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.core.toolchain import Toolchain

OBJECTS = "mte-harness-objects"
MTE_SELFTESTS = "tools/testing/selftests/arm64/mte"
# First estimates of the number of lines that make prints; later builds use the last count.
LINES_A_SYMBOL = 2.4  # of a whole build, for each symbol that is built in: 1500 for 630
LINES_AGAIN = 35

KILLED_MARK = "mte-harness-dirty"
_ERRORS = (
    re.compile(r"^\S+?:\d+(?::\d+)?: (?:fatal )?error: .*"),
    re.compile(r".*(?:undefined reference to|multiple definition of) .*"),
    re.compile(r"^(?:ERROR: |Error: |.*\bld: ).*"),
    re.compile(r"^\S+?:\d+: .*"),
    re.compile(r"^(?:make.*: )?\*\*\* .*"),
)


@dataclass(frozen=True)
class Job:
    """A build of the source ``tree`` into its subdirectory ``objects``, for the cache ``cache``."""

    tree: Path
    objects: Path
    request: config.Request
    toolchain: Toolchain
    key: str
    cache: Path


def build_kernel(job: Job, into: Path, progress: Progress) -> None:
    """Build ``job`` and write the files that artifact.py lists into the empty directory ``into``.

    Raise CompilerMissingError (too old for the tree), ConfigError, ImageError (no MTE), BuildError
    with the log's path, or DiskFullError.
    """
    require_age(job.toolchain, job.tree)
    logs = job.cache / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log_path = logs / f"{job.key}.log"
    with disk_full_as_error(job.cache), _whole_objects(job.objects):
        with log_path.open("w", encoding="utf-8", buffering=1) as log:
            make = _Make(job, log, log_path, progress)
            progress.step("configuring the kernel")
            facts = _configure(job, make)
            again = (job.objects / "vmlinux").exists()
            built_in = sum(value == "y" for value in _read_config(job).values())
            whole = _Lines(f"whole, {built_in // 100}00 symbols", round(LINES_A_SYMBOL * built_in))
            part = _Lines(f"again {job.tree}", LINES_AGAIN) if again else whole
            progress.step("building the kernel")
            make("Image", count=(part, whole))
            selftests = _make_selftests(job, make, progress)
        progress.step("publishing the kernel")
        _copy_out(job, into, selftests)
        shutil.move(log_path, into / "build.log")
        release = (
            (job.objects / "include/config/kernel.release").read_text(encoding="utf-8").strip()
        )
        artifact.write_meta(into, {"release": release, **facts})


@contextlib.contextmanager
def _whole_objects(objects: Path) -> Iterator[None]:
    """Mark ``objects`` while make writes there; remove them if a killed run left its mark.

    make deletes half-written targets when it fails or gets SIGTERM. SIGKILL or a power cut leaves
    them, and the next make would link them.
    """
    mark = objects / KILLED_MARK
    if mark.exists():
        shutil.rmtree(objects)
    objects.mkdir(exist_ok=True)
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _configure(job: Job, make: _Make) -> dict[str, list[str]]:
    """Write .config; return, for meta.json, what the tree lacks, and what a .config was changed to.

    Raise ConfigError, or ImageError for a kernel without MTE.
    """
    request = job.request
    changes: list[str] = []
    if request.start is None:
        asked = job.objects / "asked.config"
        asked.write_text(request.text, encoding="utf-8")
        make("allnoconfig", f"KCONFIG_ALLCONFIG={asked}")
        final = _read_config(job)
    else:
        start = config.parse_config(request.start)
        base = _completed(request.start, job, make)
        final = _completed(complete(base, request), job, make)
        changes = describe_changes(start, base, final, request)
    not_here = symbols_lacking(release_of(job.tree))
    lacking = config.check_config(request, final, job.tree, not_here)
    if final.get("ARM64_MTE") != "y":
        raise ImageError("the kernel would have no MTE", "ask for CONFIG_ARM64_MTE=y")
    return {"lacking": sorted(f"CONFIG_{item.symbol}" for item in lacking), "changes": changes}


def _completed(text: str, job: Job, make: _Make) -> dict[str, str]:
    """Write ``text`` as the .config, and return what Kconfig makes of it."""
    (job.objects / ".config").write_text(text, encoding="utf-8")
    make("olddefconfig")
    return _read_config(job)


def _read_config(job: Job) -> dict[str, str]:
    return config.parse_config((job.objects / ".config").read_text(encoding="utf-8"))


def build_selftests(job: Job, into: Path, progress: Progress) -> None:
    """Build only the MTE selftests of ``job``, and write them into the directory ``into``.

    They need no configured kernel. Raise BuildError with the log's path, or DiskFullError.
    """
    log_path = job.cache / "logs" / f"{job.key}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_as_error(job.cache), _whole_objects(job.objects):
        with log_path.open("w", encoding="utf-8", buffering=1) as log:
            built = _make_selftests(job, _Make(job, log, log_path, progress), progress)
        if built is not None:
            _copy_selftests(built, into)
        shutil.move(log_path, into / "build.log")


def _make_selftests(job: Job, make: _Make, progress: Progress) -> Path | None:
    """Build the MTE selftests of the tree; return their directory, or None if there are none.

    The reason for each argument of make is in docs/facts/bugs.md, section 6.
    """
    if not (job.tree / MTE_SELFTESTS / "Makefile").is_file():
        return None
    progress.step("building the kernel's own selftests")
    make("headers")
    output = job.objects / "selftests"
    make.at(
        job.tree / MTE_SELFTESTS / "..",
        "ARM64_SUBTARGETS=mte",
        f"OUTPUT={output}",
        f"CC={CROSS}gcc",
        f"KHDR_INCLUDES=-isystem {job.objects}/usr/include",
        "LDFLAGS=-static -pthread",
    )
    return output / "mte"


def _copy_out(job: Job, into: Path, selftests: Path | None) -> None:
    shutil.copyfile(job.objects / "arch/arm64/boot/Image", into / artifact.IMAGE)
    shutil.copyfile(job.objects / "vmlinux", into / artifact.VMLINUX)
    shutil.copyfile(job.objects / "System.map", into / artifact.SYSTEM_MAP)
    shutil.copyfile(job.objects / ".config", into / artifact.CONFIG)
    if selftests is not None:
        target = into / artifact.SELFTESTS
        target.mkdir()
        _copy_selftests(selftests, target)


def _copy_selftests(built: Path, into: Path) -> None:
    for program in built.glob("check_*"):
        if program.is_file():
            shutil.copy(program, into / program.name)


@dataclass(frozen=True)
class _Lines:
    """How many lines make prints: those of the last build of that name, or else a guess."""

    name: str
    guess: int


def _counts(path: Path) -> dict[str, int]:
    """Return the counts of earlier builds; none where the file is no use. They are for progress."""
    try:
        return {str(name): int(lines) for name, lines in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


class _Make:
    """Runs make for one job, writes the log, and turns failures into errors."""

    def __init__(self, job: Job, log: IO[str], log_path: Path, progress: Progress) -> None:
        self._job = job
        self._log = log
        self._log_path = log_path
        self._progress = progress
        # DWARF names files relative to the source ("mm/memory.c"), without paths of this host.
        mapped = f"-fdebug-prefix-map=../= -fdebug-prefix-map={job.objects}=."
        self._words = [
            f"O={job.objects}",
            *job.toolchain.words,
            f"KCFLAGS={mapped}",
            f"KAFLAGS={mapped}",
            "LOCALVERSION=",  # no "+" in the version if a parent directory is a git repository
        ]

    def __call__(self, *words: str, count: tuple[_Lines, _Lines] | None = None) -> None:
        """Run a target of the kernel's top Makefile.

        ``count``: what make is expected to print, and what at most; progress is shown against it.
        """
        self._run(self._job.tree, [*self._words, *words], count)

    def at(self, directory: Path, *words: str) -> None:
        """Run make in ``directory`` of the source."""
        self._run(directory, [*words], None)

    def _run(self, directory: Path, words: list[str], count: tuple[_Lines, _Lines] | None) -> None:
        counts = self._job.cache / "logs/lines.json"
        known = _counts(counts)
        total, whole = [known.get(one.name, one.guess) for one in count or ()] or [0, 0]
        lines = 0
        tail: list[str] = []

        def on_line(line: str) -> None:
            nonlocal lines
            lines += 1
            tail.append(line)
            if count:
                # More lines than last time: a header was edited, and all may be compiled again.
                self._progress.count(lines, total if lines <= total else max(whole, lines))

        argv = ["make", f"-j{jobs()}", "--no-print-directory", "-C", str(directory)]
        environment = build_environment(self._job.cache / "ccache")
        environment["KBUILD_BUILD_HOST"] = self._job.key  # /proc/version shows it
        common = ["ARCH=arm64", f"CROSS_COMPILE={CROSS}"]
        status = run_logged(
            [*argv, *common, *words], self._log, cwd=directory, env=environment, on_line=on_line
        )
        if status:
            self._fail(tail)
        if count:
            replace_file(counts, json.dumps(known | {count[0].name: lines}).encode())

    def _fail(self, lines: list[str]) -> None:
        if any(map(reports_disk_full, lines)):
            # The objects filled the disk, so they are removed; ccache has most of them.
            shutil.rmtree(self._job.objects, ignore_errors=True)
            raise disk_full(self._job.cache)
        error = first_error(lines)
        raise BuildError(error, f"log: {self._log_path}", "\n".join(lines[-20:]))


def first_error(lines: list[str]) -> str:
    """Return the line of make's output that names the error; _ERRORS lists the best kind first."""
    for pattern in _ERRORS:
        for line in lines:
            if pattern.match(line):
                return line.removeprefix("../")
    return lines[-1] if lines else "make failed without output"
