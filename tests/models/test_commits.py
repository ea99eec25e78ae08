"""Commits of promotions: one file, whole in the commit, the index and the work tree, or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import PATIENCE, Tiny, git

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import commits

pytestmark = pytest.mark.host

COMMIT = """
import sys
from pathlib import Path
from samebook.core.workspace import Workspace
from samebook.models import commits
workspace = Workspace(Path(sys.argv[1]))
path = workspace.models / "delay.json"
with commits.hold_branch(workspace, path) as tip:
    commits.commit_file(workspace, tip, path, b"new", "promote")
"""


@pytest.fixture
def plain(tmp_path: Path) -> Tiny:
    """A repository with one commit, in which models/delay.json is `old`."""
    tiny = Tiny.create(tmp_path)
    (tiny.root / "models").mkdir()
    (tiny.root / "models" / "delay.json").write_text("old")
    (tiny.root / ".gitignore").write_text(".samebook\n")
    for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "first")):
        git(tiny, *arguments)
    for name, value in (("user.name", "a"), ("user.email", "a@b.c")):
        git(tiny, "config", name, value)
    return tiny


def hook(tiny: Tiny, name: str, script: str) -> None:
    path = tiny.root / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_killed_after_commit(plain: Tiny) -> None:
    """A kill right after the commit leaves nothing that the next commit by hand would undo."""
    hook(plain, "post-commit", "kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)")
    ended = subprocess.run([sys.executable, "-c", COMMIT, str(plain.root)], check=False, timeout=PATIENCE)
    assert ended.returncode == -9
    assert git(plain, "show", "HEAD:models/delay.json") == "new"
    assert git(plain, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["delay", "fresh"])
def test_refused_commit_changes_nothing(plain: Tiny, name: str) -> None:
    """Where a hook refuses, the file is as before in the index and in the work tree, or as absent as before."""
    hook(plain, "pre-commit", "exit 1")
    workspace = Workspace(plain.root)
    path = workspace.models / f"{name}.json"
    with commits.hold_branch(workspace, path) as tip, pytest.raises(UsageError):
        commits.commit_file(workspace, tip, path, b"new", "promote")
    assert git(plain, "status", "--porcelain") == ""
    assert path.is_file() == (name == "delay")
