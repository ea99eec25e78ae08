"""The parts of an image's environment: locks without samebook's own wheel, that wheel, other wheels, the programs."""

import os
import subprocess
from pathlib import Path

import pytest
from tiny import CHECKOUT

from samebook.core.digest import sha256
from samebook.projects import wheel_file

pytestmark = [pytest.mark.fast, pytest.mark.host]

INSTALL = CHECKOUT / "environments" / "image" / "install"
NOTES = {"samebook-1.dist-info/METADATA": b"Name: samebook\nVersion: 1\n"}
PROGRAM = {"samebook/image/trim": b"print('trimmed')\n"}
OTHERS = """\
click==8.1 \\
    --hash=sha256:1
    # via samebook
{}samebook-extra==2 ; python_version > '3' \\
    --hash=sha256:2
"""


def split(folder: Path, wheels: dict[str, bytes], locked: str, lab: str = "") -> dict[str, str]:
    """The files that `install parts` makes, by path: of a lock with the wheel of a name, and of these wheels."""
    build, parts = folder / "build", folder / "parts"
    (build / "image").mkdir(parents=True)
    (build / "image" / "install").write_text("#")
    for name, content in wheels.items():
        wheel_file.write(build / name, {**NOTES, **PROGRAM, "samebook/__init__.py": content})
    entry = f"samebook==1 \\\n    --hash=sha256:{sha256(build / locked)}\n" if locked else ""
    (build / "build.txt").write_text("uv==1 --hash=sha256:3\n")
    (build / "runtime.txt").write_text(OTHERS.format(entry))
    (build / "lab.txt").write_text(f"jupyterlab==4 --hash=sha256:4\n{lab or entry}")
    env = {**os.environ, "BUILD": str(build), "PARTS": str(parts)}
    subprocess.run([INSTALL, "parts"], env=env, check=True)
    found = (path for path in parts.rglob("*") if path.is_file())
    return {path.relative_to(parts).as_posix(): path.read_text(errors="replace") for path in found}


def test_another_samebook_changes_its_own_part_alone(tmp_path: Path) -> None:
    """All parts but `own` are the same with another wheel of samebook, and no lock among them names it."""
    name = "samebook-1-py3-none-any.whl"
    one, other = (split(tmp_path / text, {name: text.encode()}, name) for text in ("one", "other"))
    assert {path for path in one if one[path] != other[path]} == {"own/own.txt", f"own/{name}"}
    assert one["runtime.txt"] == OTHERS.format("")
    assert one["lab.txt"] == "jupyterlab==4 --hash=sha256:4\n"
    assert one["image/trim"] == "print('trimmed')\n"


def test_wheels_of_the_checkout(tmp_path: Path) -> None:
    """Another package's wheel is found by the install of the packages; one of samebook that the lock does not name,
    as two branches that were both updated leave one, is nowhere, and none of its programs runs.
    """
    names = [f"{name}-py3-none-any.whl" for name in ("samebook-1", "samebook-2", "team_tools-1.0")]
    found = split(tmp_path, dict(zip(names, (b"1", b"2", b"3"), strict=True)), names[0])
    assert {path for path in found if path.endswith(".whl")} == {f"own/{names[0]}", f"wheels/{names[2]}"}
    unnamed = split(tmp_path / "unnamed", {names[1]: b"2"}, "")
    assert not {path for path in unnamed if path.endswith((".whl", "trim"))}
    assert unnamed["own/own.txt"] == ""


def test_missing_wheel_is_named(tmp_path: Path) -> None:
    """Without the wheel of the lock nothing is installed, and the error has the command that mends it."""
    env = {**os.environ, "BUILD": str(tmp_path), "VIRTUAL_ENV": str(tmp_path / "environment")}
    done = subprocess.run([INSTALL, "runtime"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "  -> make lock")
    assert not (tmp_path / "environment").exists()


def test_labs_samebook_is_runtimes(tmp_path: Path) -> None:
    """A lock of lab that names another samebook than runtime's keeps it, so that its install is refused."""
    name, other = "samebook-1-py3-none-any.whl", f"samebook==1 \\\n    --hash=sha256:{'0' * 64}\n"
    assert other in split(tmp_path, {name: b"1"}, name, lab=other)["lab.txt"]
