"""Environments that checkouts share: made once, found where they are damaged, and removed when nobody needs them."""

import base64
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samebook.environment import bytecode, machine
from samebook.wheelhouse import seal, shared
from samebook.wheelhouse.seal import Comparison

CODE = "NAME = 'tool'\n"
UV = Path("true")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of environments, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (shared.UNSHARED, shared.UNCOMPILED):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "lock.txt").write_text("tool==1.0\n")
    return tmp_path / "cache" / "samebook" / "environments"


def new_venv(path: Path) -> Path:
    """A virtual environment without packages."""
    (path / "lib" / "python3.13" / "site-packages").mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin" / "python").symlink_to(sys.executable)
    return path


def install(environment: Path, code: str = CODE) -> None:
    """Install the package `tool` as uv does: its RECORD has the wheel's sha256, its command may be moved."""
    site = new_venv(environment) / "lib" / "python3.13" / "site-packages"
    (site / "tool").mkdir()
    (site / "tool" / "core.py").write_text(code)
    os.utime(site / "tool" / "core.py", (time.time() - 3600,) * 2)
    (site / "tool-1.0.dist-info").mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(CODE.encode()).digest()).rstrip(b"=").decode()
    (site / "tool-1.0.dist-info" / "RECORD").write_text(f"tool/core.py,sha256={digest},{len(CODE)}\n")
    start = """#!/bin/sh\n'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"\n' '''\n"""
    (environment / "bin" / "tool").write_text(f"{start}import sys; print(sys.executable, sys.argv[1:])\n")
    (environment / "bin" / "tool").chmod(0o755)


def make(checkout: Path, capsys: pytest.CaptureFixture[str], code: str = CODE) -> tuple[Path, bool]:
    """A new view of the lock's environment, as make gives it to a checkout, and whether packages were installed."""
    view, lock = new_venv(checkout / ".venv"), checkout.parent / "lock.txt"
    if is_new := shared.link(view, UV, [lock]) == shared.MISSING:
        new = Path(capsys.readouterr().out.strip())
        install(new, code)
        shared.keep(view, new)
    return view, is_new


def core(view: Path) -> Path:
    return view / "lib" / "python3.13" / "site-packages" / "tool" / "core.py"


def edit(path: Path) -> None:
    """Another content of the same size, at the same time."""
    status = path.stat()
    path.write_text(CODE.replace("tool", "evil"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two checkouts of a lock have the same files, each a command and code of its own; another lock has its own."""
    (first, is_new), (second, is_another) = (make(tmp_path / name, capsys) for name in "ab")
    assert (is_new, is_another) == (True, False)
    assert core(first).samefile(core(second))
    assert list(core(first).parent.glob("__pycache__/core.*.pyc"))
    for view in (first, second):
        assert (view / "bin" / "tool").read_text().startswith(f"#!{view}/bin/python\n")
    (core(first).parents[1] / "own.pth").write_text("/a/scripts\n")
    assert not (core(second).parents[1] / "own.pth").exists()
    (tmp_path / "lock.txt").write_text("tool==2.0\n")
    assert make(tmp_path / "c", capsys)[1]


@pytest.mark.parametrize("folder", ["a", "a" * 120, "a$HOME" + "b" * 120])
def test_command_has_the_python_of_its_view(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command of a checkout runs in its view, which has the checkout's own code, however long its path is."""
    view, _ = make(tmp_path / folder, capsys)
    done = subprocess.run([view / "bin" / "tool", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{view}/bin/python ['a b']\n"


@pytest.mark.parametrize("damage", ["edited", "gone", "added", "planted bytecode", "cut seal"])
def test_damage_is_found_and_mended(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An environment with a file edited, gone or added is made again, for the next checkout and all that show it."""
    view, _ = make(tmp_path / "a", capsys)
    environment = shared.of_view(view)
    assert environment
    assert Comparison.of(environment).damages() == []  # its files were read
    assert Comparison.of(environment).unread == []
    path = core(view)
    (compiled,) = path.parent.glob("__pycache__/core.*.pyc")
    {
        "edited": lambda: edit(path),
        "gone": path.unlink,
        "added": lambda: (path.parent / "hidden.json").write_text("{}"),
        "planted bytecode": lambda: compiled.write_bytes(b"evil"),
        "cut seal": lambda: (environment / seal.SEAL).write_text("{"),
    }[damage]()
    assert Comparison.of(environment).damages()
    assert make(tmp_path / "b", capsys)[1]
    assert path.read_text() == CODE
    assert Comparison.of(environment).damages() == []
    assert [path.name for path in environment.parent.iterdir() if path.name != shared.LOCK] == [environment.name]


def test_edit_of_what_uv_has_unpacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was edited in uv's cache before it was installed is found: the wheel decides, and not what came."""
    view, _ = make(tmp_path / "a", capsys, CODE.replace("tool", "evil"))
    environment = shared.of_view(view)
    assert environment
    assert Comparison.of(environment).damages() == ["lib/python3.13/site-packages/tool/core.py"]


def test_caches_of_others_are_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program keeps beside its modules is no damage, and is gone before a reproduction could read it."""
    view, _ = make(tmp_path / "a", capsys)
    kept = core(view).parent / "__pycache__" / "core.cpython-313-pytest-9.pyc"
    kept.write_bytes(b"1234")
    environment = shared.of_view(view)
    assert environment
    assert Comparison.of(environment).strays == []
    assert not kept.exists()


def test_links_of_others_are_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another environment with links to the same files, as uv makes it, changes states and no content."""
    view, _ = make(tmp_path / "a", capsys)
    environment = shared.of_view(view)
    assert environment
    Comparison.of(environment).damages()
    (tmp_path / "other.py").hardlink_to(core(view).resolve())
    comparison = Comparison.of(environment)
    assert (len(comparison.unread), comparison.damages()) == (1, [])


def test_two_at_once_and_one_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    """Of two checkouts that make an environment at once both have the same whole one; what a killed third has left is
    used by nobody, and removed a day later.
    """
    views = [new_venv(tmp_path / name / ".venv") for name in "ab"]
    folders = list[Path]()
    for view in views:
        assert shared.link(view, UV, [tmp_path / "lock.txt"]) == shared.MISSING
        folders.append(Path(capsys.readouterr().out.strip()).with_name(f".new-{view.parent.name}-1"))
    folders = [folder.with_name(f".new-{'f' * 64}-{number}") for number, folder in enumerate(folders)]
    for folder in folders:
        install(folder)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(shared.keep, views, folders))
    assert core(views[0]).samefile(core(views[1]))
    assert sorted(path.name for path in cache.iterdir()) == [shared.LOCK, "f" * 64]
    install(cache / f".new-{'e' * 64}-2")
    assert shared.unused() == []
    os.utime(cache / f".new-{'e' * 64}-2", (time.time() - 2 * bytecode.DAY,) * 2)
    assert [path.name for path in shared.unused()] == [f".new-{'e' * 64}-2"]
    shared.remove(shared.unused()[0])
    assert sorted(path.name for path in cache.iterdir()) == [shared.LOCK, "f" * 64]


@pytest.mark.parametrize("obstacle", ["a file", "a folder that can't be made", "full"])
def test_without_a_cache(
    obstacle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the user's cache is full, or can't be written, the environment stands in the checkout."""
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    if obstacle == "full":
        monkeypatch.setattr(shared, "LEAST_FREE", 1 << 60)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" if obstacle == "a file" else Path("/proc/none")))
    view, _ = make(tmp_path / "a", capsys)
    assert shared.of_view(view) is None
    assert core(view).resolve().is_relative_to(tmp_path / "a" / ".samebook" / "environments")


def test_reproduction_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reproduction shows the environment that is there, makes none for others, and a stranger's shares none."""
    is_shared = dict[str, bool]()
    for name, variables in {
        "first": [shared.UNCOMPILED],
        "checkout": [],
        "own": [shared.UNCOMPILED],
        "stranger": [shared.UNCOMPILED, shared.UNSHARED],
    }.items():
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / name)
            for variable in variables:
                patch.setenv(variable, "1")
            is_shared[name] = shared.of_view(make(tmp_path / name, capsys)[0]) is not None
    assert is_shared == {"first": False, "checkout": True, "own": True, "stranger": False}


def test_needed_environments_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An old environment stays as long as a checkout shows it, or a process has loaded a library from it."""
    view, _ = make(tmp_path / "a", capsys)
    environment = shared.of_view(view)
    assert environment
    os.utime(environment / shared.VIEWS, (time.time() - 31 * bytecode.DAY,) * 2)
    assert shared.unused() == []
    (view / machine.SHOWN).unlink()
    assert shared.unused() == [environment]
    words = (
        "import mmap, sys; f = open(sys.argv[1]); m = mmap.mmap(f.fileno(), 0, prot=1); print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", words, str(core(environment))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        assert shared.unused() == []
        process.communicate("\n")
    assert shared.size(environment) > 0
    shared.remove(environment)
    assert not environment.exists()
    assert make(tmp_path / "b", capsys)[1]
