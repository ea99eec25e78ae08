"""With ENGINE=docker nothing of the reproduced commit runs, or is read, on the host; its tree goes into the image."""

import os
import shutil
from pathlib import Path

import pytest
from reproducing import commit
from tiny import CHECKOUT, Tiny, git

from samebook.core.errors import EnvironmentMismatch, NotReproduced, UsageError
from samebook.core.make import OWN
from samebook.core.workspace import Workspace
from samebook.records import receipt
from samebook.reproduction import rerun
from samebook.reproduction.front import Front
from samebook.reproduction.rerun import Site

pytestmark = [pytest.mark.host, pytest.mark.forger]

HOSTILE = r"environment:\n\t@printf 'step 1\n\033[2Jcaf\303'; sleep 0.1; printf '\251 \033]0;x\a 10%%\r20%%'; exit 1"
FRONT = ("Makefile", "docker-compose.yml", "environments", "tests/tests.mk")
# To compose, a line between quotes is not a comment.
IN_QUOTES = 'A="\n# ${TOKEN}\nB="'
# The daemon of these tests: it writes down how it was called, and starts nothing.
DOCKER = """#!/bin/sh
echo "$PWD: docker $*" >> {log}
[ "$1" != buildx ] || head -n 1 >> {log}
[ "$1" != compose ] || {{ {container}; }}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A checkout with the front of this one; the commit before HEAD has another, every program of which is hostile."""
    tiny = Tiny.create(tmp_path / "workspace")
    git(tiny, "init", "--quiet")
    (tiny.root / ".gitignore").write_text("/.samebook/\n")
    for name in ("Makefile", "GNUmakefile", ".env", "docker-compose.yml", "docker-compose.override.yml"):
        (tiny.root / name).write_text(f"x := $(shell touch {tmp_path}/ran)\nenvironment run:\n\ttouch {tmp_path}/ran\n")
    (tiny.root / "environments" / "uncommitted").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tiny.root / "environments" / "uncommitted").chmod(0o755)
    (tiny.root / "Dockerfile").write_text("FROM scratch\n")
    commit(tiny)
    for name in FRONT:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        (tiny.root / name).parent.mkdir(exist_ok=True)
        copy(CHECKOUT / name, tiny.root / name, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
    for name in ("GNUmakefile", ".env", "docker-compose.override.yml"):
        (tiny.root / name).unlink()
    commit(tiny)
    for name in ("ENGINE", *OWN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tiny


def test_output_is_inert(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What a commit's make prints is shown as it comes, and writes no escape of its own to the terminal."""
    (tmp_path / "Makefile").write_text(HOSTILE.replace(r"\n\t", "\n\t", 1))
    with pytest.raises(EnvironmentMismatch):
        Front(tmp_path, tmp_path, "local").environment(os.environ)
    shown = capfd.readouterr().err
    assert shown.startswith("step 1\n\\x1b[2Jcafé \\x1b]0;x\\x07 10%\r20%")
    assert "\x1b" not in shown


def reproduce(tiny: Tiny, container: str = "true", times: int = 1, ref: str = "HEAD^") -> list[str]:
    """The calls of Docker by a reproduction of a commit, whose containers do `container`."""
    log, program = tiny.root.parent / "log", tiny.root.parent / "bin" / "docker"
    program.parent.mkdir(exist_ok=True)
    program.write_text(DOCKER.format(log=log, container=container))
    program.chmod(0o755)
    head = {"name": "commit", "digest": {"gitCommit": git(tiny, "rev-parse", ref)}, "annotations": {}}
    plan = receipt.plan({"commit": head, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})
    with rerun.reruns(Site(Workspace(tiny.root), "docker", lambda _: None), plan) as again:
        for _ in range(times):
            with pytest.raises(NotReproduced, match="did not start again"):
                again({})
    return log.read_text().splitlines()


def test_front_is_the_callers(tiny: Tiny) -> None:
    """Make, its scripts and compose's file are those of the checkout that the user is in; the commit's run nothing."""
    calls = reproduce(tiny)
    assert not (tiny.root.parent / "ran").exists()
    built = next(call for call in calls if " buildx build " in call and "--target runtime" in call)
    ran = next(call for call in calls if " compose " in call)
    aside = built.partition(": ")[0]
    assert aside.startswith(f"{tiny.root}/.samebook/worktree-")
    assert f"--project-directory {aside} --env-file /dev/null --file {tiny.root}/docker-compose.yml " in ran
    assert ran.endswith(" run run --receipt .samebook/receipt.json")


def test_build_of_a_stranger_has_a_cache_of_its_own(tiny: Tiny) -> None:
    """A commit outside of this branch fills no cache that the builds of this branch use, and names no other frontend,
    which could.
    """
    assert not any("BUILDKIT_CACHE_MOUNT_NS" in call for call in reproduce(tiny))
    stranger = git(tiny, "commit-tree", "-m", "stranger", "HEAD^^{tree}")
    calls = reproduce(tiny, ref=stranger)
    built = next(number for number, call in enumerate(calls) if f"BUILDKIT_CACHE_MOUNT_NS={stranger} " in call)
    assert calls[built + 1] == "#"


@pytest.mark.parametrize(
    "name",
    ["environments/variables.env", "environments/runtime.txt", "Dockerfile", ".dockerignore", "environments/dev.yml"],
)
def test_file_of_the_host_is_not_read(tiny: Tiny, name: str) -> None:
    """A link in a commit, in the place of a file that is read on the host, is refused."""
    git(tiny, "checkout", "--quiet", "HEAD^")
    (tiny.root / name).unlink(missing_ok=True)
    (tiny.root / name).symlink_to("/proc/self/environ")
    commit(tiny)
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "next")
    with pytest.raises(UsageError, match=f"{name}.*leads out of the checkout"):
        reproduce(tiny)


@pytest.mark.parametrize(
    "line",
    [
        *("A=${TOKEN}", 'A="$TOKEN"', "TOKEN", "A='\nTOKEN\n'", "export TOKEN", "A: $TOKEN", IN_QUOTES),
        *("A='x' TOKEN", 'A="x" TOKEN', "A=x # 'y' TOKEN", "A=x\\nTOKEN"),
    ],
)
def test_variable_of_the_host_is_not_read(tmp_path: Path, line: str) -> None:
    """A line that would hand a variable of this machine to the commit's container is refused."""
    (tmp_path / "environments").mkdir()
    file = tmp_path / "environments" / "variables.env"
    front = Front(tmp_path, tmp_path, "docker")
    file.write_bytes((CHECKOUT / "environments" / "variables.env").read_bytes() + b"  \n  # a comment\tof two words\n")
    front.check()
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(UsageError, match=r"variables\.env, line .*would take from this machine"):
        front.check()


def test_container_leaves_no_way_out(tiny: Tiny) -> None:
    """A container that puts links into the checkout has nothing written or read outside of it by the next run."""
    with pytest.raises(UsageError, match="leads out of the checkout"):
        reproduce(tiny, "rm -rf .samebook && ln -s /tmp .samebook", times=2)
