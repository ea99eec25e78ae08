"""The origin of a run's reads: git says which files the commit holds, byte for byte."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Tiny, git

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.records.source import Source

pytestmark = pytest.mark.host


@pytest.fixture
def origins(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """A function that gives the kind of each file of a small repository, had a run read all of them."""
    tiny = Tiny.create(tmp_path / "workspace")
    folder = tiny.root / "datasets"
    folder.mkdir()
    for name in ("committed.csv", "edited.csv", "lfs.bin"):
        (folder / name).write_text(name)
    (folder / "lfs.bin").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(b'whole')}\nsize 5\n"
    )
    tiny.notebook("work", work="1")
    (tiny.root / "notebooks" / "helper.py").write_text("")
    (tiny.root / ".gitignore").write_text("ignored.csv\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    for path in (folder / "edited.csv", tiny.root / "notebooks" / "ignored.csv", tiny.root / "notebooks" / "new.csv"):
        path.write_text("changed")
    (folder / "lfs.bin").write_text("whole")
    commit = git(tiny, "rev-parse", "HEAD")

    def kinds() -> dict[str, str]:
        names = [path for top in ("datasets", "notebooks") for path in (tiny.root / top).iterdir()]
        events = [{"kind": "read", "name": str(path.relative_to(tiny.root)), "sha256": sha256(path)} for path in names]
        source = Source(commit, b"", "", "", "")
        notebook = tiny.root / "notebooks" / "work.ipynb"
        return {
            event["name"]: event["kind"] for event in origin.settled(Workspace(tiny.root), source, notebook, events)
        }

    return kinds


EXPECTED = {
    "datasets/committed.csv": "committed",
    "datasets/edited.csv": "undeclared",
    "datasets/lfs.bin": "committed",
    "notebooks/ignored.csv": "undeclared",
    "notebooks/new.csv": "undeclared",
}


def test_git_says(origins: Callable[[], dict[str, str]]) -> None:
    """A file is committed where the commit has its bytes, in any folder; the notebook and its modules are left out."""
    assert origins() == EXPECTED


def test_git_is_not_installed(origins: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git's program, as in the image, the repository says the same, but for files of git-lfs."""
    expected = EXPECTED | {"datasets/lfs.bin": "undeclared"}
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "git" else which(name))
    assert origins() == expected


def test_copy_without_repository(tmp_path: Path) -> None:
    """In a copy without a repository, the folders that were copied from the commit count as committed."""
    events = [{"kind": "read", "name": name, "sha256": "0" * 64} for name in ("notebooks/x.csv", "data/x.csv")]
    source = Source("", b"", "", "", "")
    settled = list(origin.settled(Workspace(tmp_path), source, tmp_path / "notebooks" / "n.ipynb", events))
    assert [event["kind"] for event in settled] == ["committed", "undeclared"]


def test_notes_are_short() -> None:
    """The end of a run names what it has read, the first five of many."""
    events = [{"kind": "undeclared", "name": f"{number}.csv"} for number in range(7)]
    undeclared, unseen = origin.notes([*events, {"kind": "unseen", "name": "network 10.0.0.1:80"}])
    assert "0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more; commit it" in undeclared
    assert "network 10.0.0.1:80" in unseen
    assert origin.notes([{"kind": "committed", "name": "x.csv"}]) == []


def test_digest_of_today(tmp_path: Path) -> None:
    """A file is hashed again once it has changed; a folder by its names; what is gone has no digest."""
    path = tmp_path / "x.csv"
    path.write_text("1")
    before = [origin.current_digest(Workspace(tmp_path), name) for name in ("x.csv", "./")]
    path.write_text("2")
    (tmp_path / "y.csv").write_text("")
    after = [origin.current_digest(Workspace(tmp_path), name) for name in ("x.csv", "./")]
    assert (before[0], after[0]) == (sha256(b"1"), sha256(b"2"))
    assert before[1] != after[1]
    assert origin.current_digest(Workspace(tmp_path), "gone.csv") == ""


def test_module_behind_a_link(tmp_path: Path) -> None:
    """A module in a folder that is a link is no code of the commit: it is undeclared, as no hash of code covers it."""
    tiny = Tiny.create(tmp_path / "workspace")
    notebook = tiny.notebook("work", work="1")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "outside.py").write_text("N = 1")
    (tiny.root / "notebooks" / "lib").symlink_to(tmp_path / "lib")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    event = {"kind": "read", "name": "notebooks/lib/outside.py", "sha256": sha256(b"N = 1")}
    source = Source(git(tiny, "rev-parse", "HEAD"), b"", "", "", "")
    assert [item["kind"] for item in origin.settled(Workspace(tiny.root), source, notebook, [event])] == ["undeclared"]


def test_input_read_twice(tmp_path: Path) -> None:
    """An input that changed between two reads of a run is told: a receipt holds one content of it."""
    events = [{"kind": "input", "name": "train/model.ubj", "sha256": digest * 64} for digest in "aab"]
    settled = origin.settled(Workspace(tmp_path), Source("", b"", "", "", ""), tmp_path / "a.ipynb", events)
    unseen = [event for event in settled if event["kind"] == "unseen"]
    assert origin.notes(unseen)[0].startswith("read unseen: train/model.ubj, before it changed during the run;")
    assert len(unseen) == 1
