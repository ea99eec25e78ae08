"""The lock and what goes with it: one version of Python, and what `make lock` says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tiny import CHECKOUT

PYTHON = (CHECKOUT / ".python-version").read_text().strip()
BASE = re.search(r"^ARG BASE_IMAGE=(python:(\S+?)\.\d+-\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)


def test_one_python() -> None:
    """Whatever must name Python's version by itself names the one in .python-version."""
    environment, package, tools = (
        tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text()) for folder in ("environments", "scripts", ".")
    )
    assert environment["project"]["requires-python"] == f"=={PYTHON}.*"
    assert package["project"]["requires-python"] == f">={PYTHON}"
    assert tools["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"
    assert BASE
    assert BASE[2] == PYTHON
    for workflow in (CHECKOUT / ".github" / "workflows").glob("*.yml"):
        assert {BASE[1]} >= set(re.findall(r"python:3\S+", workflow.read_text()))


def locks(folder: Path, *lines: str) -> Path:
    folder.mkdir()
    (folder / "runtime.txt").write_text("".join(f"{line} \\\n    --hash=sha256:0\n" for line in lines))
    return folder


def moved(old: Path, new: Path) -> list[str]:
    """What `make lock` says where these are the locks before and after."""
    command = [sys.executable, str(CHECKOUT / "environments" / "moved"), str(old), str(new)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_lock_says_what_moved(tmp_path: Path) -> None:
    """Each package that another lock has in another version, more or less, and what to do next."""
    old = locks(tmp_path / "old", "same==1.0", "a==1.0", "gone==2 ; sys_platform == 'darwin'")
    new = locks(tmp_path / "new", "same==1.0", "a==1.1", "b[extra]==3.0")
    assert moved(old, new) == [
        "  a 1.0 -> 1.1",
        "  b[extra] (added) -> 3.0",
        "  gone (sys_platform == 'darwin') 2 -> (removed)",
        "lock: 3 packages have moved; next: make test, then git commit environments/",
    ]
    assert moved(old, old) == ["lock: nothing has moved"]
