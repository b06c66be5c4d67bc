# SPDX-License-Identifier: MIT
"""Decoding, against small programs that the project's own cross compiler builds."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.errors import ArtifactError, CompilerMissingError
from harness.verdict.decode import MismatchError, Place, Symbolizer
from harness.verdict.splat import Frame, find_splats

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """\
extern int copy(volatile int *p);
int start_kernel(volatile int *p)
{
	int sum = copy(p);	/* the call */
	return sum + copy(p + 1);
}
"""
COPY = """\
static inline __attribute__((always_inline)) int save(volatile int *p)
{
	*p = 1;	/* inlined */
	return *p;
}
int copy(volatile int *p)
{
	int v = save(p);	/* the inlined call */
	__asm__ volatile("brk #1");	/* trap */
	return v;
}
__asm__(".text; .globl in_assembler; in_assembler: nop; nop; .globl after; after: nop");
"""


def build(root: Path, *flags: str) -> Path:
    (root / "init").mkdir(exist_ok=True)
    (root / "mm").mkdir(exist_ok=True)
    (root / "init/main.c").write_text(MAIN)
    (root / "mm/copy.c").write_text(COPY)
    out = root / "vmlinux"
    command = ["aarch64-linux-gnu-gcc", "-O1", "-nostdlib", "-static", "-e", "start_kernel"]
    sources = [str(root / "init/main.c"), str(root / "mm/copy.c")]
    subprocess.run([*command, *flags, "-o", str(out), *sources], check=True)
    return out


@pytest.fixture(scope="module")
def symbolizer(tmp_path_factory: pytest.TempPathFactory) -> Symbolizer:
    return Symbolizer(build(tmp_path_factory.mktemp("kernel"), "-gdwarf-5"))


def frame(symbolizer: Symbolizer, symbol: str, offset: int) -> Frame:
    ((_, size),) = symbolizer._symbols[symbol]
    return Frame(symbol, offset, size)


def line(text: str, marker: str) -> int:
    return next(n for n, at in enumerate(text.splitlines(), 1) if marker in at)


def instructions(symbolizer: Symbolizer, symbol: str) -> range:
    ((_, size),) = symbolizer._symbols[symbol]
    return range(0, size, 4)


def test_inlined_chain(symbolizer: Symbolizer) -> None:
    want = (
        Place("save", "mm/copy.c", line(COPY, "/* inlined */")),
        Place("copy", "mm/copy.c", line(COPY, "/* the inlined call */")),
    )
    seen = [
        symbolizer.places(frame(symbolizer, "copy", offset), exact=True)
        for offset in instructions(symbolizer, "copy")
    ]
    assert want in seen
    trap = (Place("copy", "mm/copy.c", line(COPY, "/* trap */")),)
    assert trap in seen


def test_return_address_is_of_the_call_before_it(symbolizer: Symbolizer) -> None:
    call = (Place("start_kernel", "init/main.c", line(MAIN, "/* the call */")),)
    offsets = instructions(symbolizer, "start_kernel")
    exact = [
        o
        for o in offsets
        if symbolizer.places(frame(symbolizer, "start_kernel", o), exact=True) == call
    ]
    after = max(exact) + 4
    assert symbolizer.places(frame(symbolizer, "start_kernel", after)) == call
    assert symbolizer.places(frame(symbolizer, "start_kernel", after), exact=True) != call


@pytest.mark.parametrize("version", ["4", "5"])
def test_dwarf_versions_agree(symbolizer: Symbolizer, tmp_path: Path, version: str) -> None:
    other = Symbolizer(build(tmp_path, f"-gdwarf-{version}"))
    for symbol in ("copy", "start_kernel"):
        for offset in instructions(symbolizer, symbol):
            at = frame(symbolizer, symbol, offset)
            assert other.places(at, exact=True) == symbolizer.places(at, exact=True)


def test_assembler_has_no_line_but_a_size(symbolizer: Symbolizer) -> None:
    assert symbolizer.places(Frame("in_assembler", 4, 8)) == ()
    with pytest.raises(MismatchError):
        symbolizer.places(Frame("in_assembler", 4, 12))


def test_other_kernel_is_told(symbolizer: Symbolizer) -> None:
    at = frame(symbolizer, "copy", 4)
    with pytest.raises(MismatchError, match="vmlinux does not match the kernel: copy has size"):
        symbolizer.places(Frame("copy", 4, at.size + 4))
    with pytest.raises(MismatchError, match="no such symbol"):
        symbolizer.places(Frame("copied", 4, 8))


def test_without_dwarf_only_the_match_is_known(tmp_path: Path) -> None:
    bare = Symbolizer(build(tmp_path, "-g0"))
    assert bare.places(frame(bare, "copy", 4)) == ()
    with pytest.raises(MismatchError):
        bare.places(Frame("copy", 4, 0x4000))


@pytest.mark.parametrize(
    "content", [b"", b"no ELF file at all", b"\x7fELF\x02\x01\x01" + bytes(20)]
)
def test_no_vmlinux(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="vmlinux") as caught:
        Symbolizer(path)
    assert caught.value.cure


def test_missing_vmlinux(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        Symbolizer(tmp_path / "vmlinux")


def splat_text(symbolizer: Symbolizer, caller_size: int = 0) -> str:
    trap = next(
        offset
        for offset in instructions(symbolizer, "copy")
        if symbolizer.places(frame(symbolizer, "copy", offset), exact=True)[0].line
        == line(COPY, "/* trap */")
    )
    copy = frame(symbolizer, "copy", trap)
    caller = frame(symbolizer, "start_kernel", instructions(symbolizer, "start_kernel")[-1])
    caller = Frame(caller.symbol, caller.offset, caller_size or caller.size)
    return (
        "[    1.0] x\n[    1.000001] Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP\n"
        f"[    1.000002] pc : {copy}\n"
        f"[    1.000003] Call trace:\n[    1.000004]  {copy}\n[    1.000005]  {caller}\n"
    )


def test_annotate(symbolizer: Symbolizer) -> None:
    (splat,) = find_splats(splat_text(symbolizer))
    decoded = symbolizer.annotate(splat)
    trap = f"(mm/copy.c:{line(COPY, '/* trap */')})"
    assert decoded.lines[1] == f"{splat.lines[1]} {trap}"
    assert decoded.lines[3] == f"{splat.lines[3]} {trap}"
    assert decoded.lines[4].startswith(f"{splat.lines[4]} (init/main.c:")
    assert decoded.fingerprint == splat.fingerprint
    assert decoded.frames == splat.frames


def test_annotate_says_when_the_vmlinux_is_another_s(symbolizer: Symbolizer) -> None:
    (splat,) = find_splats(splat_text(symbolizer, caller_size=0x400))
    decoded = symbolizer.annotate(splat)
    assert decoded.lines[4] == splat.lines[4]
    assert decoded.lines[-1].startswith("[not decoded: vmlinux does not match the kernel: start_k")


def test_one_process_decodes_a_splat(
    symbolizer: Symbolizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Symbolizer(symbolizer.path)
    started: list[list[str]] = []
    run = subprocess.run

    def count(argv: list[str], **options: Any) -> Any:
        started.append(argv)
        return run(argv, **options)

    monkeypatch.setattr(subprocess, "run", count)
    (splat,) = find_splats(splat_text(symbolizer))
    started.clear()
    decoded = fresh.annotate(splat)
    assert len(started) == 2  # where the source is, and the splat
    assert fresh.annotate(splat) == decoded
    assert len(started) == 2


def test_no_addr2line(
    symbolizer: Symbolizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh = Symbolizer(symbolizer.path)
    at = frame(symbolizer, "copy", 4)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerMissingError, match="addr2line") as caught:
        fresh.places(at)
    assert "apt-get install binutils-aarch64-linux-gnu" in caught.value.cure
