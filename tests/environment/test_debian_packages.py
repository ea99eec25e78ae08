"""Debian packages of the image: their lock, their installation by hash, and what the doctor says of them."""

import hashlib
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    """The folder environments/ of a project of its own."""
    return shutil.copytree(CHECKOUT / "environments", tmp_path / "environments")


def apt(environments: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([environments / "apt", *words], capture_output=True, text=True, check=False)


@pytest.mark.host
@pytest.mark.skipif(not shutil.which("apt-get"), reason="no Debian here: the test of the image does it")
def test_locked_by_hash(environments: Path) -> None:
    """A package comes with all that it needs for both processors, by hash; one that is nowhere changes nothing."""
    added = apt(environments, "add", "base", "figlet", "libgts-bin")
    assert added.returncode == 0, added.stderr
    assert "  figlet (added) -> 2." in added.stdout
    assert "  libglib2.0-0t64 (added) -> " in added.stdout
    assert "  they weigh " in added.stdout
    lock = (environments / "apt.lock").read_text()
    assert {line.split()[2] for line in lock.splitlines()[2:]} == {"amd64", "arm64"}
    assert "\nlibc6 " not in lock, "every base has it"
    for words, reason in (("figlett", "did you mean figlet"), ("-o", "is no name"), ("figlet-", "is no name")):
        refused = apt(environments, "add", "base", words)
        assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr
    conflict = apt(environments, "add", "base", "exim4-daemon-light", "postfix")
    assert "postfix : Conflicts: mail-transport-agent" in conflict.stderr
    assert (environments / "apt.lock").read_text() == lock
    (environments / "apt.txt").write_text("figlet\n")
    assert "was made for figlet libgts-bin" in apt(environments, "check", "base").stderr
    assert apt(environments, "remove", "base", "figlet").returncode == 0
    assert not (environments / "apt.lock").exists()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A Debian archive with one file, which is not the one of the lock."""
    folder = tmp_path / "mirror" / "pool"
    folder.mkdir(parents=True)
    (folder / "a_1_all.deb").write_text("another")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.host
@pytest.mark.skipif(not shutil.which("dpkg"), reason="no Debian here: the test of the image does it")
def test_other_bytes_refused(tmp_path: Path, mirror: str) -> None:
    """A file of other bytes than the lock's is not installed, and a package that is not there is named."""
    processor = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    lock = tmp_path / "apt.lock"
    lock.write_text(
        f"# a\n# …\na 1 {processor.strip()} 7 7 {hashlib.sha256(b'the one').hexdigest()} pool/a_1_all.deb\n"
    )
    program = CHECKOUT / "environments" / "image" / "debs"
    for verb, message in (("install", "other bytes than in the lock"), ("check", "a of apt.lock is not installed")):
        done = subprocess.run(
            [program, verb, lock], env={**os.environ, "DEBIAN_MIRROR": mirror}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, message in done.stderr) == (1, True), done.stderr


def test_doctor_names_missing(tiny: Tiny) -> None:
    """The doctor names a Debian package that this machine lacks, which changes results, and what installs it."""
    line = f"{'0' * 64} pool/x.deb"
    (tiny.root / "environments" / "apt.lock").write_text(
        f"# dpkg samebook-nowhere\n# …\nsamebook-nowhere 1.0 amd64 7 7 {line}\ndpkg 1.22 amd64 7 7 {line}\n"
    )
    ended = tiny.samebook("doctor")
    if not shutil.which("dpkg-query"):
        assert "no Debian here" in ended.stdout
        return
    assert ended.code == 5
    assert "-> sudo apt-get install samebook-nowhere" in ended.stdout
    assert "ok Debian package dpkg" in ended.stdout
