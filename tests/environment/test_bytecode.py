"""The bytecode of packages: compiled once for each wheel, copied into environments, and never what a notebook wrote."""

import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samebook.environment import bytecode

CODE = "NAME = 'tool'\n"
WORDS = "import tool.core; print(tool.core.NAME, tool.core.__cached__)"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of archives, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "samebook" / "bytecode"


def install(site: Path, code: str = CODE, name: str = "tool/core.py") -> Path:
    """A folder of packages with `tool`, whose module is as its RECORD says; the path of the module's bytecode."""
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    os.utime(path, (time.time() - 3600,) * 2)
    digest = base64.urlsafe_b64encode(hashlib.sha256(code.encode()).digest()).rstrip(b"=").decode()
    (site / "tool-1.0.dist-info").mkdir(exist_ok=True)
    (site / "tool-1.0.dist-info" / "RECORD").write_text(f"{name},sha256={digest},{len(code)}\n")
    return path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"


def imported(site: Path) -> str:
    """What a new process prints that imports the module, and from which bytecode it came."""
    command = [sys.executable, "-B", "-I", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {WORDS}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]


def test_compiled_once(tmp_path: Path, cache: Path) -> None:
    """The second environment of a wheel has the bytecode that was compiled for the first, as a file of its own."""
    first, second = (install(tmp_path / name) for name in "ab")
    bytecode.fill(tmp_path / "a")
    (archive,) = cache.iterdir()
    state = archive.stat()
    bytecode.fill(tmp_path / "b")
    assert (archive.stat().st_ino, archive.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)
    assert first.read_bytes()[16:] == second.read_bytes()[16:]
    assert first.stat().st_nlink == second.stat().st_nlink == 1
    assert imported(tmp_path / "b") == "tool"


def test_python_takes_it(tmp_path: Path) -> None:
    """Python runs the bytecode and compiles nothing: its size and time are those of the source."""
    compiled = install(tmp_path)
    bytecode.fill(tmp_path)
    content = compiled.read_bytes()
    compiled.write_bytes(content.replace(b"tool", b"seen", 2))
    assert imported(tmp_path) == "seen"
    compiled.write_bytes(content[:-5])  # as a killed make leaves it
    bytecode.fill(tmp_path)
    assert imported(tmp_path) == "tool"


def test_what_another_environment_imports(tmp_path: Path) -> None:
    """An environment for one run gets the bytecode that another has read; where no reads are kept, it gets all."""
    read, unread, new = install(tmp_path / "read"), install(tmp_path / "unread"), install(tmp_path / "new")
    for name in ("read", "unread"):
        bytecode.fill(tmp_path / name)
        install(tmp_path / name, "x = 1\n", "other/module.py")
    other = tmp_path / "read" / "other" / "__pycache__" / read.name.replace("core", "module")
    other.parent.mkdir()
    other.touch()
    os.utime(other, (time.time(), time.time() - 60))
    bytecode.fill(tmp_path / "new", tmp_path / "read")
    assert not new.exists()
    os.utime(read, (time.time(), time.time() - 60))
    bytecode.fill(tmp_path / "new", tmp_path / "read")
    assert new.is_file()
    new.unlink()
    os.utime(unread, (time.time() - 60, time.time()))
    bytecode.fill(tmp_path / "new", tmp_path / "unread")
    assert new.is_file()


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-30])


def flip(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes().replace(b"tool\xda", b"evil\xda").replace(b"\x04tool", b"\x04evil"))


@pytest.mark.parametrize("damage", [cut, flip, lambda archive: archive.write_bytes(b"")])
def test_damaged_archive_is_made_again(damage: Callable[[Path], None], tmp_path: Path, cache: Path) -> None:
    """An archive that was cut or has other bytes is not used, and the next environment has a whole one."""
    install(tmp_path / "a")
    bytecode.fill(tmp_path / "a")
    (archive,) = cache.iterdir()
    whole = archive.read_bytes()
    damage(archive)
    assert archive.read_bytes() != whole
    compiled = install(tmp_path / "b")
    bytecode.fill(tmp_path / "b")
    assert (compiled.is_file(), imported(tmp_path / "b")) == (True, "tool")
    assert len(archive.read_bytes()) == len(whole)


@pytest.mark.parametrize("code", ["NAME = 'evil'\n", "NAME = 'edited'\n"])
def test_edited_code_is_not_kept(code: str, tmp_path: Path, cache: Path) -> None:
    """Of a package whose code is not as its RECORD says nothing is compiled, and nothing is kept for others, even where
    size and time are those of the wheel's.
    """
    compiled = install(tmp_path)
    path = tmp_path / "tool" / "core.py"
    path.write_text(code)
    os.utime(path, (time.time() - 3600,) * 2)
    bytecode.fill(tmp_path)
    assert (compiled.exists(), cache.exists()) == (False, False)


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_edit_is_what_runs(seconds: int, tmp_path: Path) -> None:
    """A file that somebody edits gets no bytecode of the wheel's: Python runs what is written there."""
    install(tmp_path / "a")
    bytecode.fill(tmp_path / "a")
    install(tmp_path / "b")
    path = tmp_path / "b" / "tool" / "core.py"
    path.write_text("NAME = 'edit'\n" + "#" * (seconds < 0))
    os.utime(path, (time.time() + seconds,) * 2)
    bytecode.fill(tmp_path / "b")
    assert imported(tmp_path / "b") == "edit"


@pytest.mark.parametrize("obstacle", ["a file", "a folder that can't be made", "unreadable words"])
def test_without_a_cache(obstacle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cache that can be written, as on a full disk, each environment compiles for itself."""
    cache = {"a file": tmp_path / "file", "unreadable words": tmp_path / ("x" * 300)}.get(obstacle, Path("/proc/none"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    compiled = install(tmp_path / "site")
    bytecode.fill(tmp_path / "site")
    assert compiled.is_file()


def test_code_that_no_python_compiles(tmp_path: Path) -> None:
    """A template among the modules, and one that warns, hold nothing up and print nothing."""
    compiled = install(tmp_path, "print '{{ name }}'\n")
    bytecode.fill(tmp_path)
    assert not compiled.exists()
    assert install(tmp_path / "warns", "x = '\\d'\n").exists() is False
    bytecode.fill(tmp_path / "warns")


def test_two_at_once(tmp_path: Path, cache: Path) -> None:
    """Environments that are made at the same time leave one whole archive and nothing half-written."""
    sites = [tmp_path / str(number) for number in range(6)]
    compiled = [install(site) for site in sites]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(bytecode._fill_package, [site / "tool-1.0.dist-info" / "RECORD" for site in sites]))
    assert all(path.is_file() for path in compiled)
    assert [path.suffix for path in cache.iterdir()] == [".zip"]
    assert bytecode.unused() == []


@pytest.mark.parametrize("name", ["a/../../aside/core.py", "linked/core.py"])
def test_names_that_lead_out(name: str, tmp_path: Path) -> None:
    """A RECORD whose names lead out of the folder of packages has nothing written there."""
    site = tmp_path / "site"
    (site / "a").mkdir(parents=True)
    (tmp_path / "aside").mkdir()
    (site / "linked").symlink_to(tmp_path / "aside")
    install(site, name=name)
    bytecode.fill(site)
    assert [path.name for path in (tmp_path / "aside").iterdir()] == ["core.py"]


def test_what_a_run_writes_is_removed(tmp_path: Path, cache: Path) -> None:
    """Archives that another commit's code edits, replaces or adds are removed, whatever their times."""
    for name, code in (("a", "A = 1\n"), ("b", "B = 1\n"), ("c", "C = 1\n")):
        install(tmp_path / name, code)
        bytecode.fill(tmp_path / name)
    edited, replaced, kept = cache.iterdir()
    state, content = edited.stat(), edited.read_bytes()
    with bytecode.guarded():
        edited.write_bytes(content[:40] + b"x" + content[41:])
        os.utime(edited, ns=(state.st_atime_ns, state.st_mtime_ns))
        (cache / "new").write_bytes(content)
        (cache / "new").replace(replaced)
        (cache / "added.zip").write_bytes(content)
    assert list(cache.iterdir()) == [kept]


def test_unused_archives(tmp_path: Path, cache: Path) -> None:
    """An archive that no environment has asked for in a month is unused; one that is asked for is young again."""
    install(tmp_path / "a")
    bytecode.fill(tmp_path / "a")
    (archive,) = cache.iterdir()
    (cache / f".{archive.name}.killed").touch()
    for path in cache.iterdir():
        os.utime(path, (time.time() - 31 * bytecode.DAY,) * 2)
    assert sorted(bytecode.unused()) == sorted(cache.iterdir())
    bytecode.fill(tmp_path / "a")
    assert bytecode.unused() == [cache / f".{archive.name}.killed"]
