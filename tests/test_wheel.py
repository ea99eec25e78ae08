"""The wheel: the same bytes for the same commit, and a command line that needs the light packages only."""

import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from light import light_python
from tiny import CHECKOUT, Tiny, of_its_own_make

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel of this checkout's commit."""
    return built(CHECKOUT, umask=0o022)


def built(checkout: Path, umask: int) -> Path:
    """The wheel that `make wheel` builds there; its line names the file and its sha256."""
    command = ["make", "--silent", "--old-file", "environments/build.txt", "wheel", "ENGINE=local"]
    done = subprocess.run(
        command, cwd=checkout, env=of_its_own_make(), capture_output=True, text=True, check=True, umask=umask
    )
    name, digest = done.stdout.split()
    assert digest.startswith("sha256:")
    return checkout / name


def test_bytes_are_the_commit(wheel: Path, tmp_path: Path) -> None:
    """A clone elsewhere, with an edit that is not committed and another umask, gives the same file."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    (clone / "scripts" / "samebook" / "stray.py").write_text("edited = True\n")
    (clone / ".samebook").mkdir()
    (clone / ".samebook" / "uv").symlink_to(CHECKOUT / ".samebook" / "uv")
    again = built(clone, umask=0o077)
    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())


def test_light_packages_are_enough(wheel: Path, tmp_path: Path, tiny: Tiny) -> None:
    """Beside what its core asks for, the wheel's command runs anywhere, and says what a run needs more."""
    python = light_python(tmp_path / "environment")
    (pth,) = (tmp_path / "environment").rglob("samebook.pth")
    pth.unlink()
    zipfile.ZipFile(wheel).extractall(pth.parent)

    def samebook(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "samebook", *arguments]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)

    assert samebook("--version").stdout == f"samebook {wheel.name.split('-')[1]}\n"
    assert "no samebook workspace" in samebook("runs").stderr
    assert samebook("runs", "--json", cwd=tiny.root).stdout == "[]\n"
    tiny.notebook("train", body="1 + 1")
    run = samebook("run", "train", cwd=tiny.root)
    assert run.returncode == 5
    assert "No module named" in run.stderr
    assert "-> pip install 'samebook[run]'" in run.stderr


def test_core_is_the_light_lock() -> None:
    """The packages that the wheel's core asks for are those that the light lock pins, so that one list says both."""
    package = tomllib.loads((CHECKOUT / "scripts" / "pyproject.toml").read_text())["project"]
    lock = (CHECKOUT / "environments" / "command.txt").read_text()
    assert all(f"\n{re.split(r'[\[<>=]', wish)[0]}==" in lock for wish in package["dependencies"])
