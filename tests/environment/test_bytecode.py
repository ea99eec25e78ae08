"""Bytecode of packages: compiled once, from an environment's own files, then linked into the next environments."""

import os
import py_compile
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tiny import CHECKOUT

SCRIPT = CHECKOUT / "environments" / "bytecode"
TIME = 1_000_000_000
pytestmark = pytest.mark.host


def environment(folder: Path, text: str = "value = 1\n", time: int = TIME) -> Path:
    """The module of a new environment with one package, as an installer would link it."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "package").mkdir()
    module = site / "package" / "__init__.py"
    module.write_text(text)
    os.utime(module, (time, time))
    return module


def bytecode(module: Path) -> Path:
    return module.parent / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc"


def call(module: Path, cache: Path, code: str = "") -> str:
    """What the script, or code, prints in a module's environment."""
    python = next(parent for parent in module.parents if (parent / "pyvenv.cfg").is_file()) / "bin" / "python"
    command = [python, "-I", *(["-c", code] if code else [SCRIPT])]
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return ended.stdout + ended.stderr


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "samebook" / "bytecode").iterdir() if path.is_dir())


def test_third_environment_has_links(tmp_path: Path) -> None:
    """The second environment compiles what the first has imported, from its own files, and the third takes that."""
    first, second, third = (environment(tmp_path / name) for name in "abc")
    assert call(first, tmp_path) == ""
    assert not kept(tmp_path)
    py_compile.compile(str(first))
    bytecode(first).write_bytes(bytecode(first).read_bytes()[:16] + b"poison")
    assert "compiles what runs import" in call(second, tmp_path)
    assert call(second, tmp_path, "import package; print(package.value)") == "1\n"
    assert call(third, tmp_path) == ""
    assert bytecode(third).samefile(bytecode(second))
    assert call(third, tmp_path, "import package; print(package.__file__)") == f"{third}\n"


def test_bytecode_of_other_files_is_not_taken(tmp_path: Path) -> None:
    """Modules that were written at another time are compiled anew, and what is kept is made again."""
    first, second, last = (environment(tmp_path / name) for name in "abc")
    edited = environment(tmp_path / "d", "value = 2\n", TIME + 1)
    call(first, tmp_path)
    py_compile.compile(str(first))
    call(second, tmp_path)
    assert kept(tmp_path)
    call(edited, tmp_path)
    assert not bytecode(edited).exists()
    assert call(edited, tmp_path, "import package; print(package.value)") == "2\n"
    assert not kept(tmp_path)
    call(last, tmp_path)
    assert kept(tmp_path)


def test_old_bytecode_goes(tmp_path: Path) -> None:
    """Bytecode that no environment has asked for in months, and what a killed program has left, goes."""
    folder = tmp_path / "samebook" / "bytecode" / "old" / "package"
    folder.mkdir(parents=True)
    os.utime(folder.parent, (TIME, TIME))
    call(environment(tmp_path / "a"), tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize("cache", ["file", "/dev/full"])
def test_cache_that_takes_nothing(tmp_path: Path, cache: str) -> None:
    """A cache that can't be written costs time, and nothing else."""
    (tmp_path / "file").write_text("")
    assert "no bytecode is kept" in call(environment(tmp_path / "a"), tmp_path / cache)
