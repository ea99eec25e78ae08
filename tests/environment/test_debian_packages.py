"""Debian packages of the image: their lock, and what the doctor says of them."""

import runpy
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny

CHECK = runpy.run_path(str(CHECKOUT / "scripts" / "samebook" / "image" / "check"))


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


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libgomp.so.1", "libgomp1"),
        ("libX11.so.6", "libx11-6"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libnss3.so", "libnss3"),
        ("libgthread-2.0.so.0", "libglib2.0-0t64"),
    ],
)
def test_package_of_a_library(library: str, package: str) -> None:
    """A library's name says Debian's package of it, by Debian's rule, but for some."""
    assert CHECK["debian_package"](library) == package


def test_libraries_that_a_package_loads(tmp_path: Path) -> None:
    """What a package loads is read from its files, also where nothing of it runs here; its own libraries count not."""
    strings = b"\0libgomp.so.1\0libown.so\0libc.so.6\0libcuda.so.1\0"
    names = [strings.index(name) for name in (b"libgomp", b"libown", b"libc.", b"libcuda")]
    words = b"".join(struct.pack("<qQ", 1, at) for at in names) + struct.pack("<qQQQ", 5, 4096, 0, 0)
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<QQ", 64, 0) + bytes(6) + struct.pack("<HH", 56, 2)
    table = struct.pack("<IIQQQQQQ", 1, 0, 512, 4096, 4096, len(strings), len(strings), 1)
    table += struct.pack("<IIQQQQQQ", 2, 0, 256, 8192, 8192, len(words), len(words), 8)
    library = (header.ljust(64, b"\0") + table).ljust(256, b"\0") + words
    folder = tmp_path / "own-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: own\nVersion: 1\n")
    (folder / "RECORD").write_text("own/a.cpython-313-x86_64-linux-gnu.so,,\nown/libown.so,,\nown/broken.so.1,,\n")
    (tmp_path / "own").mkdir()
    for name, data in (("a.cpython-313-x86_64-linux-gnu.so", library), ("libown.so", library), ("broken.so.1", b"x")):
        (tmp_path / "own" / name).write_bytes(library.ljust(512, b"\0") + strings if data is library else data)
    command = [sys.executable, CHECKOUT / "scripts" / "samebook" / "image" / "check", "--libraries", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "own libgomp.so.1=libgomp1\n"


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
