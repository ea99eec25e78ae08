"""Environments that the real make and the real uv make: without links between file systems, and without any index."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny, git, of_its_own_make

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]

DEAD = "http://127.0.0.1:9"
MEMORY = Path("/dev/shm")
CELL = "import numpy, samebook\nsamebook.log_metric('n', int(numpy.arange({}).sum()))"


def make(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make ARGUMENTS ENGINE=local` in a clone, which finds this Python, and no environment of the tests."""
    here = {name: value for name, value in of_its_own_make().items() if name not in ("VIRTUAL_ENV", "XDG_CACHE_HOME")}
    env = {**here, "PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin", **variables}
    command = ["make", *arguments, "ENGINE=local"]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Tiny:
    """A clone of this checkout, with nothing but its files."""
    tiny = Tiny(tmp_path / "clone")
    subprocess.run(("git", "clone", "--quiet", CHECKOUT, tiny.root), check=True)
    return tiny


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on a file system of its own, in memory."""
    if not os.access(MEMORY, os.W_OK):
        pytest.skip("there is no file system in memory")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def commit(tiny: Tiny) -> None:
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "more")


def test_copies_where_there_are_no_links(clone: Tiny, elsewhere: Path) -> None:
    """An environment on another file system than uv's cache has copies, works, and doctor is content with it."""
    uv = CHECKOUT / ".samebook" / "uv"
    cache = subprocess.run((uv / "bin" / "uv", "cache", "dir"), capture_output=True, text=True, check=True).stdout
    shutil.copytree(uv, clone.root / ".samebook" / "uv", symlinks=True)
    # A few packages, with which doctor runs.
    shutil.copyfile(clone.root / "environments" / "command.txt", clone.root / "environments" / "runtime.txt")
    done = make(clone.root, "doctor", XDG_CACHE_HOME=str(elsewhere), UV_CACHE_DIR=cache.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "whole; shared by checkouts" in done.stdout
    (environment,) = (elsewhere / "samebook" / "environments").glob("[!.]*")
    files = [path.lstat() for path in environment.glob("lib/python*/site-packages/click/*.py")]
    assert {(state.st_nlink, state.st_dev) for state in files} == {(1, elsewhere.stat().st_dev)}
    assert Path(cache.strip()).stat().st_dev != elsewhere.stat().st_dev


@pytest.mark.long
def test_run_and_reproduction_without_an_index(clone: Tiny, tmp_path: Path) -> None:
    """With what `make keep` has put into the store, a machine with nothing else, and without an index, makes the
    environment of the real lock, runs a notebook, and reproduces that run of an older commit from nothing again.
    """
    clone.notebook("small", work=CELL.format(10))
    commit(clone)
    home = tmp_path / "home"
    ways = {
        "HOME": str(home),
        "UV_DEFAULT_INDEX": DEAD,
        "PIP_INDEX_URL": DEAD,
        "PIP_RETRIES": "0",
    }

    def empty() -> None:
        for folder in (home, clone.root / ".venv", clone.root / ".samebook"):
            shutil.rmtree(folder, ignore_errors=True)
        home.mkdir()

    empty()
    refused = make(clone.root, "run", "NOTEBOOK=small", **ways)
    assert refused.returncode == 2
    assert "error: uv could not be downloaded" in refused.stderr
    kept = make(clone.root, "keep")
    assert kept.returncode == 0, kept.stderr
    empty()
    run = make(clone.root, "run", "NOTEBOOK=small", **ways)
    assert run.returncode == 0, run.stderr
    assert "uv: into" in run.stderr
    name = clone.last.name
    clone.notebook("small", work=CELL.format(11))
    commit(clone)
    empty()
    again = make(clone.root, "reproduce", f"RUN={name}", **ways)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "IDENTICAL" in again.stdout
