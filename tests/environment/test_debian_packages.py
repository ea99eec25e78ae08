"""Debian packages of the image: their lock, and what the doctor says of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    """The folder environments/ of a project of its own."""
    return shutil.copytree(CHECKOUT / "environments", tmp_path / "environments")


def apt(environments: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samebook.cli.packages", "debian", *words]
    return subprocess.run(command, cwd=environments.parent, capture_output=True, text=True, check=False)


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
