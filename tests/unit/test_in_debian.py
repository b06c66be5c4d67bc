# SPDX-License-Identifier: MIT
"""scripts/in-debian with stand-ins for what needs root: what it is told, and what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import checkout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import Shim


STAND_INS = {
    "id": "echo 0",
    "apt-config": """echo 'Acquire::http::Proxy "http://proxy:3128";'; echo 'APT::X "1";'""",
    # The words before the mirror's lines: ... SUITE DIRECTORY "deb ...".
    "mmdebstrap": """
for word; do case $word in "deb "*) ;; *) last=$word ;; esac; done
mkdir -p "$last/etc" "$last/root" "$last/usr/local/share" """,
    "mount": "",
    # Without namespaces, the words behind the options are run.
    "setpriv": 'shift 2; exec "$@"',
    "unshare": 'shift 2; exec "$@"',
    # chroot ROOT COMMAND..., where one word is the directory of the clone.
    "chroot": """
root=$1
shift
for word; do
    shift
    case $word in /root/mte-harness) word=$root$word ;; esac
    set -- "$@" "$word"
done
exec "$@" """,
}


@pytest.fixture
def script(tmp_path: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the script in a small repository of its own, which has one commit."""
    for name, text in STAND_INS.items():
        shim(name, text)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    repository = tmp_path / "repository"
    (repository / "scripts").mkdir(parents=True)
    copy = repository / "scripts" / "in-debian"
    shutil.copy2(checkout("the tests") / "scripts" / "in-debian", copy)
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return copy


def run(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no release and no command"),
        (["13"], "no command"),
        (["11", "true"], "11 is no release of Debian that this script makes: 12, 13"),
        (["scripts/test"], "scripts/test is no release of Debian"),
        (["--kept", "12", "true"], "unknown option --kept"),
        (["--keep"], "--keep needs a directory"),
        (["--keep", "", "12", "true"], "not an empty word"),
        (["--keep", "/dev", "12", "true"], "--keep /dev: neither empty nor a system"),
        (["--keep", "/dev/null", "12", "true"], "--keep /dev/null: neither empty nor a system"),
        (["--cache", "/no/such", "12", "true"], "--cache /no/such is not a directory"),
    ],
)
def test_wrong_words_are_refused(script: Path, words: list[str], complaint: str) -> None:
    done = run(script, *words)
    assert (done.returncode, done.stdout) == (errors.UsageError.status, "")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_says_what_to_install(script: Path, shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "shims" / "mmdebstrap").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sed", "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [script, "12", "true"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}/shims:{tools}"},
    )
    assert done.returncode == errors.SetupError.status
    assert "no mmdebstrap (as root: apt-get install mmdebstrap" in done.stderr


def test_only_root(script: Path, shim: Shim) -> None:
    shim("id", "echo 1000")
    done = run(script, "13", "true")
    assert done.returncode == errors.SetupError.status
    assert "need root" in done.stderr


def test_the_command_runs_in_a_clone_and_its_status_comes_out(
    script: Path, tmp_path: Path, calls: Callable[[], list[str]]
) -> None:
    (script.parent / "edited").touch()
    done = run(script, "13", "sh", "-c", "pwd; ls scripts; cat; exit 7")
    assert done.returncode == 7
    place, listed = done.stdout.splitlines()
    assert place.endswith("/root/root/mte-harness")
    assert listed == "in-debian"
    assert "changes that are not committed are left out" in done.stderr
    assert not list((tmp_path / "scratch").iterdir())
    (made,) = [call for call in calls() if call.startswith("mmdebstrap")]
    assert "trixie-updates" in made
    assert "trixie-security" in made
    assert run(script, "12", "true").returncode == 0
    assert "bookworm-security" in " ".join(calls())


def test_settings_of_the_host_come_along(
    script: Path, tmp_path: Path, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, index, cache = tmp_path / "wheels", tmp_path / "index" / "simple", tmp_path / "cache"
    for directory in (wheels, index, cache):
        directory.mkdir(parents=True)
    certificate = tmp_path / "ca.pem"
    certificate.write_text("certificate")
    pip = tmp_path / ".config" / "pip" / "pip.conf"
    pip.parent.mkdir(parents=True)
    pip.write_text(f"[global]\nextra-index-url = file://{index}\n# find-links = /dev\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheels} https://x.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificate))
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("SECRET", "of the host")
    kept = tmp_path / "kept"
    done = run(script, "--keep", str(kept), "--cache", str(cache), "13", "env")
    assert done.returncode == 0, done.stderr
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert seen["PIP_FIND_LINKS"] == f"{wheels} https://x.example/simple"
    assert (seen["http_proxy"], seen["HOME"]) == ("http://proxy:3128", "/root")
    assert "SECRET" not in seen
    bound = [call.split()[2:] for call in calls() if call.startswith("mount --bind")]
    root = kept / "root"
    assert bound == [
        [str(cache), f"{root}/root/.cache/mte-harness"],
        # The links of an index lead beside it.
        *([str(path), f"{root}{path}"] for path in (index.parent, wheels)),
    ]
    assert (root / str(certificate).lstrip("/")).read_text() == "certificate"
    assert (root / "root/.config/pip/pip.conf").read_text() == pip.read_text()
    assert (kept / "apt.conf").read_text() == 'Acquire::http::Proxy "http://proxy:3128";\n'


def test_a_kept_system_is_used_again_with_the_last_commit(
    script: Path, tmp_path: Path, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, wheels = tmp_path / "kept", tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    assert run(script, "--keep", str(kept), "12", "touch", "made-inside").returncode == 0
    git = ["git", "-C", str(script.parent), "-c", "user.name=A", "-c", "user.email=a@b.c"]
    (script.parent / "two").touch()
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "two"], check=True)
    done = run(script, "--keep", str(kept), "12", "ls", "scripts/two", "made-inside")
    assert done.returncode == 0, done.stderr
    assert len([call for call in calls() if call.startswith("mmdebstrap")]) == 1
    assert calls().count(f"mount --bind {wheels} {kept}/root{wheels}") == 2
    other = run(script, "--keep", str(kept), "13", "true")
    assert other.returncode == errors.UsageError.status
    assert f"--keep {kept}: holds Debian 12 (another directory for 13)" in other.stderr


def test_a_half_made_system_is_made_again(script: Path, tmp_path: Path, shim: Shim) -> None:
    kept = tmp_path / "kept"
    shim("mmdebstrap", 'mkdir -p "$TMPDIR/new"; echo E: no network >&2; exit 25')
    done = run(script, "--keep", str(kept), "13", "true")
    assert done.returncode == errors.HarnessError.status
    assert done.stderr.splitlines()[1:] == [
        "E: no network",
        "in-debian: mmdebstrap failed, see above",
    ]
    shim("mmdebstrap", STAND_INS["mmdebstrap"])
    assert run(script, "--keep", str(kept), "13", "true").returncode == 0


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_removes_the_system(
    script: Path, tmp_path: Path, which: signal.Signals
) -> None:
    """Without namespaces the command stays; tests/nightly/test_fresh_debian.py has them."""
    child = subprocess.Popen(
        [script, "12", "sh", "-c", "echo $$; exec sleep 1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    command = int(child.stdout.readline())
    try:
        child.send_signal(which)
        assert child.wait(timeout=60) == 128 + which
    finally:
        os.kill(command, signal.SIGKILL)
        child.stdout.close()
    assert not list((tmp_path / "scratch").iterdir())
