"""The workspace: its root is found, and files are written as a whole or not at all."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from tiny import PATIENCE

from samebook.core import workspace
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold


def test_replacing_is_atomic(tmp_path: Path) -> None:
    """A file keeps its old content until the new is complete, and no temporary file stays."""
    path = tmp_path / "new" / "file"
    workspace.write_whole(path, b"old")
    with workspace.replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_replacing_failure_leaves_nothing(tmp_path: Path) -> None:
    """A block that fails leaves the old file as it was, and nothing beside it."""
    path = tmp_path / "file"
    workspace.write_whole(path, b"old")
    with suppress(IsADirectoryError), workspace.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        tmp_path.read_bytes()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_copy_is_no_link(tmp_path: Path) -> None:
    """A copy is a file of its own: changing it leaves the source as it was."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    workspace.copy_whole(source, target)
    target.write_bytes(b"changed")
    assert source.read_bytes() == b"content"


def test_lock_excludes_others(tmp_path: Path) -> None:
    """A second thread waits for a lock until the first one releases it."""
    order: list[str] = []

    def second() -> None:
        with hold(tmp_path / "lock"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with hold(tmp_path / "lock"):
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(PATIENCE)
    assert order == ["first", "second"]


def test_workspace_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace is found from any folder in it; outside, the error names the missing file."""
    monkeypatch.delenv("SAMEBOOK_WORKSPACE", raising=False)
    (tmp_path / "here" / "environments").mkdir(parents=True)
    (tmp_path / "here" / "environments" / "runtime.txt").touch()
    monkeypatch.chdir(tmp_path / "here" / "environments")
    assert workspace.find().root == tmp_path / "here"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"expected environments/runtime\.txt"):
        workspace.find()


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/team", "/team/notebooks/train.ipynb", "notebooks/train.ipynb"),
        ("/team", "/team", "."),
        ("/team", "/teams/train.ipynb", "/teams/train.ipynb"),
        ("/team", "team/train.ipynb", "team/train.ipynb"),
        ("/", "/train.ipynb", "train.ipynb"),
        (".", "notebooks/train.ipynb", "notebooks/train.ipynb"),
        (".", "../train.ipynb", "../train.ipynb"),
    ],
)
def test_path_from_the_root(root: str, path: str, expected: str) -> None:
    """A path below the root is said from there, and any other as it is; a folder whose name begins alike is none."""
    assert workspace.Workspace(Path(root)).relative(Path(path)) == expected
