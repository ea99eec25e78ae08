"""The lock: its version of Python, and the output of `make lock`."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tiny import CHECKOUT

PYTHON = (CHECKOUT / ".python-version").read_text().strip()
BASE = re.search(r"^ARG BASE_IMAGE=(python:(\S+?)\.\d+-\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)


def test_one_python() -> None:
    """Every file that names a version of Python names the one in .python-version; the package also runs on 3.12."""
    environment, package, tools = (
        tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text()) for folder in ("environments", "scripts", ".")
    )
    assert environment["project"]["requires-python"] == f"=={PYTHON}.*"
    assert package["project"]["requires-python"] == f">={tools['tool']['pyrefly']['python-version']}" == ">=3.12"
    assert tools["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"
    assert BASE
    assert BASE[2] == PYTHON
    for workflow in (CHECKOUT / ".github" / "workflows").glob("*.yml"):
        assert {BASE[1]} >= set(re.findall(r"python:3\S+", workflow.read_text()))


def write_lock(folder: Path, *lines: str) -> Path:
    """A folder with a runtime lock of these requirements."""
    folder.mkdir()
    (folder / "runtime.txt").write_text("".join(f"{line} \\\n    --hash=sha256:0\n" for line in lines))
    return folder


def report(old: Path, new: Path) -> list[str]:
    """The lines that `make lock` prints when it turns the old lock into the new one."""
    command = [sys.executable, "-m", "samebook.cli.moved", str(old), str(new)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_changes_are_reported(tmp_path: Path) -> None:
    """Every changed, added or removed package is printed, and then the next command."""
    old = write_lock(tmp_path / "old", "same==1.0", "a==1.0", "gone==2 ; sys_platform == 'darwin'")
    new = write_lock(tmp_path / "new", "same==1.0", "a==1.1", "b[extra]==3.0")
    assert report(old, new) == [
        "  a 1.0 -> 1.1",
        "  b[extra] (added) -> 3.0",
        "  gone (sys_platform == 'darwin') 2 -> (removed)",
        "lock: 3 packages have moved; next: make test, then git commit environments/",
    ]
    assert report(old, old) == ["lock: nothing has moved"]
