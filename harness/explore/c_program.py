# SPDX-License-Identifier: MIT
"""Prints a sequence as one C file that needs nothing of ours: what a mail to a list can carry."""

from __future__ import annotations

import itertools
import re
import textwrap
from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.explore.memory import GRANULE, GRANULES
from harness.explore.on_content import MODES
from harness.explore.on_memory import ADVICE
from harness.explore.steps import Code, Step, TagStore, Want
from harness.explore.world import BYTES, TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.explore.deviation import Deviation
    from harness.explore.steps import Run

PARTS = resources() / "guest" / "explore" / "program.c.in"
COMPILE = "aarch64-linux-gnu-gcc -O1 -static -pthread -march=armv8.5-a+memtag"
_PROTS = {0: "PROT_NONE", 1: "PROT_READ", 3: "PROT_READ | PROT_WRITE"}
_MAPS = {
    1: "MAP_SHARED",
    2: "MAP_PRIVATE",
    0x20: "MAP_ANONYMOUS",
    0x40000: "MAP_HUGETLB",
    0x100000: "MAP_FIXED_NOREPLACE",
}
_MREMAPS = {1: "MREMAP_MAYMOVE", 2: "MREMAP_FIXED", 4: "4 /* MREMAP_DONTUNMAP */"}
ADVICE_NAMES = {number: name for name, number in ADVICE.items()}
# Advice that Debian 12's C library has no name for.
_NAMELESS = frozenset({"collapse", "guard_install", "guard_remove", "soft_offline"})
_STORES = {
    TagStore.STG: "stg",
    TagStore.ST2G: "st2g",
    TagStore.STZG: "stzg",
    TagStore.GVA: "dc_gva",
    TagStore.GZVA: "dc_gzva",
}


# Steps that do not fault: the program ends by a signal if one does.
_WITHOUT_RESULT = frozenset({Code.TAGS, Code.FILL, Code.PATTERN})
_UNISTD = re.compile(r"\b(_exit|close|dup2|fork|ftruncate|getpp?id|pipe|read|usleep|write)\(")
_WHERE = re.compile(r"(?:tag|data) at (0x[0-9a-f]+):")


def print_program(
    steps: Sequence[Step], deviation: Deviation, about: str, *, always: bool = False
) -> str:
    """Return the C program of some steps. ``about``: lines for its head comment.

    ``always``: it deviates so each time, and need not look at anything but what deviates.
    """
    return _Printer(steps, deviation if always else None).text(f"{about}\nSeen: {deviation.text}")


def _parts() -> dict[str, str]:
    _, *pieces = re.split(r"^// part: (\w+)\n", PARTS.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


class _Printer:
    def __init__(self, steps: Sequence[Step], deviation: Deviation | None) -> None:
        where = _WHERE.match(deviation.text) if deviation else None
        self._where = int(where[1], 16) if where else 0
        self._last = steps[-1]
        self._turns = [
            (actor, list(turn)) for actor, turn in itertools.groupby(steps, lambda step: step.actor)
        ]
        self._used: set[str] = set()
        begun = {step.args[0] for step in steps if step.code in {Code.FORK, Code.THREAD}}
        self._actors = sorted({step.actor for step in steps} | {int(str(one)) for one in begun})
        self._checked = any(
            step.name == "prctl" and step.args[1] != MODES["none"] for step in steps
        )

    def text(self, about: str) -> str:
        """Return the program."""
        many = len(self._actors) > 1
        bodies = {actor: list(self._body(actor, many=many)) for actor in self._actors}
        if many:
            self._use("turns")
        main = bodies.pop(self._actors[0])
        comment = textwrap.indent(about, " * ", lambda _: True)
        self._use("head", "bad")
        lines = ["/*", comment.replace(" * \n", " *\n"), " */"]
        parts = _parts()
        if _UNISTD.search(str(bodies) + str(main) + "".join(parts[name] for name in self._used)):
            self._use("unistd")
        lines += filter(None, (self._part(parts[name]) for name in parts if name in self._used))
        lines += [f"static void *actor{actor}(void *);" for actor in bodies] * (len(bodies) > 1)
        for actor, body in bodies.items():
            lines += [f"\nstatic void *actor{actor}(void *unused)", "{"]
            lines += [f"\t{line}" for line in [*body, "return unused;"]] + ["}"]
        lines += ["\nint main(void)", "{", *[f"\t{line}" for line in main]]
        lines += [f"\tturn({len(self._turns)});"] * many
        lines += [
            '\tputs(bad ? "BAD" : "good");' if not many else '\tputs(*failed ? "BAD" : "good");'
        ]
        lines += ["\treturn bad;" if not many else "\treturn *failed;", "}"]
        return "\n".join(lines) + "\n"

    def _body(self, actor: int, *, many: bool) -> Iterator[str]:
        if many and actor == self._actors[0]:
            yield "begin_turns();"
        for number, (whose, steps) in enumerate(self._turns):
            if whose != actor:
                continue
            if many:
                yield f"turn({number});"
            for step in steps:
                yield from self._lines(step)
            if many:
                yield f"next({number});"

    def _part(self, text: str) -> str:
        """Return a part; where no thread's accesses are checked, TCO need not be set."""
        kept = [line for line in text.splitlines() if self._checked or "TCO(" not in line]
        return "\n".join(kept)

    def _use(self, *names: str) -> None:
        self._used.update(names)

    def _judged(self, step: Step, call: str) -> str:
        if step.how is Want.ANY or step.code in _WITHOUT_RESULT:
            return f"{call};"
        if step.how is Want.FAULT:
            self._use("fault")
            return f"FAULT({call});"
        self._use("call")
        want = f"{step.want:#x}" if step.want > 1 << 20 else str(step.want)
        return f"CALL({want}, {call});"

    def _lines(self, step: Step) -> Iterator[str]:
        args = [_number(arg) for arg in step.args if not isinstance(arg, tuple)]
        match step.code:
            case Code.CALL:
                self._use(*_INCLUDES.get(step.name, ()))
                yield self._judged(step, _call(step.name, step))
            case Code.CHECK:
                yield from self._check(step)
            case Code.FORK:
                yield f"if ((pids[{args[0]}] = fork()) == 0) {{"
                yield from (f"\tactor{args[0]}(NULL);", "\t_exit(0);", "}")
            case Code.THREAD:
                self._use("thread")
                yield f"pthread_create(&thread, NULL, actor{args[0]}, NULL);"
            case Code.EXIT:
                yield "/* this actor ends here */"
            case Code.TAGS:
                yield self._judged(step, self._tags(step))
            case Code.SLEEP:
                yield f"usleep({args[0]} * 1000);"
            case Code.SHELL:
                self._use("shell")
                yield f"system({args[0]});"
            case _:
                name = step.code.name.lower()
                self._use(name, *_ALSO.get(name, ()))
                yield self._judged(step, f"{name}_({', '.join(args)})")

    def _tags(self, step: Step) -> str:
        address, count, tag, how = step.args
        assert isinstance(address, int) and isinstance(how, int)
        name = _STORES[TagStore(how)]
        self._use(name)
        return f"{name}({address:#x}, {count}, {tag})"

    def _check(self, step: Step) -> Iterator[str]:
        self._use("check", "tco")
        address, all_runs = step.args
        assert isinstance(address, int) and isinstance(all_runs, tuple)
        runs: Sequence[Run] = all_runs
        if step is self._last:
            address, runs = _only(self._where, address, all_runs)
        at = 0
        while at < len(runs):
            run, count = runs[at], _stairs(runs[at:])
            if count > 1:
                self._use("stairs")
                yield f"stairs({address:#x}, {count}, {run.tag}, {run.byte});"
            elif run.tag >= 0 or run.byte >= 0:
                yield f"check({address:#x}, {run.granules}, {run.tag}, {run.byte});"
            at += count
            address += count * run.granules * GRANULE


def _only(where: int, address: int, runs: Sequence[Run]) -> tuple[int, Sequence[Run]]:
    """Return the run at ``where`` and its address, or all runs if it is in none of them."""
    at = address
    for run in runs:
        if 0 <= where - at < run.granules * GRANULE:
            return at, [run]
        at += run.granules * GRANULE
    return address, runs


def _stairs(runs: Sequence[Run]) -> int:
    """Return how many of the first runs are pages of a pattern: each one tag and byte higher.

    At least 1; tags may also be the same, where there are none.
    """
    first, count = runs[0], 1
    if first.granules != GRANULES or first.byte < 0:
        return 1
    for index, run in enumerate(runs):
        tag = 1 + (first.tag - 1 + index) % TAGS if first.tag > 0 else first.tag
        if (run.granules, run.tag, run.byte) != (GRANULES, tag, (first.byte + index) % BYTES):
            break
        count = index + 1
    return count


_INCLUDES = {
    "prctl": ("prctl",),
    "fallocate": ("fcntl",),
    "swapon": ("swap",),
    "swapoff": ("swap",),
}
_ALSO: dict[str, tuple[str, ...]] = {
    "file": ("fcntl",),
    "split": ("fcntl",),
    "load": ("signals",),
    "store": ("signals",),
    "fill": ("tco",),
    "pattern": ("tco", "stg"),
    **dict.fromkeys(("peek_tags", "poke_tags", "peer_read", "peer_write"), ("peer",)),
    **{f"uffd_{word}": ("uffd", "fcntl") for word in ("copy", "zero", "protect", "move")},
}


def _number(value: int | str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:#x}" if value > 1 << 20 else str(value)


def _call(name: str, step: Step) -> str:
    """Return a system call in C, by name or, where the C library has none, by number."""
    a = [arg if isinstance(arg, int) else 0 for arg in step.args]
    if name in {"mmap", "munmap", "mprotect", "mremap", "madvise"}:
        words = [f"(void *){a[0]:#x}", f"{a[1]:#x}", *_WORDS[name](a)]
    elif name == "prctl":
        mode = next(name for name, value in MODES.items() if value == a[1])
        words = ["PR_SET_TAGGED_ADDR_CTRL", f"{a[1]:#x} /* {mode} */", "0", "0", "0"]
    else:
        words = [_number(arg) for arg in step.args if not isinstance(arg, tuple)]
    return f"{name}({', '.join(words)})"


def _advice(number: int) -> str:
    name = ADVICE_NAMES[number]
    return f"{number} /* MADV_{name.upper()} */" if name in _NAMELESS else f"MADV_{name.upper()}"


def _prot(prot: int) -> str:
    return _PROTS[prot & 3] + (" | PROT_MTE" if prot & 0x20 else "")


def _words(value: int, names: dict[int, str]) -> str:
    return " | ".join(name for bit, name in names.items() if value & bit)


_WORDS: dict[str, Callable[[list[int]], list[str]]] = {
    "mmap": lambda a: [_prot(a[2]), _words(a[3], _MAPS), str(a[4]), "0"],
    "munmap": lambda _: [],
    "mprotect": lambda a: [_prot(a[2])],
    "mremap": lambda a: [f"{a[2]:#x}", _words(a[3], _MREMAPS), f"(void *){a[4]:#x}"],
    "madvise": lambda a: [_advice(a[2])],
}
