# SPDX-License-Identifier: MIT
"""What texts and comments cite exists, and what the documentation says of commands is true."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
import shlex
import signal
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from harness.core import errors
from harness.core.ktap import KtapResult
from harness.jobs import command_line as cli
from harness.measure.records import FIGURES
from harness.report import model
from harness.suite import plugin
from harness.verdict.finding import Finding
from harness.verdict.result import CounterSample, ProbeResult, Reason
from harness.verdict.splat import Frame, Splat

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
README_LINES = 130
DIRECTORIES = (".ci", "docs", "guest", "harness", "kernel-configs", "scripts", "tests")
REFERENCE = ROOT / "docs" / "reference"

# A path of this repository as prose writes it. `shared`, `reviews` and `facts` are names of
# directories that were never part of it.
_TOP = r"harness|guest|tests|kernel-configs|scripts|docs|LICENSES|\.ci|facts|shared|reviews"
_PATH = re.compile(rf"(?<![\w./@*>-])(?:{_TOP})/[\w.*<>…/-]*")
_MODULE = re.compile(r"(?<![\w./-])harness(?:\.\w+)+")
# NAME, <area> and … stand for any name.
_ANY = re.compile(r"<[^>]*>|(?<![^/])[A-Z]+(?![^./])|…")
_SECTION = re.compile(r"(docs/[\w/-]+\.md)[`,]*\s+(?:sections?\s+)?(\d+[a-z]?(?:\.\d+)*)(?![\w-])")
_TITLED = re.compile(r"([\w/-]+\.md), ([A-Z][\w ]+?)(?=[,.)`]|$)", re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Paths of other projects that begin like one of ours.
FOREIGN = {
    "docs/system/vm-templating.rst": "QEMU",
    "docs/devel/tcg-icount.rst": "QEMU",
    "scripts/cc-version.sh": "Linux",
    "scripts/checkpatch.pl": "Linux",
    "scripts/get_maintainer.pl": "Linux",
    "scripts/kconfig/confdata.c": "Linux",
    "scripts/min-tool-version.sh": "Linux",
    "scripts/mksysmap": "Linux",
    "scripts/package/builddeb": "Linux",
    "scripts/package/mkdebian": "Linux",
    "tests/functional": "QEMU",
    "tests/tcg/": "QEMU",
}


@dataclass(frozen=True)
class Prose:
    """A comment, docstring, message or page: where it stands, and its text without markers."""

    file: Path
    line: int
    text: str

    def place(self, offset: int) -> str:
        """Return ``file:line`` of a character of the text."""
        line = self.line + self.text[:offset].count("\n")
        return f"{self.file.relative_to(ROOT)}:{line}"


def own_files() -> list[Path]:
    """Return every text file of the repository, but for patches, licences, and data of tests."""
    left_out = {".patch", ".txt", ".json", ".png", ".pyc"}
    below = [path for top in DIRECTORIES for path in (ROOT / top).rglob("*")]
    return [
        path
        for path in sorted([*ROOT.glob("*.md"), ROOT / "pyproject.toml", *below])
        if path.is_file() and path.suffix not in left_out
    ]


def hash_comments(file: Path, lines: list[tuple[int, str]]) -> Iterator[Prose]:
    """Yield comments that begin with ``#``: lines in a row are one text."""
    block: list[str] = []
    first = last = 0
    for number, text in lines:
        if block and number != last + 1:
            yield Prose(file, first, "\n".join(block))
            block = []
        first = first if block else number
        block.append(text.lstrip("#").strip())
        last = number
    if block:
        yield Prose(file, first, "\n".join(block))


def python_prose(file: Path) -> Iterator[Prose]:
    """Yield comments and docstrings; of ``harness/`` all strings, since they are messages."""
    source = file.read_text(encoding="utf-8")
    comments = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    yield from hash_comments(file, comments)
    tree = ast.parse(source)
    everything = file.is_relative_to(ROOT / "harness")
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if everything or id(node) in docstrings:
            yield Prose(file, node.lineno, node.value)


def c_prose(file: Path) -> Iterator[Prose]:
    """Yield comments of C and assembler."""
    source = file.read_text(encoding="utf-8")
    for match in re.finditer(r"/\*.*?\*/|//[^\n]*", source, re.DOTALL):
        text = re.sub(r"^[ \t]*(?:/?\*+|//) ?", "", match[0], flags=re.MULTILINE)
        yield Prose(file, source[: match.start()].count("\n") + 1, text)


def prose_of(file: Path) -> Iterator[Prose]:
    """Yield all texts of a file that a person reads."""
    match file.suffix:
        case ".py":
            yield from python_prose(file)
        case ".c" | ".h" | ".S":
            yield from c_prose(file)
        case ".md" | ".j2":
            yield Prose(file, 1, file.read_text(encoding="utf-8"))
        case _:
            numbered = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
            comments = [(n, line.strip()) for n, line in numbered if line.lstrip().startswith("#")]
            yield from hash_comments(file, comments)


FILES = own_files()
PROSE = [prose for file in FILES if file != Path(__file__) for prose in prose_of(file)]
PAGES = [file for file in FILES if file.suffix == ".md"]


def exists(path: str) -> bool:
    """Return whether a path of the repository exists; NAME, ``<area>``, ``…``, ``*`` are any.

    ``*`` may stand for directories, too, as in git's pathspecs.
    """
    pattern = re.sub(r"\*+", "*", _ANY.sub("*", path)).rstrip("/")
    if "*" not in pattern:
        return (ROOT / pattern).exists()
    return any(ROOT.glob(pattern)) or any(ROOT.glob(pattern.replace("*", "**/*", 1)))


def cited_paths() -> Iterator[tuple[str, str]]:
    """Yield every path of the repository that a text cites: where, and the path."""
    for prose in PROSE:
        if prose.file == ROOT / FIGURES:
            continue  # it names what records of older commits measured
        for match in _PATH.finditer(prose.text):
            yield prose.place(match.start()), match[0].rstrip(".")


def headings(page: Path) -> list[str]:
    """Return the headings of a page, outside fenced text."""
    return _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def slug(heading: str) -> str:
    """Return a heading as the part of a link after ``#``, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_cited_paths_exist() -> None:
    missing = [
        f"{place}: {path}"
        for place, path in cited_paths()
        if not exists(path) and path not in FOREIGN
    ]
    assert not missing, "\n".join(missing)


def test_foreign_paths_are_cited() -> None:
    cited = {path for _, path in cited_paths()}
    assert not FOREIGN.keys() - cited, "drop what is not cited any more"


def test_cited_modules_exist() -> None:
    missing = [
        f"{prose.place(match.start())}: {match[0]}"
        for prose in PROSE
        for match in _MODULE.finditer(prose.text)
        if not module_exists(match[0].split("."))
    ]
    assert not missing, "\n".join(missing)


def module_exists(parts: list[str]) -> bool:
    """Return whether dotted ``parts`` are a package, a module, or a name in a module."""
    at = ROOT
    for number, part in enumerate(parts):
        if (at / part).is_dir():
            at /= part
            continue
        source = at / f"{part}.py"
        names = parts[number + 1 :] if source.is_file() else parts[number:]
        if not source.is_file():
            source = at / "__init__.py"
        text = source.read_text(encoding="utf-8")
        return all(re.search(rf"\b{name}\b", text) for name in names[:1])
    return True


def test_cited_sections_exist() -> None:
    missing = []
    for prose in PROSE:
        for match in _SECTION.finditer(prose.text):
            page, number = ROOT / match[1], match[2]
            found = headings(page) if page.is_file() else []
            if not any(re.match(rf"{re.escape(number)}\.?(?!\S)", line) for line in found):
                missing.append(f"{prose.place(match.start())}: {match[1]} {number}")
    assert not missing, "\n".join(missing)


def test_cited_headings_exist() -> None:
    """``README.md, Limits`` names a heading."""
    missing = []
    for prose in PROSE:
        for match in _TITLED.finditer(prose.text):
            page = ROOT / match[1]
            if not page.is_file() or match[2] not in headings(page):
                missing.append(f"{prose.place(match.start())}: {match[0]}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    wrong = []
    for target in _LINK.findall(text):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        if not to.exists() or (anchor and anchor not in map(slug, headings(to))):
            wrong.append(target)
    assert not wrong, wrong


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


# --- commands ------------------------------------------------------------------


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each command in fenced shell text: where, and the words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if fence[1] != "sh":
                continue
            start = text[: fence.start(2)].count("\n") + 1
            for number, line in enumerate(fence[2].splitlines(), start):
                words = shlex.split(line, comments=True)
                if words:
                    yield f"{page.relative_to(ROOT)}:{number}", words


def find_command(words: list[str]) -> tuple[list[str], click.Command, list[str]]:
    """Return names of a subcommand of ``mte-harness``, the subcommand, and the words after it."""
    command: click.Command = cli.cli
    names: list[str] = []
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command {' '.join([*names, name])}"
        command = command.commands[name]
        names.append(name)
    return names, command, rest


def options_of(command: click.Command) -> set[str]:
    """Return every spelling of every option of a command."""
    found = {"-h", "--help"}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            found.update(parameter.opts, parameter.secondary_opts)
    return found


def used_options(words: list[str]) -> list[str]:
    """Return the words that are options, without their values."""
    return [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]


def check_mte_harness(words: list[str]) -> None:
    """Fail unless the subcommand and its options exist."""
    names, command, rest = find_command(words)
    assert CliRunner().invoke(cli.cli, [*names, "--help"]).exit_code == 0
    unknown = set(used_options(rest)) - options_of(command)
    assert not unknown, f"mte-harness {' '.join(names)} has no {unknown}"


def check_pytest(words: list[str], config: pytest.Config) -> None:
    """Fail for an option that pytest with our plugin does not have."""
    for option in used_options(words):
        try:
            config.getoption(option)
        except ValueError:
            raise AssertionError(f"pytest has no {option}") from None


LINES = list(command_lines())


@pytest.mark.parametrize(("place", "words"), LINES, ids=[place for place, _ in LINES])
def test_command_lines(place: str, words: list[str], request: pytest.FixtureRequest) -> None:
    if words[:3] == ["git", "bisect", "run"]:
        words = words[3:]
    program, rest = words[0], words[1:]
    if program.startswith("scripts/"):
        mode = (ROOT / program).stat().st_mode
        assert mode & 0o111, f"{program} cannot be run"
        if program == "scripts/validate":
            check_mte_harness(["validate", *rest])
        elif program == "scripts/test":
            check_pytest(rest, request.config)
    elif Path(program).name == "mte-harness":
        check_mte_harness(rest)
    elif Path(program).name == "pytest":
        check_pytest(rest, request.config)
    else:
        pytest.fail(f"{place}: nothing checks {program}: teach this test, or leave it out")


def test_the_readme_shows_each_way_in() -> None:
    shown = {Path(words[0]).name for place, words in LINES if place.startswith("README.md:")}
    assert {"validate", "test", "mte-harness", "pytest"} <= shown


def leaves(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every subcommand that is not a group, by its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*names, name))
        else:
            yield " ".join((*names, name)), command


def test_the_reference_has_every_command_and_option() -> None:
    page = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    missing = []
    for name, command in leaves(cli.cli):
        if f"`mte-harness {name}" not in page:
            missing.append(f"mte-harness {name}")
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                spelt = {*parameter.opts, *parameter.secondary_opts}
                if not any(re.search(rf"`{re.escape(option)}\b", page) for option in spelt):
                    missing.append(f"mte-harness {name} {'/'.join(sorted(spelt))}")
    assert not missing, missing


def test_commands_in_texts_exist() -> None:
    wrong = []
    for prose in PROSE:
        if prose.file.suffix != ".md":
            continue
        for match in re.finditer(r"`mte-harness ([a-z-]+)(?: ([a-z]+))?", prose.text):
            command = cli.cli.commands.get(match[1])
            sub = isinstance(command, click.Group) and match[2] and match[2] not in command.commands
            if command is None or sub:
                wrong.append(f"{prose.place(match.start())}: {match[0]}")
    assert not wrong, "\n".join(wrong)


class Recorder:
    """A stand-in for pytest's parser that notes the options that a plugin adds."""

    def __init__(self) -> None:
        self.options: set[str] = set()

    def getgroup(self, _name: str, _description: str = "") -> Recorder:
        """Return the recorder, which is its own group."""
        return self

    def addoption(self, *names: str, **_settings: object) -> None:
        """Note an option."""
        self.options.update(names)


def test_the_reference_has_every_pytest_option() -> None:
    recorder = Recorder()
    plugin.pytest_addoption(recorder)  # type: ignore[arg-type]
    page = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    section = page.partition("\n## pytest\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
    assert documented == recorder.options


# --- the report's JSON -----------------------------------------------------------

DERIVED: dict[type, set[str]] = {Splat: {"fingerprint"}}  # in the JSON, and no field


def test_the_reference_has_every_field_of_the_report() -> None:
    page = (REFERENCE / "report.md").read_text(encoding="utf-8")
    documented = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
        documented[name] = {field for cell in cells for field in re.findall(r"`(\w+)`", cell)}
    real = {
        cls.__name__: {field.name for field in dataclasses.fields(cls)} | DERIVED.get(cls, set())
        for cls in (
            model.Report, model.KernelRecord, model.TestRecord, ProbeResult, Reason, KtapResult,
            Splat, Frame, CounterSample, Finding, model.Figure, model.ShardRecord, model.Hole,
        )
    }  # fmt: skip
    assert documented == real
    assert f"schema {model.SCHEMA}." in page


# --- exit statuses ---------------------------------------------------------------


def real_statuses() -> set[int]:
    """Return every exit status of harness/core/errors.py, and those of signals."""

    def classes(base: type[errors.HarnessError]) -> Iterator[type[errors.HarnessError]]:
        yield base
        for child in base.__subclasses__():
            yield from classes(child)

    constants = {
        value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)
    }
    ours = {c.status for c in classes(errors.HarnessError) if c.__module__ == errors.__name__}
    return constants | ours | {128 + signal.SIGHUP, 128 + signal.SIGTERM}


def status_table(page: Path) -> set[int]:
    """Return the statuses in the first column of the tables of a page."""
    cells = re.findall(r"^\| (\d[\d, ]*?) *\|", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number) for cell in cells for number in cell.split(",")}


def test_the_exit_statuses_are_those_of_the_code() -> None:
    assert status_table(REFERENCE / "exit-status.md") == real_statuses()


def test_the_readme_has_the_statuses_that_bisection_does_not_stop_at() -> None:
    assert status_table(ROOT / "README.md") == {n for n in real_statuses() if n < 128}
